//! Claims of how many requests are allowed in what time, against the limiters that were measured.

use std::time::Duration;

use super::{Claim, Says, Standing, Unit};
use crate::profile::figures::{Estimate, Figures};
use crate::profile::finding::Finding;
use crate::profile::log::{Answer, Log};
use crate::profile::theory::Family;

/// A claim of one number: how many, in how many seconds, of what.
#[derive(Debug, Clone, Copy)]
struct Quota {
    limit: u64,
    window_s: Option<f64>,
    unit: Unit,
}

/// Judges all claims of quotas; what else is claimed stays as it is.
///
/// A server may have limits that nobody reached, so a claim that no limiter answers to is wrong only if more was admitted
/// than it allows, or if it is the tightest one of a source of which none is true: something refused before it did.
pub(super) fn judge(claims: &mut [Claim], finding: &Finding, log: &Log) {
    if !finding.stands() {
        return;
    }
    let figures = finding.figures();
    for claim in &mut *claims {
        let Some(quota) = quota_of(claim) else {
            continue;
        };
        let found = figures.iter().position(|figures| quota.is_of(figures));
        if let Says::Quota { tier, .. } = &mut claim.says {
            *tier = found;
        }
        if found.is_some() {
            claim.standing = Standing::True;
        } else if quota.is_exceeded(log) {
            claim.standing = Standing::Wrong;
        }
    }
    for n in 0..claims.len() {
        if is_contradicted(n, claims, &figures) {
            claims[n].standing = Standing::Wrong;
        }
    }
}

fn quota_of(claim: &Claim) -> Option<Quota> {
    match claim.says {
        Says::Quota { limit, window_s, unit, .. } => Some(Quota { limit, window_s, unit }),
        Says::Remaining { .. } | Says::Reset { .. } | Says::RetryAfter { .. } => None,
    }
}

/// Whether something refused before an untested claim did, although no other claim of its source explains that.
fn is_contradicted(n: usize, claims: &[Claim], figures: &[Figures]) -> bool {
    let claim = &claims[n];
    let of_source = || claims.iter().enumerate().filter(|(_, other)| other.source == claim.source);
    let comparable = |claim: &Claim| {
        let quota = quota_of(claim).filter(|_| claim.standing == Standing::NotTested)?;
        let is_near = quota.unit == Unit::Requests && figures.iter().any(|figures| quota.is_in_time_of(figures));
        is_near.then_some(quota.limit)
    };
    let tightest = of_source().filter_map(|(n, other)| Some((comparable(other)?, n))).min();
    let is_explained = of_source().any(|(_, other)| quota_of(other).is_some() && other.standing != Standing::NotTested);
    !is_explained && tightest.is_some_and(|(_, tightest)| tightest == n)
}

impl Quota {
    /// Whether a limiter is the one that is claimed.
    fn is_of(&self, figures: &Figures) -> bool {
        let is_concurrency = figures.theory.kind.family == Family::Concurrency;
        let counts = match self.unit {
            Unit::Requests => !is_concurrency,
            Unit::Concurrent => is_concurrency,
            Unit::Other => false,
        };
        let (fewest, most) = figures.limits;
        let queued = u64::from(figures.theory.capacity()) == self.limit;
        let is_limit = (u64::from(fewest)..=u64::from(most)).contains(&self.limit) || queued;
        counts && is_limit && self.is_in_time_of(figures)
    }

    /// Whether the time is that of a limiter's window, or in which a bucket is whole again; or none is claimed.
    fn is_in_time_of(&self, figures: &Figures) -> bool {
        let (Some(window), Some(time)) = (self.window_s, figures.time) else {
            return true;
        };
        let limit = if figures.theory.kind.is_bucket() { f64::from(figures.theory.limit) } else { 1.0 };
        is_rounded(window, time, limit)
    }

    /// Whether more was admitted in any such time than two windows in a row or a bucket that is full can make of it.
    fn is_exceeded(&self, log: &Log) -> bool {
        let Some(window) = self.window_s.and_then(|window| Duration::try_from_secs_f64(window).ok()) else {
            return false;
        };
        if self.unit != Unit::Requests {
            return false;
        }
        let admitted: Vec<_> = log.observations().iter().filter(|one| one.answer == Answer::Admitted).collect();
        let mut first = 0;
        for (n, observation) in admitted.iter().enumerate() {
            while observation.sent.saturating_sub(admitted[first].sent) >= window {
                first += 1;
            }
            if u64::try_from(n + 1 - first).unwrap_or(u64::MAX) > self.limit.saturating_mul(2) {
                return true;
            }
        }
        false
    }
}

/// Whether a number of whole seconds is a measured time, so many times, rounded either way; where the time may well be
/// whole itself, that one.
fn is_rounded(claimed: f64, time: Estimate, times: f64) -> bool {
    let (low, high) = (time.interval.low * times, time.interval.high * times);
    if (low..=high).contains(&claimed) {
        return true;
    }
    let holds_whole = low.ceil() <= high;
    !holds_whole && (low.floor()..=high.ceil()).contains(&claimed)
}
