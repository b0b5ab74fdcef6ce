//! What was refused at which pace: facts that need no model.

use super::log::{Answer, Log, Observation};
use crate::stats::{ShareInterval, clopper_pearson};

/// Gaps that differ by no more than this share are one pace.
const EVEN: f64 = 0.25;

/// A pace was held if so many requests kept to it.
const FEWEST: usize = 12;

/// Stretches whose rates differ by no more than this share are of one pace.
const SAME: f64 = 0.1;

/// At most so many paces, those that were held longest.
const MOST: usize = 6;

/// A pace that was held, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Requests per second.
    pub rate: f64,
    /// Requests that were admitted or refused.
    pub requests: u32,
    /// How many of them were refused.
    pub refused: u32,
}

impl Held {
    /// The share of them that was refused.
    #[must_use]
    pub fn refused_share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.requests.max(1))
    }

    /// Its exact interval at 95 %, as [`clopper_pearson`] gives it; whether one is refused may depend on those before, so
    /// it says how much was seen rather than what comes next.
    #[must_use]
    pub fn interval(&self) -> ShareInterval {
        clopper_pearson(self.refused, self.requests)
    }
}

/// The paces that the key under test was held to, the slowest first: stretches of even gaps.
#[must_use]
pub fn paces(log: &Log) -> Vec<Held> {
    let mut found: Vec<Held> = Vec::new();
    let mut rest = log.observations();
    while rest.len() >= FEWEST {
        let length = even(rest);
        if let Some(held) = (length >= FEWEST).then(|| held(&rest[..length])).flatten() {
            match found.iter_mut().find(|other| (other.rate / held.rate - 1.0).abs() < SAME) {
                Some(same) => {
                    same.requests += held.requests;
                    same.refused += held.refused;
                }
                None => found.push(held),
            }
        }
        rest = &rest[length.max(2) - 1..];
    }
    found.sort_by_key(|held| std::cmp::Reverse(held.requests));
    found.truncate(MOST);
    found.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    found
}

/// How many from the first on came after gaps that are about the same.
fn even(list: &[Observation]) -> usize {
    let gap = |pair: &[Observation]| pair[1].sent.saturating_sub(pair[0].sent).as_secs_f64();
    let Some(first) = list.windows(2).next().map(gap).filter(|first| *first > 0.0) else {
        return 1;
    };
    let is_even = |pair: &&[Observation]| (gap(pair) / first - 1.0).abs() <= EVEN;
    1 + list.windows(2).take_while(is_even).count()
}

fn held(list: &[Observation]) -> Option<Held> {
    let length = list.last()?.sent.saturating_sub(list.first()?.sent).as_secs_f64();
    let count =
        |is: fn(&Observation) -> bool| u32::try_from(list.iter().filter(|one| is(one)).count()).unwrap_or(u32::MAX);
    let gaps = u32::try_from(list.len() - 1).unwrap_or(u32::MAX);
    let requests = count(Observation::is_decided);
    let refused = count(|one| matches!(one.answer, Answer::Refused { .. }));
    (requests > 0 && length > 0.0).then(|| Held { rate: f64::from(gaps) / length, requests, refused })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Requests after these gaps of milliseconds, every third of them refused.
    fn log(gaps: impl IntoIterator<Item = u64>) -> Log {
        let mut at = 0;
        let observation = |(n, gap): (usize, u64)| {
            at += gap;
            let sent = Duration::from_millis(at);
            let answer = if n % 3 == 2 { Answer::Refused { retry_after: None } } else { Answer::Admitted };
            Observation { key: 0, due: sent, sent, received: sent, answer }
        };
        gaps.into_iter().enumerate().map(observation).collect()
    }

    #[test]
    fn a_pace_is_a_stretch_of_even_gaps() {
        let fast = std::iter::repeat_n(100, 30);
        let slow = std::iter::repeat_n(500, 15);
        let found = paces(&log(fast.clone().chain([7_000, 1, 50]).chain(slow).chain([3]).chain(fast)));
        let figures: Vec<_> = found.iter().map(|held| (held.rate, held.requests)).collect();
        assert_eq!(figures.len(), 2, "{found:?}");
        assert!((figures[0].0 - 2.0).abs() < 1e-9 && (figures[1].0 - 10.0).abs() < 1e-9, "{found:?}");
        assert!((14..=16).contains(&figures[0].1) && (58..=61).contains(&figures[1].1), "{found:?}");
    }

    #[test]
    fn what_was_refused_of_it_has_an_exact_interval() {
        let found = paces(&log(std::iter::repeat_n(100, 60)));
        assert_eq!((found[0].requests, found[0].refused), (60, 20));
        let ShareInterval { low, high } = found[0].interval();
        assert!(low > 0.21 && low < 1.0 / 3.0 && high < 0.47 && high > 1.0 / 3.0, "{low} {high}");
    }

    #[test]
    fn without_any_pace_there_is_none() {
        assert!(paces(&Log::default()).is_empty());
        assert!(paces(&log((0..40).map(|n| 1 + n * n))).is_empty());
    }
}
