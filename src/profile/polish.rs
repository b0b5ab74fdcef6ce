//! The last part of a search: where a fit still leaves something unexplained, better parameters may be just beyond a ridge.

use super::events::Events;
use super::fit::Fit;
use super::guess::spaced;
use super::search::{Free, Search, apart};
use super::theory::{Penalty, Theory};

/// Requests by which a search may end beside the limit, where the other parameters make up for most of it.
const LIMITS: [i32; 4] = [-2, -1, 1, 2];

/// How far around a length of time all others are looked at, as a factor, how many, and the level of refinement at which
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
    if best.surprises > 0 {
        // Only what lies on a narrow plateau explains everything, and no slope around it leads there.
        refine(best, &search, likeliest(&search, &lengths(best, CLOSE), CLOSE.2).into_iter());
    }
    if theory.kind.penalty == Penalty::None {
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
    if best.surprises > 0 {
        // A chain of blocks looks like one that is longer, and a long one like a chain.
        let theory = best.hypothesis.tiers[0];
        let chains = CHAINS.map(|factor| Theory { penalty: theory.penalty * factor, ..theory });
        refine(best, &search, chains.into_iter());
    }
    if best.surprises > 0 {
        refine(best, &search, likeliest(&coarse, &lengths(best, LENGTHS), LENGTHS.2).into_iter());
    }
}

/// So many lengths of time around that of a fit, as far as a factor.
fn lengths(fit: &Fit, (factor, count, _): (f64, u32, u32)) -> Vec<Theory> {
    let theory = fit.hypothesis.tiers[0];
    let lengths = spaced(theory.time / factor, theory.time * factor, count);
    lengths.map(|time| Theory { time, ..theory }).collect()
}

/// The best fit from any of these on, if it is better.
fn refine(best: &mut Fit, search: &Search, starts: impl Iterator<Item = Theory>) {
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
