//! The last part of a search: where a fit still leaves something unexplained, better parameters may be just beyond a ridge.

use super::events::Events;
use super::fit::{Fit, describe};
use super::guess::spaced;
use super::interval::Length;
use super::search::{Free, Search, apart};
use super::theory::Theory;

/// Requests by which a search may end beside the limit, where the other parameters make up for most of it.
const LIMITS: [i32; 4] = [-2, -1, 1, 2];

/// How far around a length all others are looked at, as a factor, how many, and the level of refinement at which
/// they are judged.
const LENGTHS: (f64, u32, u32) = (2.5, 400, 3);

/// The same next to a length, where arrivals are sure enough to tell apart what differs by so little.
const CLOSE: (f64, u32, u32) = (1.006, 96, 10);

/// By how many times a block may have been taken for shorter or longer than it is.
const CHAINS: [f64; 4] = [0.5, 2.0, 1.0 / 3.0, 3.0];

/// Steps of time and penalty, as parts of them, with the level of refinement at which they are judged, and how many to
/// each side.
const STEPS: [(f64, u32); 2] = [(0.01, 2), (0.002, 4)];
const ASIDE: i32 = 4;

/// A length may be anything if one of these times it explains as much, but for so little of the log-likelihood.
const BESIDE: [f64; 2] = [0.995, 1.005];
const FLAT: f64 = 0.5;

/// Requests that came together and count as one where many are looked at.
const TOGETHER: u32 = 16;

/// Of those that were looked at, so many that differ are refined.
const REFINED: usize = 4;

/// The best fit near one that leaves something unexplained.
pub(super) fn polish(best: &mut Fit, events: &Events) {
    let theory = best.hypothesis.tiers[0];
    // On the way there it may explain far less.
    let search = Search { events, floor: f64::NEG_INFINITY };
    let limits = LIMITS.into_iter().filter_map(|off| theory.limit.checked_add_signed(off));
    refine(best, &search, limits.filter(|limit| *limit > 0).map(|limit| Theory { limit, ..theory }));
    if best.odd() > 0 {
        // Only what lies on a narrow plateau explains everything, and no slope around it leads there.
        refine(best, &search, likeliest(&search, &lengths(best, Length::Time, CLOSE), CLOSE.2).into_iter());
    }
    if !theory.kind.blocks() {
        return;
    }
    // Of many that come at once each would speak against parameters that are off by a little.
    let thinned = events.thinned(TOGETHER);
    let coarse = Search { events: &thinned, floor: f64::NEG_INFINITY };
    // Whether a refusal begins a block depends on the other parameter, too: each alone leads nowhere.
    for (step, level) in STEPS {
        let theory = best.hypothesis.tiers[0];
        refine(best, &search, likeliest(&coarse, &lattice(&theory, step), level).into_iter());
    }
    if best.odd() > 0 {
        // A chain of blocks looks like one that is longer, and a long one like a chain.
        let theory = best.hypothesis.tiers[0];
        let chains = CHAINS.map(|factor| Theory { penalty: theory.penalty * factor, ..theory });
        refine(best, &search, chains.into_iter());
    }
    if best.odd() > 0 {
        look_around(best, events);
    }
}

/// The best fit with other lengths of time, however far from these.
pub(super) fn look_around(best: &mut Fit, events: &Events) {
    let thinned = events.thinned(TOGETHER);
    let coarse = Search { events: &thinned, floor: f64::NEG_INFINITY };
    let search = Search { events, floor: f64::NEG_INFINITY };
    for length in Length::all(&best.hypothesis.tiers[0]) {
        let others = lengths(best, *length, LENGTHS);
        refine(best, &search, likeliest(&coarse, &others, LENGTHS.2).into_iter());
    }
}

/// Moves what may be anything between two lengths into the middle: a search ends where the first of them is, and a test of
/// one at an end tells hardly anything.
pub(super) fn centre(fit: &mut Fit, events: &Events) {
    for length in Length::all(&fit.hypothesis.tiers[0]) {
        let theory = fit.hypothesis.tiers[0];
        let with = |by: f64| {
            let mut other = fit.hypothesis.clone();
            other.tiers[0] = length.with(theory, by);
            describe(other, events)
        };
        let is_as_good = |other: &Fit| other.log_likelihood > fit.log_likelihood - FLAT && other.odd() <= fit.odd();
        let is_vague = BESIDE.iter().any(|share| is_as_good(&with(length.of(&theory) * share)));
        let centred = is_vague.then(|| with(fit.length(events, *length).middle()));
        if let Some(centred) = centred.filter(is_as_good) {
            *fit = centred;
        }
    }
}

/// So many lengths around that of a fit, as far as a factor.
fn lengths(fit: &Fit, length: Length, (factor, count, _): (f64, u32, u32)) -> Vec<Theory> {
    let theory = fit.hypothesis.tiers[0];
    let middle = length.of(&theory);
    spaced(middle / factor, middle * factor, count).map(|other| length.with(theory, other)).collect()
}

/// The best fit from any of these on, if it is better.
fn refine(best: &mut Fit, search: &Search, starts: impl Iterator<Item = Theory>) {
    let starts = search.own(starts.collect()).into_iter();
    for found in starts.filter_map(|theory| search.refine(theory, Free::ButLimit)) {
        if found.log_likelihood > best.log_likelihood {
            *best = found;
        }
    }
}

/// Those that explain most, on arrivals as unsure as parameters are at a level of refinement.
fn likeliest(search: &Search, theories: &[Theory], level: u32) -> Vec<Theory> {
    let mut ranked: Vec<_> = theories.iter().map(|theory| (search.worth(*theory, level), *theory)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    apart(ranked.into_iter().map(|(_, theory)| theory), REFINED)
}

/// Times and penalties on a grid around those of a theory.
fn lattice(theory: &Theory, step: f64) -> Vec<Theory> {
    let times = |off: i32| 1.0 + f64::from(off) * step;
    let row = |time: i32| (-ASIDE..=ASIDE).map(move |penalty| (times(time), times(penalty)));
    let all = (-ASIDE..=ASIDE).flat_map(row);
    all.map(|(time, penalty)| Theory { time: theory.time * time, penalty: theory.penalty * penalty, ..*theory })
        .collect()
}
