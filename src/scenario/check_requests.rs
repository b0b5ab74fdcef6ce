//! What the checks may send beside the load: told before the first request, and kept within the budget.

use std::fmt;
use std::time::Duration;

use super::plan::permits_of;
use super::{Checks, Idempotency, Scenario, Visibility};
use crate::measure::Mode;
use crate::units::Share;
use crate::units::format::count;

/// No write is looked at more often in `within`.
pub(super) const MOST_LOOKS: u64 = 1_000;

/// How many operations a plan speaks of where nothing bounds them.
const UNBOUNDED: u64 = 1_000;

/// What the checks of a run may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckPlan {
    /// The operations of the load of which this speaks; `None` where nothing bounds them: then it speaks of 1,000.
    pub operations: Option<u64>,
    /// The most reads of so many operations, but for one case in ten thousand: which operations are checked is drawn.
    pub reads: u64,
    /// The most writes, likewise.
    pub writes: u64,
    /// The most of both that `checks.limit_share` lets through; `None` without a limit.
    pub by_limit: Option<u64>,
    /// Reads of all resources before the run, and as many after it; 0 where lost updates are not looked for.
    pub resources: u64,
}

impl Visibility {
    /// How writes are looked for where the scenario says nothing.
    pub const USUAL: Self = Self {
        share: Share::NONE,
        within: Duration::from_secs(10),
        first: Duration::from_millis(50),
        factor: 1.5,
        most: Duration::from_secs(1),
        recheck: Duration::from_secs(5),
    };

    /// So many more looks must miss before something is said to be missing.
    pub const CONFIRMING: u32 = 3;

    /// How often a write is looked at until a look is sent `within` after its answer, or later; at most 1,001.
    #[must_use]
    pub fn looks(&self) -> u64 {
        let (mut at, mut pause, mut looks) = (self.first, self.first, 1);
        while at < self.within && looks <= MOST_LOOKS {
            at = at.saturating_add(pause.min(self.most));
            pause =
                Duration::try_from_secs_f64(pause.as_secs_f64() * self.factor).unwrap_or(Duration::MAX).min(self.most);
            looks += 1;
        }
        looks
    }

    /// The most reads that tell what became of a write: until it is seen or called never visible, and of the recheck.
    fn most_reads(&self) -> u64 {
        self.looks() + u64::from(2 * Self::CONFIRMING + 2)
    }
}

impl Idempotency {
    /// The most writes of one repetition.
    fn most_writes(&self) -> u64 {
        let writes = |mode: &Mode| match mode {
            Mode::Replay | Mode::Retry => 2,
            Mode::Concurrent => u64::from(self.concurrent),
            Mode::Keyed => 3,
        };
        self.modes.iter().map(writes).max().unwrap_or(0)
    }

    /// The most reads of one repetition: one before, those until its first write is seen, and two after the last.
    fn most_reads(&self, visibility: &Visibility) -> u64 {
        Visibility { within: self.settle * 2, ..*visibility }.looks() + 3
    }
}

impl Checks {
    /// The most reads and writes of the samples of so many operations.
    fn requests(&self, operations: u64) -> (u64, u64) {
        let visibility = self.looking();
        let looked_for = most_sampled(visibility.share, operations).saturating_mul(visibility.most_reads());
        let Some(idempotency) = &self.idempotency else { return (looked_for, 0) };
        let repeated = most_sampled(idempotency.share, operations);
        let reads = repeated.saturating_mul(idempotency.most_reads(&visibility));
        (looked_for.saturating_add(reads), repeated.saturating_mul(idempotency.most_writes()))
    }

    /// The longest that the checks of an operation take where nothing holds their requests up: it is looked for, and then
    /// repeated.
    fn longest(&self) -> Duration {
        let looked_for = self.visibility.map(|visibility| {
            let Visibility { within, most, recheck, .. } = visibility;
            within.saturating_add(recheck).saturating_add(most.saturating_mul(2 * Visibility::CONFIRMING))
        });
        // Until the load's own write can be seen for sure, until the first one is seen, and until the last has settled.
        let within = self.looking().within;
        let repeated = self.idempotency.as_ref();
        let repeated = repeated.map(|Idempotency { settle, .. }| within.saturating_add(settle.saturating_mul(4)));
        looked_for.unwrap_or_default().saturating_add(repeated.unwrap_or_default())
    }
}

impl Scenario {
    /// What the checks may send beside a load of so many operations, which may have no bound; `None` without checks.
    #[must_use]
    pub fn check_plan(&self, operations: Option<u64>) -> Option<CheckPlan> {
        let checks = self.checks.as_ref()?;
        let (reads, writes) = checks.requests(operations.unwrap_or(UNBOUNDED));
        let by_limit = self.limit.map(|limit| {
            let load = self.load.length().saturating_add(self.load.drain);
            let permits = permits_of(&limit, load.saturating_add(self.checks_last()));
            checks.limit_share.of(permits.saturating_mul(self.limit_keys()))
        });
        Some(CheckPlan { operations, reads, writes, by_limit, resources: self.audited() })
    }

    /// How long checks may go on once the load is over and what it had in flight is done or given up: for as long as those of
    /// its last operations take, and for the answers to their last requests.
    #[must_use]
    pub fn checks_last(&self) -> Duration {
        self.checks.as_ref().map_or(Duration::ZERO, |checks| checks.longest().saturating_add(self.load.drain))
    }

    /// The requests that `limit.budget` leaves for the samples of the checks; `None` without a budget.
    #[must_use]
    pub fn checks_in_budget(&self) -> Option<u64> {
        let left = self.care.budget?.saturating_sub(self.requests_aside());
        Some(left - self.attempts_beside_checks(left))
    }

    /// The resources that are read before the run and after it to find lost updates.
    #[must_use]
    pub fn audited(&self) -> u64 {
        if !self.checks.as_ref().is_some_and(|checks| checks.lost_updates) {
            return 0;
        }
        let resources = self.resources();
        (0..).zip(&resources).filter(|(row, first)| row == *first).count() as u64
    }

    /// The most attempts of the load that leave room for the samples of the checks when both have `left` requests.
    pub(super) fn attempts_beside_checks(&self, left: u64) -> u64 {
        let Some(checks) = &self.checks else { return left };
        let by_limit = self.check_plan(Some(0)).and_then(|plan| plan.by_limit).unwrap_or(u64::MAX);
        let fits = |attempts: u64| {
            let (reads, writes) = checks.requests(attempts);
            attempts.saturating_add(reads.saturating_add(writes).min(by_limit)) <= left
        };
        // The cost grows with the attempts, so the last number that fits is found by halving.
        let (mut fitting, mut too_many) = (0, left.saturating_add(1));
        while too_many - fitting > 1 {
            let middle = fitting + (too_many - fitting) / 2;
            if fits(middle) {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        fitting
    }
}

/// The most of so many operations that are drawn, but for one case in ten thousand: the mean and four times its square
/// root, which is no less than the standard deviation of that binomial number.
fn most_sampled(share: Share, operations: u64) -> u64 {
    let mean = share.of(operations);
    if share == Share::NONE { 0 } else { (mean + 4 * mean.isqrt() + 4).min(operations) }
}

impl fmt::Display for CheckPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.operations.is_some() { "at most" } else { "for each 1,000 operations at most" };
        write!(f, "checks       {of} {} reads and {} writes beside the load", count(self.reads), count(self.writes))?;
        if let Some(most) = self.by_limit {
            write!(f, ", {} in all by the limit", count(most))?;
        }
        if self.resources > 0 {
            let resources = count(self.resources);
            write!(f, "\naudit        each of {resources} resources is read before the run and after it")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Visibility = Visibility {
        within: Duration::from_secs(1),
        first: Duration::from_millis(100),
        factor: 2.0,
        most: Duration::from_millis(400),
        ..Visibility::USUAL
    };

    #[test]
    fn looks_go_on_until_one_is_sent_at_the_bound() {
        // At 0.1, 0.2, 0.4, 0.8 and 1.2 s.
        assert_eq!(HALF.looks(), 5);
        assert_eq!(Visibility { within: HALF.first, ..HALF }.looks(), 1);
        assert_eq!(Visibility::USUAL.looks(), 17);
        let endless = Visibility { first: Duration::from_nanos(1), factor: 1.0, ..HALF };
        assert_eq!(endless.looks(), MOST_LOOKS + 1);
        assert_eq!(Visibility { factor: 1e9, most: Duration::MAX, within: Duration::MAX, ..HALF }.looks(), 5);
    }

    #[test]
    fn no_more_are_sampled_than_there_are() {
        let share = |text: &str| text.parse::<Share>().unwrap();
        assert_eq!(most_sampled(share("10%"), 0), 0);
        assert_eq!(most_sampled(share("10%"), 3), 3);
        assert_eq!(most_sampled(share("1%"), 10_000), 100 + 40 + 4);
        assert_eq!(most_sampled(Share::ALL, 10_000), 10_000);
        assert_eq!(most_sampled(Share::NONE, 10_000), 0);
    }
}
