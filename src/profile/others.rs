//! What explains a log if somebody else uses the same key at the same time: requests that nobody here saw.
//!
//! With others on the key a right model is wrong in one direction only: it is refused what it would admit, and never
//! admitted what it forbids. What others use is not known, but how it may change is: by requests that come at random, at
//! one rate, and by what the limiter gives back. So all that is kept of them is a distribution over how much they use,
//! which every outcome of our own makes narrower: whoever is admitted learns that there was room, whoever is refused that
//! there was none.

mod belief;
mod ends;
mod search;
mod sliding;
mod windows;

use std::time::Duration;

use super::clues::real;
use super::events::{Event, Events};
use super::figures::Estimate;
use super::finding::Measured;
use super::fit::{Fit, scored};
use super::rivals;
use super::score::{Score, evidence};
use super::theory::{Family, Hypothesis, Kind, Theory};
use sliding::{Bucket, SlidingLog};
use windows::Windows;

/// A limiter, and what others send to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crowded {
    pub(super) theory: Theory,
    /// Requests per second that others send.
    pub(super) others: f64,
}

/// What explains a log if others use the key, too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shared {
    /// The limiter, and how well it explains the log with the requests of others.
    pub(super) fit: Fit,
    /// How surely its numbers are known.
    pub(super) measured: Measured,
    /// Requests per second of others.
    pub(super) others: Estimate,
    /// Other kinds that explain as much.
    pub(super) alike: Vec<Kind>,
}

/// Requests from the beginning that are looked at: later ones say the same, and take as long again.
const MOST: usize = 1_500;

/// The shortest window, and the most requests that may come back, in a standard deviation of an arrival.
const SHORTEST: f64 = 40.0;
const FASTEST: f64 = 0.25;

/// An explanation leaves less than this share of what a coin would leave open.
const OPEN: f64 = 0.5;

/// Whoever uses less than this share of a quota is not told from chance.
const FEWEST: f64 = 0.02;

/// What was seen is this many standard deviations less likely than an explanation expects of itself: it is none.
const TOO_SURE: f64 = 3.0;

/// What explains the events if somebody else uses the key at the same time; `None` where nothing does. A kind leads clearly
/// if Schwarz's criterion says so by as much as that.
pub(super) fn explain(events: &Events, clear: f64) -> Option<Shared> {
    // What others send explains more than any stall would.
    let events = &events.first(MOST).forgiving(Duration::ZERO);
    let fits = search::search(events).into_iter().map(|(crowded, found)| (crowded, fit_of(&crowded, &found, events)));
    let allowed = rivals::allowed(events);
    let open = OPEN * rivals::coin(events);
    let fits = fits.filter(|(crowded, _)| crowded.is_visible(events.sigma));
    let mut fits: Vec<_> = fits.filter(|(_, fit)| fit.surprises <= allowed && fit.log_likelihood > open).collect();
    fits.sort_by(|a, b| a.1.bic.total_cmp(&b.1.bic));
    let (best, fit) = fits.first().cloned()?;
    if best.is_too_sure(events) {
        return None;
    }
    let alike = fits[1..].iter().filter(|(_, other)| other.bic < fit.bic + clear);
    let alike = alike.map(|(crowded, _)| crowded.theory.kind).collect();
    let (measured, others) = ends::measured(&best, fit.log_likelihood, events)?;
    // What explains a few odd refusals only is as likely something that nobody knows.
    let rate = best.theory.rate().unwrap_or(f64::INFINITY);
    (others.interval.low >= FEWEST * rate).then_some(Shared { fit, measured, others, alike })
}

/// An explanation with the rate of others as one more parameter.
fn fit_of(crowded: &Crowded, found: &Score, events: &Events) -> Fit {
    let mut fit = scored(Hypothesis::single(crowded.theory), found, events);
    fit.bic += real(events.list.len()).max(1.0).ln();
    fit
}

/// A limiter that others use, too.
enum Limiter {
    Windows(Windows),
    SlidingLog(SlidingLog),
    Bucket(Bucket),
}

fn portions_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX / 8)
}

impl Crowded {
    /// Whether arrivals are sure enough to see it: where several requests come back, or a window ends, while one is under way
    /// nobody knows when, anything is explained, and a coin, too.
    fn is_visible(&self, sigma: f64) -> bool {
        let rate = self.theory.rate().unwrap_or(f64::INFINITY);
        match self.theory.kind.family {
            Family::FirstRequestWindow | Family::ClockWindow => self.theory.time >= SHORTEST * sigma,
            _ => self.theory.recovery() >= SHORTEST * sigma && rate * sigma <= FASTEST,
        }
    }

    /// How well it explains the events; `None` as soon as that is worse than the floor. Arrivals are taken to be less sure
    /// by so many seconds, so that a search finds its way.
    pub(super) fn score(&self, events: &Events, blur: f64, floor: f64) -> Option<Score> {
        let mut explained = Score::default();
        self.judge(events, blur, |event, likely| {
            explained.add(event, likely);
            explained.log_likelihood >= floor
        })
        .then_some(explained)
    }

    /// Whether what was seen is far less likely than it would be if this were true. Then its chances are wrong, however
    /// much better it explains the events than others do.
    fn is_too_sure(&self, events: &Events) -> bool {
        let (mut surplus, mut variance) = (0.0, 0.0);
        self.judge(events, 0.0, |_, likely| {
            let (seen, other) = (evidence(likely), evidence(1.0 - likely));
            surplus += seen - likely * seen - (1.0 - likely) * other;
            variance += likely * (1.0 - likely) * (seen - other).powi(2);
            true
        });
        surplus < -TOO_SURE * f64::max(variance, 1.0).sqrt()
    }

    /// Hands on how likely each outcome is by what was seen before, until that is no longer wanted; whether it was to the
    /// end.
    fn judge(&self, events: &Events, blur: f64, mut is_wanted: impl FnMut(&Event, f64) -> bool) -> bool {
        let Some(first) = events.list.first().map(|event| event.at.as_secs_f64()) else {
            return false;
        };
        let mut limiter = match self.theory.kind.family {
            Family::FirstRequestWindow | Family::ClockWindow => Limiter::Windows(Windows::new(*self, first)),
            Family::SlidingLog => Limiter::SlidingLog(SlidingLog::new(*self, first)),
            _ => Limiter::Bucket(Bucket::new(*self, first)),
        };
        for event in &events.list {
            let Some(admitted) = event.admitted else {
                continue;
            };
            let likely = match &mut limiter {
                Limiter::Windows(windows) => windows.judge(event, blur, admitted),
                Limiter::SlidingLog(log) => log.judge(event, blur, admitted),
                Limiter::Bucket(bucket) => bucket.judge(event, blur, admitted),
            };
            if !is_wanted(event, likely) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
