//! Stops a run whose threshold has been violated for long enough.

use std::fmt;
use std::time::Duration;

use super::figures::{Few, Figures};
use super::threshold::Kind;
use super::{Judged, Standing, Threshold};
use crate::measure::{Phase, Second};
use crate::units::format;

/// A threshold that wants the run stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// The threshold, with the figure of the stretch in which it was violated.
    pub judged: Judged,
    /// How long that stretch is.
    pub lasted: Duration,
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "for {} {}", format::exact_duration(self.lasted), self.judged)
    }
}

/// Watches the thresholds of a run that may stop it, second by second.
///
/// A threshold `for T abort` stops the run when every second of the last T violated it, each by its own figures, and all
/// of that stretch merged has enough samples to speak of the metric; if it has not, the stretch goes on until it has. So
/// one bad second never stops a run, however many of the window's samples are its own, and a low rate does not keep a
/// bad run alive. A second in which nothing was measured neither ends a stretch nor completes it. Counts are those since
/// the start: they cross their bound once. Only seconds of the main phase are looked at in which
/// nothing of another phase was done: beside slow answers of the warm-up there are only the quick ones of main. T is rounded up to whole
/// seconds.
///
/// The memory is one merged histogram for each such threshold, however long T is.
#[derive(Debug, Clone)]
pub struct Watch {
    stretches: Vec<Stretch>,
}

/// The stretch of seconds in which a threshold is violated.
#[derive(Debug, Clone)]
struct Stretch {
    threshold: Threshold,
    sustained: Duration,
    /// Its first second.
    since: Option<u64>,
    /// Of all its seconds; for counts, of all seconds since the start.
    figures: Figures,
}

impl Watch {
    /// Watches those of the thresholds that may stop a run.
    #[must_use]
    pub fn new(thresholds: &[Threshold]) -> Self {
        let stretch = |threshold: &Threshold| {
            let figures = Figures::none(threshold.metric());
            Some(Stretch { threshold: threshold.clone(), sustained: threshold.sustained()?, since: None, figures })
        };
        Self { stretches: thresholds.iter().filter_map(stretch).collect() }
    }

    /// Takes the next closed second, and says whether the run is to be stopped: the first such threshold of the scenario.
    pub fn second(&mut self, second: &Second) -> Option<Abort> {
        if second.phase != Phase::Main || !second.is_whole() {
            return None;
        }
        // Each threshold must see the second, also behind one that stops the run.
        let due: Vec<_> = self.stretches.iter_mut().filter_map(|stretch| stretch.second(second)).collect();
        due.into_iter().next()
    }
}

impl Stretch {
    fn second(&mut self, second: &Second) -> Option<Abort> {
        let metric = self.threshold.metric();
        let part = Figures::of_second(metric, second);
        self.figures.add(&part);
        let counts = Kind::of(metric.quantity) == Kind::Count;
        let measured = if counts { self.figures.measured(Few::Largest) } else { part.measured(Few::Largest) };
        if self.threshold.holds(measured?) {
            self.since = None;
            if !counts {
                self.figures = Figures::none(metric);
            }
            return None;
        }
        let since = *self.since.get_or_insert(second.second);
        let lasted = Duration::from_secs(second.second + 1 - since);
        let judged = Judged::of(&self.threshold, &self.figures);
        (lasted >= self.sustained && judged.standing == Standing::Crossed).then_some(Abort { judged, lasted })
    }
}

#[cfg(test)]
mod tests;
