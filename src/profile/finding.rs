//! What a profile comes to.

use std::time::Duration;

use super::advice::Advice;
use super::figures::Estimate;
use super::fit::Fit;
use super::interval::Interval;
use super::scope::Sharing;
use super::theory::Kind;

/// What is known of the limiter at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How much of it is proven.
    pub verdict: Verdict,
    /// What explains the log best, however well.
    pub best: Option<Fit>,
    /// How surely the numbers of the best are known, for each of its limiters; none before they are measured.
    pub tiers: Vec<Measured>,
    /// Who else shares its quota, for each of its limiters and each other key that was tried.
    pub scope: Vec<Sharing>,
    /// What was predicted and what came of it.
    pub checks: Vec<Check>,
    /// The limit to impose on oneself, where it is known well enough to give any.
    pub advice: Option<Advice>,
    /// The run that kept to the latest advice; none where no rate was held long enough to say anything.
    pub proof: Option<Proof>,
    /// What had been spent when the last prediction was put to the test.
    pub before_test: Option<Spent>,
    /// Why nothing more was sent.
    pub stopped: Stopped,
    /// The highest rate that was admitted without a refusal, and for how long.
    pub unrefused: Unrefused,
}

/// How surely the numbers of a limiter are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The length of the window, or for buckets the time in which one request is regained, in seconds: at 95 %.
    pub time: Interval,
    /// For how many seconds a refusal blocks: at 95 %. `None` where it does not.
    pub block: Option<Interval>,
    /// The lowest and the highest limit that the log allows; the same where it is certain.
    pub limits: (u32, u32),
}

/// How much is proven.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The kind leads clearly, nothing contradicts it, and it predicted what would be admitted.
    Identified,
    /// These explain the log as well as the best, and nothing affordable tells them apart.
    Equivalent(Vec<Kind>),
    /// The best leads, and its prediction was not tested for want of requests or time.
    NotVerified,
    /// The best explained the log, but its prediction failed.
    NotConfirmed,
    /// No known kind explains the log by itself, and the best does if somebody else uses the key at the same time.
    SharedQuota {
        /// Requests per second that others are taken to send.
        others: Estimate,
        /// Kinds that explain as much with others.
        alike: Vec<Kind>,
    },
    /// No known kind explains the log.
    Unknown,
    /// Nothing was refused.
    NoLimit,
    /// Too little was seen before it had to end.
    Undecided,
}

impl Finding {
    /// Requests per second that others are taken to send with the same key; `None` where nothing says so.
    #[must_use]
    pub fn others(&self) -> Option<Estimate> {
        match self.verdict {
            Verdict::SharedQuota { others, .. } => Some(others),
            _ => None,
        }
    }

    /// How surely the time of the first limiter is known.
    #[must_use]
    pub fn time(&self) -> Option<Interval> {
        self.tiers.first().map(|measured| measured.time)
    }

    /// By how many seconds it may be wrong when a request is admitted: of the lengths of the first limiter, the one that
    /// is known least surely.
    pub(super) fn unsure(&self) -> f64 {
        let lengths = self.tiers.first().map(|measured| [Some(measured.time), measured.block]);
        lengths.into_iter().flatten().flatten().map(|length| length.high - length.low).fold(0.0, f64::max)
    }
}

/// A prediction that was written down before the requests were sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// The rate as a share of the one that the answer says is sustainable.
    pub share: f64,
    /// Requests.
    pub sent: u32,
    /// How many of them would be admitted.
    pub predicted: u32,
    /// The same, at the instants at which they really were sent.
    pub expected: u32,
    /// By how many the prediction may be wrong.
    pub tolerance: u32,
    /// How many were admitted.
    pub admitted: u32,
}

impl Check {
    /// Whether the prediction came true.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.expected.abs_diff(self.admitted) <= self.tolerance
    }
}

/// So many windows without a refusal prove an advice.
const WINDOWS: u32 = 5;

/// What came of a run at the pace that is advised, after it was predicted that nothing of it would be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// For how many windows it was held; of buckets for how many times that it takes them to fill.
    pub windows: u32,
    /// Requests.
    pub requests: u32,
    /// How many of them were refused.
    pub refused: u32,
}

impl Proof {
    /// Whether it was held for five windows without a refusal.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.windows >= WINDOWS && self.refused == 0
    }

    /// The windows for which an advice is held, if there are requests and time enough.
    pub(super) const ALL: u32 = WINDOWS;
}

/// What a part of a profile cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Requests of the key under test and of others.
    pub requests: u32,
    /// Time.
    pub time: Duration,
}

/// Why nothing more was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is nothing left to find out.
    Done,
    /// All requests of the budget were sent.
    Requests,
    /// The time was over.
    Time,
    /// Three failures of the server in a row.
    Failures,
    /// The server asked to come back later than there was time for.
    RetryAfter(Duration),
    /// Somebody ended it.
    Interrupted,
    /// The target answered nothing any more.
    Silent,
    /// The first answers all said that we may not, or that nothing is there.
    TurnedAway,
}

/// The longest stretch without a refusal, at the highest rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Unrefused {
    /// Requests per second.
    pub rate: f64,
    /// Requests.
    pub requests: u32,
}
