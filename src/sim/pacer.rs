//! Waiting for an answer's instant with a timer of whole milliseconds, so that the mean latency is still the true one.

use std::cell::Cell;
use std::time::Duration;

/// How much of an answer's lateness is the timer's own: tokio rounds a deadline up to its next millisecond, and sleeps a
/// whole number of milliseconds until then. Anything beyond is a busy machine, which later answers must not make good.
const TIMER_STEP: Duration = Duration::from_millis(2);

/// The lateness of past answers that later ones have yet to make up for. Each server thread has its own.
///
/// Every wait is late by up to two milliseconds, never early. So a ledger is kept: what one answer was late, the next ones
/// wait less, each nanosecond once. The sum of all waits equals the sum of the latencies drawn but for what the ledger
/// still holds; a latency of 100 us becomes ten immediate answers and one of a millisecond. Spinning instead would be
/// exact, and would take the CPU from the load generator under test.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    owed: Cell<Duration>,
}

impl Pacer {
    /// How long to wait where `latency` was drawn: less, if earlier answers were late.
    pub(super) fn plan(&self, latency: Duration) -> Duration {
        let owed = self.owed.get();
        self.owed.set(owed.saturating_sub(latency));
        latency.saturating_sub(owed)
    }

    /// Notes that an answer waited longer than planned.
    pub(super) fn late(&self, by: Duration) {
        self.owed.set(self.owed.get().saturating_add(by.min(TIMER_STEP)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_waits_add_up_to_the_latencies_whatever_the_timer_does(
            draws in proptest::collection::vec((0..5_000_u64, 0..2_000_u64), 1..500),
        ) {
            let pacer = Pacer::default();
            let (mut wanted, mut waited) = (Duration::ZERO, Duration::ZERO);
            for (latency_us, late_us) in draws {
                wanted += Duration::from_micros(latency_us);
                let wait = pacer.plan(Duration::from_micros(latency_us));
                if !wait.is_zero() {
                    let late = Duration::from_micros(late_us);
                    pacer.late(late);
                    waited += wait + late;
                }
            }
            prop_assert_eq!(waited, wanted + pacer.owed.get());
            prop_assert!(pacer.owed.get() <= TIMER_STEP);
        }
    }

    #[test]
    fn a_busy_machine_is_not_made_good() {
        let pacer = Pacer::default();
        pacer.late(Duration::from_secs(5));
        assert_eq!(pacer.plan(Duration::from_millis(10)), Duration::from_millis(8));
        assert_eq!(pacer.plan(Duration::from_millis(10)), Duration::from_millis(10));
    }
}
