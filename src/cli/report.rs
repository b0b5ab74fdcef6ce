//! `patchload report`: the reports of a run folder or of a set, rebuilt.

use super::arguments::ReportArguments;
use super::exit::{Exit, Failure};
use super::put;
use crate::{report, results};

/// Rebuilds what can be rebuilt and prints the summary.
pub(super) fn report(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let dir = &arguments.dir;
    let text = if results::is_set(dir) {
        report::set(&results::rebuild_set(dir)?, dir)
    } else {
        let (run, judgement) = results::rebuild(dir)?;
        let remedy = (!results::was_simulated(&run.header)).then_some(dir.as_path());
        let restored = results::restoration(dir)?.map(|told| report::restoration(&told, remedy)).unwrap_or_default();
        format!("{}{restored}", report::text(&run, judgement.as_ref(), dir))
    };
    put(&text)?;
    Ok(Exit::Done)
}
