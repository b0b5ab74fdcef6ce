//! Which worker a user lives on, and which part of the limit it owns there.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::pace::assign;
use crate::scenario::{Limit, LimitKey, Scenario};
use crate::units::format::count;

/// From this rate on, one worker no longer keeps up with a limit by itself, in permits per second.
const SPLIT_FROM: f64 = 20_000.0;

/// How users and limits are placed on workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    workers: NonZeroUsize,
    users: u32,
    keys: Keys,
}

/// What a limit's users have in common.
#[derive(Debug, Clone, PartialEq)]
enum Keys {
    /// There is no limit: users are spread evenly.
    None,
    /// Users with the same token live on one worker, which owns the token's limit.
    Tokens(Limit),
    /// One limit for all: it and all users live on one worker.
    Whole(Limit),
    /// One limit for all in parts of the same rate, one per worker, out of step with each other.
    Parts(Limit),
}

impl Placement {
    /// Places a scenario's users on at most so many workers; workers that would have no user are left out.
    #[must_use]
    pub fn new(scenario: &Scenario, workers: NonZeroUsize) -> Self {
        let users = scenario.load.max_users();
        let keys = match scenario.limit {
            None => Keys::None,
            Some(limit) => match limit.per {
                LimitKey::Token => Keys::Tokens(limit),
                LimitKey::Run if limit.rate.per_second() < SPLIT_FROM => Keys::Whole(limit),
                LimitKey::Run => Keys::Parts(limit),
            },
        };
        let useful = match keys {
            Keys::Whole(_) => 1,
            Keys::Tokens(_) => scenario.target.tokens.users_of_each(users).iter().filter(|users| **users > 0).count(),
            Keys::None | Keys::Parts(_) => users as usize,
        };
        let workers = NonZeroUsize::new(useful.min(workers.get())).unwrap_or(NonZeroUsize::MIN);
        Self { workers, users, keys }
    }

    /// Workers that have users.
    #[must_use]
    pub fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// The users of a worker.
    pub fn users_of(&self, scenario: &Scenario, worker: usize) -> impl Iterator<Item = u32> {
        (0..self.users).filter(move |user| self.owns(scenario, worker, *user))
    }

    /// Whether a user, and so each of its operations, is a worker's.
    #[must_use]
    pub fn owns(&self, scenario: &Scenario, worker: usize, user: u32) -> bool {
        let owner = match self.keys {
            Keys::Tokens(_) => scenario.target.tokens.of(user) as u64,
            Keys::Whole(_) => 0,
            Keys::None | Keys::Parts(_) => u64::from(user),
        };
        assign(owner, self.workers) == worker
    }

    /// What each worker may have of so many attempts: in proportion to its users, and in all not one more.
    #[must_use]
    pub fn shares_of(&self, scenario: &Scenario, attempts: u64) -> Vec<u64> {
        let all = u128::from(self.users.max(1));
        let (mut users, mut given) = (0, 0);
        let share = |worker| {
            users += self.users_of(scenario, worker).count() as u128;
            let up_to_here = u64::try_from(u128::from(attempts) * users / all).unwrap_or(attempts);
            let share = up_to_here - given;
            given = up_to_here;
            share
        };
        (0..self.workers.get()).map(share).collect()
    }

    /// The limits of a worker, in the order of [`Placement::key_of`]: each with the instant of its first slot.
    #[must_use]
    pub fn limits_of(&self, scenario: &Scenario, worker: usize) -> Vec<(Limit, Duration)> {
        match self.keys {
            Keys::None => Vec::new(),
            Keys::Whole(limit) => vec![(limit, Duration::ZERO)],
            Keys::Tokens(limit) => vec![(limit, Duration::ZERO); scenario.target.tokens.count()],
            Keys::Parts(limit) => {
                let parts = u32::try_from(self.workers.get()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
                let burst = NonZeroU32::new(limit.burst.get() / parts).unwrap_or(NonZeroU32::MIN);
                let part = Limit { rate: limit.rate.part(parts), burst, ..limit };
                vec![(part, limit.rate.period() * u32::try_from(worker).unwrap_or(0))]
            }
        }
    }

    /// The index among its worker's limits of the one that a user is under; `None` where there is no limit.
    #[must_use]
    pub fn key_of(&self, scenario: &Scenario, user: u32) -> Option<usize> {
        match self.keys {
            Keys::None => None,
            Keys::Whole(_) | Keys::Parts(_) => Some(0),
            Keys::Tokens(_) => Some(scenario.target.tokens.of(user)),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |number: u64, what| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
        let workers = self.workers.get() as u64;
        write!(f, "{} on {}", of(self.users.into(), "user"), of(workers, "worker"))?;
        match &self.keys {
            Keys::Whole(_) => write!(f, ", which owns the limit of the run"),
            Keys::Tokens(_) if workers == 1 => write!(f, ", which owns the limits of all tokens"),
            Keys::Tokens(_) => write!(f, ", each token's users and limit on one of them"),
            Keys::Parts(_) => write!(f, ", each with 1/{workers} of the limit of the run"),
            Keys::None => write!(f, ", without a limit"),
        }
    }
}
