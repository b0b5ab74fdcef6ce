//! The search for the limiter and the rate of others that explain a log best.

use std::ops::Range;

use super::super::clues::Clues;
use super::super::events::Events;
use super::super::guess::rounded;
use super::super::score::Score;
use super::super::search::Search;
use super::super::theory::{Family, Kind, Theory};
use super::Crowded;

/// Requests after the first burst that a coarse search looks at.
const EARLY: usize = 250;

/// Limits are looked for at so many times the largest part of them that came to us, and up to it.
const LIMITS: [f64; 4] = [1.0, 1.1, 1.3, 1.7];

/// Others may use up more than what the first burst lacked, since they went on later.
const RATES: [f64; 2] = [1.0, 0.4];

/// The least that others are taken to send, as a share of the quota.
const LEAST: f64 = 0.02;

/// Starts of each kind that are refined, first roughly and then to the end.
const MANY: usize = 50;
const PROMISING: usize = 4;
const FINALISTS: usize = 2;

/// What is farther behind the best than this is given up.
const HOPELESS: f64 = 60.0;

/// Levels of refinement, each with steps half as wide, and the widest step as a share of a parameter.
const LEVELS: u32 = 9;
const WIDEST: f64 = 0.03;

/// Phases that are tried for windows on a clock: the first edges.
const PHASES: usize = 3;

/// Times that are tried of each kind at most.
const TIMES: usize = 160;

/// Others are taken to send at most so many times as much as the quota.
const MOST: f64 = 1.5;

/// How much longer each time is than the one before where nothing tells any of them.
const FINER: f64 = 1.04;

/// The kinds that others may be seen to use: those of which it is known how what they use comes back.
const FAMILIES: [Family; 4] =
    [Family::SlidingLog, Family::TokenBucket, Family::ClockWindow, Family::FirstRequestWindow];

/// The best explanation of each kind.
pub(super) fn search(events: &Events) -> Vec<(Crowded, Score)> {
    let clues = Clues::of(events);
    let early = events.first(EARLY + clues.cold_requests());
    let mut found: Vec<(Crowded, Score)> = Vec::new();
    for family in FAMILIES {
        let mut suggested = starts(&clues, family);
        suggested.retain(|start| start.is_visible(events.sigma));
        let is_quick = matches!(family, Family::SlidingLog | Family::TokenBucket);
        let best = found.iter().map(|(_, explained)| explained.log_likelihood).fold(f64::NEG_INFINITY, f64::max);
        let first = promising(&suggested, if is_quick { events } else { &early }, (MANY, f64::NEG_INFINITY));
        let promising = promising(&first, events, (PROMISING, best - HOPELESS * 3.0));
        let mut rough: Vec<_> = promising.into_iter().filter_map(|start| refine(start, events, 0..3)).collect();
        rough.sort_by(|a, b| b.1.log_likelihood.total_cmp(&a.1.log_likelihood));
        let refined = rough.into_iter().take(FINALISTS).filter_map(|(start, _)| refine(start, events, 3..LEVELS));
        found.extend(refined.max_by(|a, b| a.1.log_likelihood.total_cmp(&b.1.log_likelihood)));
    }
    found
}

/// Parameters that a log suggests.
fn starts(clues: &Clues, family: Family) -> Vec<Crowded> {
    let kind = Kind::plain(family);
    let most = clues.cold.0.max(1);
    let times = match family {
        Family::TokenBucket => periods(clues),
        // Others open windows before us, and what they sent comes back at any time: nothing stands out.
        _ => grid(clues),
    };
    let phases = if family == Family::ClockWindow { &clues.edges[..clues.edges.len().min(PHASES)] } else { &[0.0][..] };
    let mut found = Vec::new();
    for time in times {
        for share in LIMITS {
            let limit = rounded((f64::from(most) * share).ceil()).max(1);
            let quota = if kind.is_bucket() { 1.0 } else { f64::from(limit) } / time;
            let taken = 1.0 - f64::from(clues.cold.0.min(limit)) / f64::from(limit);
            for rate in RATES {
                let others = quota * (taken * rate).max(LEAST);
                let of_phase = |phase: &f64| Crowded {
                    theory: Theory { kind, limit, time, phase: *phase, tick: 0.0, penalty: 0.0 },
                    others,
                };
                found.extend(phases.iter().map(of_phase));
            }
        }
    }
    found
}

/// Times from so short that the first burst was all of it to a part of the whole, each a little longer than the one before.
fn grid(clues: &Clues) -> Vec<f64> {
    let first = clues.cold.1.max(clues.slack).max(1e-3);
    std::iter::successors(Some(first), |time| Some(time * FINER))
        .take_while(|time| *time < clues.span / 2.0)
        .take(TIMES)
        .collect()
}

/// Times around those in which one request was regained: others took some of what was.
fn periods(clues: &Clues) -> Vec<f64> {
    let mut seen: Vec<_> = clues.periods.iter().copied().filter(|period| *period > 0.0).collect();
    seen.sort_unstable_by(f64::total_cmp);
    let part = |tenths: usize| seen.get(seen.len() * tenths / 10).copied();
    let (Some(low), Some(high)) = (part(2), part(8)) else {
        return Vec::new();
    };
    let finer = |time: &f64| Some(time * FINER);
    std::iter::successors(Some(low * 0.3), finer).take_while(|time| *time < high * 1.2).take(TIMES).collect()
}

/// The best of these, on arrivals as unsure as parameters are.
fn promising(starts: &[Crowded], events: &Events, (count, worst): (usize, f64)) -> Vec<Crowded> {
    let mut ranked: Vec<(f64, Crowded)> = Vec::new();
    for start in starts {
        let floor = ranked.first().map_or(worst, |(best, _)| worst.max(best - HOPELESS * 2.0));
        if let Some(found) = start.score(events, Search::blur(&start.theory), floor) {
            let at = ranked.partition_point(|(other, _)| *other >= found.log_likelihood);
            let is_near = |other: &&(f64, Crowded)| {
                let (one, other) = (start.theory, other.1.theory);
                (one.time / other.time - 1.0).abs() < 0.03 && (one.phase - other.phase).abs() < 0.03 * one.time
            };
            if ranked[..at].iter().filter(is_near).count() < 2 {
                ranked.insert(at, (found.log_likelihood, *start));
                ranked.truncate(count);
            }
        }
    }
    ranked.into_iter().map(|(_, start)| start).collect()
}

/// Improves parameters one by one, in ever smaller steps and on ever surer arrivals; `None` where that is hopeless.
fn refine(start: Crowded, events: &Events, levels: Range<u32>) -> Option<(Crowded, Score)> {
    let mut best = start;
    let mut explained = None;
    for level in levels {
        let half = 0.5_f64.powi(i32::try_from(level).unwrap_or(i32::MAX));
        let blur = if level + 2 >= LEVELS { 0.0 } else { Search::blur(&start.theory) * half / 2.0 };
        let mut now = best.score(events, blur, f64::NEG_INFINITY)?;
        for _ in 0..2 {
            let before = now.log_likelihood;
            for next in neighbours(&best, half) {
                if let Some(found) = next.score(events, blur, now.log_likelihood)
                    && found.log_likelihood > now.log_likelihood + 1e-6
                {
                    (now, best) = (found, next);
                }
            }
            if now.log_likelihood <= before {
                break;
            }
        }
        explained = Some(now);
    }
    Some((best, explained?))
}

/// The same with one parameter a step off, or two that make up for each other.
fn neighbours(crowded: &Crowded, half: f64) -> Vec<Crowded> {
    let Crowded { theory, others } = *crowded;
    let step = WIDEST * half;
    let more = rounded((f64::from(theory.limit) * 0.08 * half).ceil()).max(1);
    let mut found = Vec::with_capacity(14);
    let most = MOST * theory.rate().unwrap_or(others);
    for sign in [1.0, -1.0] {
        let time = theory.time * (1.0 + sign * step);
        let rate = (others * (sign * 0.6 * half.sqrt()).exp()).min(most);
        found.push(Crowded { theory: Theory { time, ..theory }, others });
        found.push(Crowded { others: rate, ..*crowded });
        if theory.kind.has_phase() {
            found
                .push(Crowded { theory: Theory { phase: theory.phase + sign * step * theory.time, ..theory }, others });
            found.push(Crowded {
                theory: Theory { time, phase: theory.phase - sign * step * theory.time, ..theory },
                others,
            });
        }
        for limit in [theory.limit + more, theory.limit.saturating_sub(more).max(1)] {
            found.push(Crowded { theory: Theory { limit, ..theory }, others });
            found.push(Crowded { theory: Theory { limit, ..theory }, others: rate });
        }
    }
    found
}
