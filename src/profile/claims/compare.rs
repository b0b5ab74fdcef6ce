//! Claims against what was measured.

use std::collections::HashMap;
use std::time::Duration;

use super::fields::{Fact, Statement};
use super::{Claim, Note, Says, Standing, quotas};
use crate::profile::account::{Said, account};
use crate::profile::finding::Finding;
use crate::profile::log::Log;
use crate::quota::Usage;

/// Different quotas of one header and name at most: a server that says ever another one says nothing.
const MOST_QUOTAS: usize = 8;

/// Headers tell whole seconds, and which way they are rounded is the server's affair.
const ROUNDING_S: f64 = 1.0;

/// A header is true where so many of its answers are: some cross each other on the way, whatever they say.
const NEARLY_ALL: f64 = 0.95;

/// Answers that must be tested before a header is called true or wrong.
const ENOUGH: u32 = 3;

/// What was said, once each, in the order in which it was said first.
pub(super) fn claims(notes: &[Note], finding: &Finding, log: &Log) -> Vec<Claim> {
    let moments = Moments::of(finding, log);
    let mut found: Vec<Group<'_>> = Vec::new();
    for note in notes.iter().filter(|note| note.key == 0) {
        for statement in &note.statements {
            let place = found.iter().position(|group| group.is_of(statement));
            let place = place.unwrap_or_else(|| {
                found.push(Group { first: statement, said: Vec::new() });
                found.len() - 1
            });
            found[place].said.push((note, statement.fact));
        }
    }
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    found.retain(|group| {
        let count = counts.entry((group.first.source, group.first.name.as_str())).or_default();
        *count += usize::from(matches!(group.first.fact, Fact::Quota { .. }));
        *count <= MOST_QUOTAS
    });
    let mut claims: Vec<_> = found.iter().map(|group| group.claim(finding, &moments)).collect();
    quotas::judge(&mut claims, finding, log);
    claims
}

/// Answers that said the same, or of which each said how it was at its time.
struct Group<'a> {
    first: &'a Statement,
    said: Vec<(&'a Note, Fact)>,
}

impl Group<'_> {
    /// Whether a statement says the same; of what changes all the time, whether it is about the same.
    fn is_of(&self, other: &Statement) -> bool {
        let is_same = match (self.first.fact, other.fact) {
            (one @ Fact::Quota { .. }, other @ Fact::Quota { .. }) => one == other,
            (one, other) => std::mem::discriminant(&one) == std::mem::discriminant(&other),
        };
        is_same && self.first.source == other.source && self.first.name == other.name
    }

    fn claim(&self, finding: &Finding, moments: &Moments) -> Claim {
        let (says, standing) = match self.first.fact {
            Fact::Quota { limit, window_s, unit } => {
                (Says::Quota { limit, window_s, unit, tier: None }, Standing::NotTested)
            }
            Fact::Remaining(_) => self.remaining(moments),
            Fact::Reset(_) => self.reset(moments),
            Fact::RetryAfter(_) => self.retry_after(finding, moments),
        };
        Claim {
            source: self.first.source.to_owned(),
            name: self.first.name.clone(),
            says,
            answers: u32::try_from(self.said.len()).unwrap_or(u32::MAX),
            standing,
        }
    }

    fn remaining(&self, moments: &Moments) -> (Says, Standing) {
        let (mut tested, mut right) = (0, 0);
        for (note, fact) in &self.said {
            if let (Fact::Remaining(left), Some(moment)) = (*fact, moments.of_note(note))
                && moment.is_alone
            {
                tested += 1;
                // Some count the request that they answer, others do not.
                let is_right = |usage: &Usage| left.abs_diff(usage.remaining.into()) <= 1;
                right += u32::from(moment.said.usages.iter().any(is_right));
            }
        }
        (Says::Remaining { tested, right }, standing(tested, right))
    }

    fn reset(&self, moments: &Moments) -> (Says, Standing) {
        let (mut tested, mut whole, mut next) = (0, 0, 0);
        for (note, fact) in &self.said {
            if let (Fact::Reset(rest), Some(moment)) = (*fact, moments.of_note(note)) {
                tested += 1;
                let near = ROUNDING_S + moment.slack();
                let is_near = |seconds: f64| (rest - seconds).abs() <= near;
                whole += u32::from(moment.said.usages.iter().any(|usage| is_near(usage.reset.as_secs_f64())));
                next += u32::from(moment.wait().is_some_and(is_near));
            }
        }
        (Says::Reset { tested, whole, next }, standing(tested, whole.max(next)))
    }

    fn retry_after(&self, finding: &Finding, moments: &Moments) -> (Says, Standing) {
        let unsure = finding.unsure();
        let (mut named, mut needed, mut over, mut under) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
        for (note, fact) in &self.said {
            if let (Fact::RetryAfter(wait), Some(moment), true) = (*fact, moments.of_note(note), note.is_refused)
                && let Some(rest) = moment.wait().filter(|_| !moment.said.is_admitted())
            {
                let lacks = rest - wait - moment.slack();
                if lacks > 0.0 && lacks <= unsure {
                    // Too short by no more than is known of the limiter.
                    continue;
                }
                named.push(wait);
                needed.push(rest);
                if lacks <= 0.0 {
                    over.push((wait - rest).max(0.0));
                } else {
                    under = under.max(rest - wait);
                }
            }
        }
        let count = |list: &[f64]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let (tested, enough) = (count(&named), count(&over));
        let spread = |list: &[f64]| {
            let (low, high) =
                list.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
            high - low
        };
        // Whole seconds that are rounded hide differences of up to two of them.
        let is_constant = tested >= ENOUGH && spread(&named) <= 0.0 && spread(&needed) > 2.0 * ROUNDING_S;
        over.sort_by(f64::total_cmp);
        let says = Says::RetryAfter {
            tested,
            enough,
            too_long_s: over.get(over.len() / 2).copied(),
            too_short_s: (under > 0.0).then_some(under),
            constant_s: named.first().copied().filter(|_| is_constant),
        };
        (says, standing(tested, enough))
    }
}

fn standing(tested: u32, right: u32) -> Standing {
    match tested {
        0..ENOUGH => Standing::NotTested,
        _ if f64::from(right) >= NEARLY_ALL * f64::from(tested) => Standing::True,
        _ => Standing::Wrong,
    }
}

/// The requests of the key under test by when their answers came, with what the best explanation says of them.
struct Moments(HashMap<Duration, Moment>);

struct Moment {
    said: Said,
    /// Whether no other request of the key was under way.
    is_alone: bool,
}

impl Moments {
    fn of(finding: &Finding, log: &Log) -> Self {
        let Some(best) = finding.best.as_ref().filter(|_| finding.stands()) else {
            return Self(HashMap::new());
        };
        let own = account(log, &best.hypothesis).into_iter().filter(|(observation, _)| observation.key == 0);
        let own: Vec<_> = own.collect();
        let mut moments = HashMap::new();
        let mut latest = Duration::ZERO;
        for (n, (observation, said)) in own.iter().enumerate() {
            let next = own.get(n + 1).map_or(Duration::MAX, |(next, _)| next.sent);
            let is_alone = latest <= observation.sent && observation.received <= next;
            latest = latest.max(observation.received);
            if let Some(said) = said {
                moments.insert(observation.received, Moment { said: said.clone(), is_alone });
            }
        }
        Self(moments)
    }

    fn of_note(&self, note: &Note) -> Option<&Moment> {
        self.0.get(&note.at)
    }
}

impl Moment {
    /// By how many seconds its arrival may be wrong.
    fn slack(&self) -> f64 {
        3.0 * self.said.sigma
    }

    /// Seconds from its arrival until another request is admitted; `None` where time does not tell.
    fn wait(&self) -> Option<f64> {
        Some(self.said.opens?.saturating_sub(self.said.arrival).as_secs_f64())
    }
}
