//! A finished profile as a plain value: what texts and files are made from.

use std::time::Duration;

use super::Plan;
use super::claims::{Claim, Says, Standing, Unit};
use super::finding::{Finding, Unrefused, Verdict};
use super::fit::Fit;
use super::log::{Answer, Log, Observation};
use super::scope::{Dimension, Shared, Sharing};

/// All that a profile came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The scenario's name.
    pub name: String,
    /// The target's name.
    pub target: String,
    /// Where the target is, for people: its URL without secrets, or what stands in its place.
    pub place: String,
    /// The zero of all instants of the log, in seconds since 1970-01-01T00:00:00Z by this machine's clock.
    pub started_unix_s: f64,
    /// Whose requests there are: the key under test first, then the others in the order of their numbers.
    pub keys: Vec<Key>,
    /// What it might have cost.
    pub plan: Plan,
    /// What is known of the limiter.
    pub finding: Finding,
    /// The explanations that were left at the end, the best first.
    pub fits: Vec<Fit>,
    /// Every request that has been answered or given up.
    pub log: Log,
    /// What the server says of its limits, held against what was measured.
    pub claims: Vec<Claim>,
    /// How long it took.
    pub elapsed: Duration,
    /// Requests that were sent, also those that nobody waited for any more.
    pub requests: u32,
    /// Whether it came to its own end.
    pub end: End,
}

/// A key: requests that are alike in everything a quota may be counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What it is called, such as `token 2`; never a secret.
    pub label: String,
    /// In what it differs from the key under test: nothing for that one itself.
    pub differs: Vec<Dimension>,
}

/// How a profile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself; why, is in [`Finding::stopped`].
    Finished,
    /// Somebody stopped it: what is known until then stands.
    Interrupted,
}

impl Profile {
    /// What the server says of a quota that too little was seen of to say anything else: declared, and not verified. Only
    /// of windows that were not over before the profile was.
    pub fn declared(&self) -> impl Iterator<Item = &Claim> {
        let is_unknown = self.finding.verdict == Verdict::Undecided;
        let lasted = self.elapsed.as_secs_f64();
        let is_quota = move |claim: &&Claim| {
            let is_longer = matches!(
                claim.says,
                Says::Quota { window_s: Some(window), unit: Unit::Requests, .. } if window >= lasted
            );
            is_longer && claim.standing == Standing::NotTested
        };
        self.claims.iter().filter(is_quota).filter(move |_| is_unknown)
    }

    /// The wait that the last refusal named, where too little was seen to say anything else and nobody could wait so long:
    /// declared, and not verified.
    #[must_use]
    pub fn declared_wait(&self) -> Option<Duration> {
        let last = self.log.observations().iter().rev().find(|observation| observation.is_decided())?;
        let Answer::Refused { retry_after: Some(wait) } = last.answer else {
            return None;
        };
        (self.finding.verdict == Verdict::Undecided && last.received + wait > self.elapsed).then_some(wait)
    }

    /// Whether all that is known of the quota is what the server declares.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared_wait().is_some() || self.declared().next().is_some()
    }

    /// Whether keys that differ in this alone share the quota of a limiter; `None` where none was tried.
    #[must_use]
    pub fn shared(&self, tier: usize, dimension: Dimension) -> Option<Shared> {
        let mut alone =
            self.sharing(tier).filter(|(key, _)| key.differs == [dimension]).map(|(_, sharing)| sharing.shared());
        let first = alone.next()?;
        Some(if alone.all(|other| other == first) { first } else { Shared::Unclear })
    }

    /// Whether each token has a quota of its own of all limiters, so that each may be paced by itself.
    #[must_use]
    pub fn is_per_token(&self) -> bool {
        let tiers = self.finding.best.as_ref().map_or(0, |best| best.hypothesis.tiers.len());
        tiers > 0 && (0..tiers).all(|tier| self.shared(tier, Dimension::Token) == Some(Shared::No))
    }

    /// What is known of who shares the quota of one of the limiters, with the key that was tried.
    pub fn sharing(&self, tier: usize) -> impl Iterator<Item = (&Key, &Sharing)> {
        let of_tier = self.finding.scope.iter().filter(move |sharing| sharing.tier == tier);
        of_tier.filter_map(|sharing| Some((self.keys.get(sharing.key)?, sharing)))
    }
}

impl Log {
    /// How many requests of the key under test were admitted or refused.
    #[must_use]
    pub fn decided(&self) -> u32 {
        self.count(Observation::is_decided)
    }

    /// How many requests of the key under test were refused.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.count(|observation| matches!(observation.answer, Answer::Refused { .. }))
    }

    fn count(&self, is_wanted: fn(&Observation) -> bool) -> u32 {
        let count = self.observations().iter().filter(|observation| is_wanted(observation)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

impl Unrefused {
    /// From the first of these requests to the last; `None` where there was none.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        let gaps = f64::from(self.requests.checked_sub(1)?);
        Duration::try_from_secs_f64(gaps / self.rate).ok()
    }

    /// The share of requests below which refusals are at 95 %, none of these requests having been one: 1 - 0.05^(1/n),
    /// the one-sided interval of Clopper and Pearson. 1 where there was none.
    #[must_use]
    pub fn refused_share_below(&self) -> f64 {
        if self.requests == 0 { 1.0 } else { 1.0 - 0.05_f64.powf(1.0 / f64::from(self.requests)) }
    }
}
