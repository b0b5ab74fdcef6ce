//! Whether a run met its thresholds, and whether its figures can be believed.
//!
//! This module owns the rules: [`Threshold`] with [`evaluate`] at the end of a run and [`Watch`] during it, and the
//! [`Verdict`] on the measurement itself, which [`verdict`] finds from [`Evidence`]. It measures nothing: all that it
//! judges is handed to it, it does no I/O and reads no clock.

mod drift;
mod evaluate;
mod evidence;
mod figures;
mod metric;
mod reason;
mod threshold;
mod watch;

pub use drift::{Drift, drift};
pub use evaluate::{Judged, Standing, evaluate};
pub use evidence::{Arrivals, CoreTime, Demand, Evidence, Users, verdict};
pub use figures::Measured;
pub use metric::{Metric, OfVariant, Quantity, Statistic, UnknownMetric};
pub use reason::{Reason, Verdict};
pub use threshold::{Comparison, Kind, Threshold, ThresholdError};
pub use watch::{Abort, Watch};

/// What is judged of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Whether its figures can be believed.
    pub verdict: Verdict,
    /// Why not, worst first; empty for a valid run.
    pub reasons: Vec<Reason>,
    /// What became of its thresholds, in the order of the scenario.
    pub thresholds: Vec<Judged>,
}
