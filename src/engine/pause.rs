//! Pauses of this machine, as who announces the operations sees them. Pure: it is told the time.

use std::time::Duration;

/// An operation that is announced later than this was held up: a timer of an undisturbed machine is not so late.
const LATE: Duration = Duration::from_millis(1);

/// Whether an operation that finds no user free may have a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hiring {
    /// It may.
    Open,
    /// It waits for the users that there are, because this machine held it up: see [`Pause`].
    Held,
}

/// Tells whether an operation that finds no user free may have a new one.
///
/// After a pause of the machine all that was due in it is announced at once. With a user for each there would be as many
/// connections to open, and the storm would last longer than the pause; the few users that were enough before it soon have
/// caught up. So nobody is hired for what is late, nor for a time after it as long as the longest lateness was. If they do not
/// catch up until then, each operation brings one more again.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Until then what was held up may take to be caught up with.
    recovered: Duration,
}

impl Pause {
    /// For an operation that was due, and is announced now.
    pub(super) fn hiring(&mut self, due: Duration, now: Duration) -> Hiring {
        let late = now.saturating_sub(due);
        if late > LATE {
            self.recovered = self.recovered.max(now + late);
        }
        if now < self.recovered { Hiring::Held } else { Hiring::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hiring_is_held_for_what_a_pause_held_up_and_as_long_again() {
        let ms = Duration::from_millis;
        let mut pause = Pause::default();
        assert_eq!(pause.hiring(ms(0), Duration::from_micros(900)), Hiring::Open);
        for due in 1..500 {
            assert_eq!(pause.hiring(ms(due), ms(500)), Hiring::Held, "due at {due} ms");
        }
        for (at, expected) in [(520, Hiring::Held), (998, Hiring::Held), (999, Hiring::Open), (1_100, Hiring::Open)] {
            assert_eq!(pause.hiring(ms(at), ms(at)), expected, "at {at} ms");
        }
    }
}
