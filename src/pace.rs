//! When something is due, and who does it: pure functions of the schedule, never of the clock.

mod arrivals;
mod curve;
mod gaps;
mod segment;
mod stages;
mod window;

use std::num::NonZeroUsize;

pub use arrivals::{Arrivals, Cursor, Spacing};
pub use curve::{ArrivalsError, RateStage};
pub use stages::{Stage, Stages};
pub use window::Window;

/// The worker that owns `owner`: a user, or the key whose users must live together.
///
/// The one place that spreads work over workers. It depends on nothing but its arguments, so that the same function may
/// later span machines.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "a remainder by a usize fits one")]
pub fn assign(owner: u64, workers: NonZeroUsize) -> usize {
    let workers = workers.get() as u64;
    usize::try_from(owner % workers).expect("a remainder by a usize fits one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_owners_evenly() {
        let workers = NonZeroUsize::new(3).unwrap();
        let mut users = [0; 3];
        for user in 0..100 {
            users[assign(user, workers)] += 1;
        }
        assert_eq!(users, [34, 33, 33]);
    }
}
