//! The part of a schedule of which the figures of a run are.

use std::time::Duration;

/// From the end of the warm-up to the start of the cool-down: what is due in it counts in the figures of the run, whenever
/// it is done. So a slow answer is not lost to the cool-down, and none of the warm-up's slips in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it starts.
    pub from: Duration,
    /// Where it ends, after `from`.
    pub to: Duration,
}

impl Window {
    /// Whether it holds this instant.
    #[must_use]
    pub fn contains(&self, at: Duration) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// How much of it has passed at `now`.
    #[must_use]
    pub fn passed(&self, now: Duration) -> Duration {
        now.min(self.to).saturating_sub(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_start_and_not_its_end_and_passes_between_them() {
        let second = Duration::from_secs;
        let window = Window { from: second(2), to: second(5) };
        for (at, holds, passed) in [(0, false, 0), (2, true, 0), (4, true, 2), (5, false, 3), (9, false, 3)] {
            assert_eq!((window.contains(second(at)), window.passed(second(at))), (holds, second(passed)), "{at}");
        }
    }
}
