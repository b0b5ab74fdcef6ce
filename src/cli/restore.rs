//! Attributes as they were: read before a run and put back after it, or by `patchload restore` later.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime;
use url::Url;

use super::arguments::RestoreArguments;
use super::exit::{Exit, Failure};
use super::run::environment;
use super::signals::Signals;
use super::{put, say};
use crate::engine::{SnapshotError, SnapshotKeeper, TokenKeeper};
use crate::measure::{Kept, Restoration, RestoreEnd};
use crate::report;
use crate::results;
use crate::scenario::{Endpoint, Overrides, Scenario};

/// What a run keeps to put back.
pub(super) struct Guard {
    keeper: SnapshotKeeper,
    kept: Vec<Kept>,
}

impl Guard {
    /// Reads the attributes; `None` where the scenario puts none back.
    pub(super) async fn take(
        scenario: &Arc<Scenario>,
        base: &Url,
        tokens: &TokenKeeper,
    ) -> Result<Option<Self>, SnapshotError> {
        if scenario.snapshot.is_none() {
            return Ok(None);
        }
        let mut keeper = SnapshotKeeper::new(scenario.clone(), base, tokens)?;
        say(&format!("reading the attributes of {} before the run", rows(scenario.rows_within_reach())));
        let kept = keeper.take().await?;
        Ok(Some(Self { keeper, kept }))
    }

    /// The attributes that were read.
    pub(super) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Puts them back, until a signal comes: then it leaves at once, with what is known.
    pub(super) async fn put_back(mut self, signals: &mut Signals) -> Restoration {
        say(&format!("putting attributes of {} back; Ctrl-C to leave at once", rows(self.kept.len())));
        self.keeper.put_back(&self.kept, signals.next()).await
    }
}

/// How to put attributes back later.
pub(super) fn hint(folder: &Path) -> String {
    format!("`patchload restore {}` puts the attributes back", folder.display())
}

fn rows(rows: usize) -> String {
    format!("{} {}", crate::units::format::count(rows as u64), if rows == 1 { "row" } else { "rows" })
}

/// Puts the attributes back that the run of a folder may have changed.
pub(super) fn restore(arguments: &RestoreArguments) -> Result<Exit, Failure> {
    let (origin, kept) = results::read_snapshot(&arguments.dir)?;
    let target = origin.target.ok_or(Failure::SimulatorGone)?;
    let file = arguments.scenario.as_ref().unwrap_or(&origin.scenario);
    let scenario = Arc::new(Scenario::load(file, &environment, &Overrides::default())?);
    let base = match &scenario.target.endpoint {
        Endpoint::Url(url) if url.as_str() == target => url.clone(),
        _ => return Err(Failure::OtherScenario { file: file.clone(), what: format!("its target is not {target}") }),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let restoration = runtime.block_on(async {
        let mut signals = Signals::new().map_err(Failure::Runtime)?;
        let tokens = TokenKeeper::obtain(&scenario.target, &base, |put_off| say(&put_off.to_string())).await?;
        let keeper = SnapshotKeeper::new(scenario, &base, &tokens)?;
        if let Some(row) = kept.iter().find(|row| !keeper.knows(row)) {
            let what = format!("data row {} does not name {} any more", row.row, row.path);
            return Err(Failure::OtherScenario { file: file.clone(), what });
        }
        Ok(Guard { keeper, kept }.put_back(&mut signals).await)
    })?;
    let noted = results::note_restoration(&arguments.dir, &restoration);
    put(&report::restoration(&restoration, Some(&arguments.dir)))?;
    noted?;
    Ok(match restoration.end {
        RestoreEnd::Left => Exit::Interrupted,
        RestoreEnd::Complete if restoration.not_restored == 0 => Exit::Done,
        RestoreEnd::Complete => Exit::TargetUnusable,
    })
}
