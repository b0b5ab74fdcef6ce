//! Run folders: how a run is written while it goes on, and how it is read back, also after it was killed. Sets of runs:
//! their folder, their figures, and how far these lie apart.
//!
//! This is the only module that touches a run folder. It owns the names of the files, their columns and the order in
//! which they are written: `latency.hlog`, then the row of `timeline.csv` that commits the second, then everything
//! else by temporary file and rename. What a file says is made by pure functions ([`Rates`] and those of `tables`,
//! `document`, `log` and `set`); only `folder`, `profile`, `read` and `set::folder` do I/O. It never prints, never judges, and never
//! sends anything.

mod checks;
mod document;
mod error;
mod folder;
mod log;
mod profile;
mod rates;
mod read;
mod set;
mod snapshot;
mod tables;

use crate::measure::Header;

pub use error::Error;
pub use folder::Folder;
pub use profile::ProfileFolder;
pub use rates::{Efficiency, Estimate, Rates};
pub use read::{read, rebuild};
pub use set::{Entry, Figure, FigureSpread, Figures, LeftOut, Set, SetFolder, SetPlan, is_set, rebuild_set};
pub use snapshot::{Origin, note_restoration, read_snapshot, restoration};

/// The name, in every report, of what is said of all variants together or of all outcomes together.
pub const ALL: &str = "all";

/// The files of a run folder, in the order in which a reader wants them.
pub const FILES: [&str; 6] = [SUMMARY, FAILURES, LATENCY, TIMELINE, LOG, RUN];

/// What the checks found, beside the other files of a run that checked anything and has ended.
pub const CHECK_FILES: [&str; 2] = [IDEMPOTENCY, CONSISTENCY];

/// All writes and reads of a run whose scenario wants them, and what was found, as lines of JSON.
pub const HISTORY: &str = "history.jsonl";

/// What the attributes were before the run: the file that `patchload restore` reads.
pub const SNAPSHOT: &str = "snapshot.jsonl";

/// Whether the run's scenario has anything tried again.
#[must_use]
pub fn retries(header: &Header) -> bool {
    header.scenario.get("retry").is_some()
}

/// Whether the run's scenario wants [`HISTORY`].
#[must_use]
pub fn has_history(header: &Header) -> bool {
    of_checks(header, "/history")
}

/// Whether all resources of the run were to be compared with what was acknowledged.
#[must_use]
pub fn compares_resources(header: &Header) -> bool {
    of_checks(header, "/lost_updates/enabled")
}

/// What `[checks]` of the run's scenario says yes or no to; no where it says nothing.
fn of_checks(header: &Header, place: &str) -> bool {
    let checks = header.scenario.get("checks");
    checks.and_then(|checks| checks.pointer(place)?.as_bool()).unwrap_or(false)
}

/// Whether the run had a simulator of its own, which is gone with it.
#[must_use]
pub fn was_simulated(header: &Header) -> bool {
    header.scenario.get("target").is_some_and(|target| target.get("simulator").is_some())
}

const RUN: &str = "run.json";
const LOG: &str = "latency.hlog";
const TIMELINE: &str = "timeline.csv";
const SUMMARY: &str = "summary.csv";
const FAILURES: &str = "failures.csv";
const LATENCY: &str = "latency.csv";
const IDEMPOTENCY: &str = "idempotency.csv";
const CONSISTENCY: &str = "consistency.csv";
