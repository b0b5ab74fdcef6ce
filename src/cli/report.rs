//! `patchload report`: the reports of a run folder, rebuilt.

use super::arguments::ReportArguments;
use super::exit::{Exit, Failure};
use super::put;
use crate::{report, results};

/// Rebuilds what can be rebuilt and prints the summary.
pub(super) fn report(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let (run, judgement) = results::rebuild(&arguments.dir)?;
    put(&report::text(&run, judgement.as_ref(), &arguments.dir))?;
    Ok(Exit::Done)
}
