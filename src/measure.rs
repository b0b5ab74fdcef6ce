//! The plain data of a measurement: what one attempt was, how attempts are counted and recorded, and what a run is.
//!
//! This module owns the words of the result files: [`Outcome`], [`Clock`], the one HDR configuration, [`Interval`] and
//! [`Run`]. It does no I/O, reads no clock and judges nothing.

mod checks;
mod distributions;
mod failures;
mod interval;
mod retries;
mod run;
mod sample;
mod snapshot;

pub use checks::{Check, Checks, Effort, Findings, Merge, Mode, Repetitions, VariantChecks, Violation};
pub use distributions::{Clock, Distributions, PERCENTILES, micros, new_histogram, quantile};
pub use failures::{Failure, FailureKey, Failures, MAX_CORRELATION_IDS, MAX_FAILURES, OTHER};
#[cfg(test)]
pub(crate) use interval::sample_at;
pub use interval::{Blocks, Counts, Interval, Of, Recorder, Refusals, VariantInterval};
pub use retries::{GivenUp, Retries, Retry};
pub use run::{Header, Host, Logins, Phase, Run, SCHEMA, Second, State, Totals, VariantTotals, Warning};
pub use sample::{Answer, Outcome, Sample};
pub use snapshot::{Kept, NotRestored, Restoration, RestoreEnd};
