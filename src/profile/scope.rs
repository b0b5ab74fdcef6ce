//! Who else shares the quota of the key under test.

use super::course::Leg;
use super::events::Events;
use super::log::{Answer, Log, Observation};
use super::replay::Replay;
use super::score::replayed_until;
use super::theory::Hypothesis;

/// In what a request differs from those of the key under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// It carries another token of the same client.
    Token,
    /// It carries the token of another client.
    Client,
    /// It changes another resource.
    Resource,
    /// It is of another method or path.
    Method,
}

/// What the requests of another key tell of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Which limiter of the best hypothesis, from 0: the one that refused the key under test at that time.
    pub tier: usize,
    /// Which other key, from 1.
    pub key: usize,
    /// Its requests that were refused between two refusals of the key under test.
    pub refused: u32,
    /// Those that were admitted there.
    pub admitted: u32,
    /// Its requests that were admitted between two admissions of the key under test.
    pub controls: u32,
    /// Those that were refused there, so that something else refuses them.
    pub strange: u32,
}

/// Whether two keys have a quota in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Both use up the same one.
    Yes,
    /// Each has its own.
    No,
    /// The requests contradict each other, or are too few.
    Unclear,
}

/// So many requests at least must agree.
const ENOUGH: u32 = 2;

/// So often each other key is tried while the key under test is refused.
pub(super) const ROUNDS: u32 = 3;

impl Sharing {
    /// What its requests say together: they must agree, and whoever was refused must be known to be admitted else.
    #[must_use]
    pub fn shared(&self) -> Shared {
        match (self.refused, self.admitted, self.strange) {
            (0, ENOUGH.., 0) => Shared::No,
            (ENOUGH.., 0, 0) if self.controls > 0 => Shared::Yes,
            _ => Shared::Unclear,
        }
    }
}

/// A request of each other key between two of the key under test, in another order each time.
pub(super) fn round(others: usize, number: u32) -> Leg {
    let shift = usize::try_from(number).unwrap_or(0);
    let mut keys: Vec<_> = (0..others).map(|n| 1 + (n + shift) % others).collect();
    if number % 2 == 1 {
        keys.reverse();
    }
    Leg::Keys(std::iter::once(0).chain(keys.into_iter().flat_map(|key| [key, 0])).collect())
}

/// Whether the key under test was refused when it was asked last, and the time before.
pub(super) fn is_exhausted(log: &Log) -> bool {
    let mut latest = log.observations().iter().rev().filter(|observation| observation.is_decided());
    let mut refused = || latest.next().is_some_and(|observation| observation.answer != Answer::Admitted);
    refused() && refused()
}

/// The requests that used one quota, in the order of sending: those of the key under test, and those of others that have
/// only been refused while it was.
pub(super) fn of_one_quota(log: &Log) -> Vec<Observation> {
    let probes: Vec<_> = log.others().iter().filter(|one| exhausted_around(log, one) == Some(true)).collect();
    let shares = |key: usize| {
        let mut own = probes.iter().filter(|one| one.key == key).peekable();
        own.peek().is_some() && own.all(|one| one.answer != Answer::Admitted)
    };
    let mut used: Vec<_> = log.observations().to_vec();
    used.extend(log.others().iter().filter(|one| shares(one.key)));
    used.sort_by_key(|observation| observation.sent);
    used
}

/// What all requests of other keys tell, for each limiter of the hypothesis, the most limiting one at the time.
pub(super) fn judge(log: &Log, events: &Events, hypothesis: &Hypothesis) -> Vec<Sharing> {
    let mut found: Vec<Sharing> = Vec::new();
    for (observation, was_exhausted) in log.others().iter().filter_map(|one| Some((one, exhausted_around(log, one)?))) {
        let mut replay: Replay = replayed_until(events, hypothesis, observation.sent);
        let tier = replay.binding(observation.sent + events.base / 2);
        let place = found.iter().position(|sharing| (sharing.tier, sharing.key) == (tier, observation.key));
        let place = place.unwrap_or_else(|| {
            let key = observation.key;
            found.push(Sharing { tier, key, refused: 0, admitted: 0, controls: 0, strange: 0 });
            found.len() - 1
        });
        let sharing = &mut found[place];
        *match (was_exhausted, observation.answer == Answer::Admitted) {
            (true, false) => &mut sharing.refused,
            (true, true) => &mut sharing.admitted,
            (false, true) => &mut sharing.controls,
            (false, false) => &mut sharing.strange,
        } += 1;
    }
    found.sort_by_key(|sharing| (sharing.tier, sharing.key));
    spread_controls(&mut found);
    found
}

/// A key that was admitted while there was quota left was admitted by all limiters.
fn spread_controls(found: &mut [Sharing]) {
    let all = found.to_vec();
    for sharing in found {
        let same = all.iter().filter(|other| other.key == sharing.key);
        (sharing.controls, sharing.strange) =
            same.fold((0, 0), |(controls, strange), one| (controls + one.controls, strange + one.strange));
    }
}

/// Whether the key under test had used up its quota when another one asked; `None` where it was refused only before or
/// only after, or where either is unknown.
fn exhausted_around(log: &Log, asked: &Observation) -> Option<bool> {
    let after = log.observations().partition_point(|observation| observation.sent < asked.sent);
    let before = log.observations()[..after].last()?;
    let after = log.observations().get(after)?;
    let known = asked.is_decided() && before.is_decided() && after.is_decided();
    (known && (before.answer == Answer::Admitted) == (after.answer == Answer::Admitted))
        .then_some(before.answer != Answer::Admitted)
}
