//! Where a search for parameters begins: what the events themselves suggest.

use super::clues::{Clues, EDGES, by_frequency, distinct, distinct_counts};
use super::theory::{Family, Kind, Penalty, Theory};

/// At most so many limits are tried.
const LIMITS: usize = 4;

/// Clocks that a search begins with.
const CLOCKS: usize = 12;

/// At most about so many combinations of a bucket and a clock are tried.
const TICKING: usize = 6_000;

/// A tick that is shorter than this part of what it takes to regain a request is as good as none.
const SHORTEST_TICK: f64 = 0.2;

/// The longest time between two turns has at most so many cycles.
const PARTS: u32 = 24;

/// One block of so many at most began with a refusal of which nobody heard.
const UNHEARD: usize = 8;

/// A start for the longest block that may be, a little below it.
const AT_MOST: f64 = 0.99;

/// What it costs a clock, as the logarithm of a chance, that a turn is nowhere near one of its beginnings.
const MISFIT: f64 = -6.0;

/// So many values from one to another, in equal proportions.
pub(super) fn spaced(from: f64, to: f64, count: u32) -> impl Iterator<Item = f64> {
    let factor = (to / from).max(1.0).powf(1.0 / f64::from(count.max(2) - 1));
    (0..count).scan(from, move |value, _| {
        let this = *value;
        *value *= factor;
        Some(this)
    })
}

impl Clues {
    /// Lengths that a window may have.
    fn windows(&self) -> Vec<f64> {
        let mut found: Vec<_> = spaced((self.span / 300.0).max(0.02), self.span.max(0.1), 40).collect();
        // After a burst, a counter trickles at the rate of its quota.
        for limit in self.limits() {
            found.extend(self.periods.iter().map(|period| period * f64::from(limit)));
        }
        for edge in &self.edges {
            let before = self.starts.iter().rev().filter(|start| *start < edge).take(3);
            found.extend(before.map(|start| edge - start));
        }
        found.extend(self.cycles());
        distinct(found, 0.004)
    }

    /// Times from one edge to another, and their parts.
    fn cycles(&self) -> Vec<f64> {
        let mut found = Vec::new();
        for (n, later) in self.edges.iter().enumerate() {
            for earlier in self.edges[..n].iter().rev().take(4) {
                found.extend((1..=4).map(|parts| (later - earlier) / f64::from(parts)));
            }
        }
        distinct(found, 0.004)
    }

    /// Requests that a window may admit: what was admitted at first, which may have begun in one window and ended in the
    /// next, and what was admitted most often from an edge on.
    fn limits(&self) -> Vec<u32> {
        let most = self.counts.iter().copied().max().unwrap_or(1);
        let often = by_frequency(self.counts.iter().copied().filter(|count| *count >= most / 3).collect());
        distinct_counts(often.into_iter().take(LIMITS).chain([self.cold.0, self.cold_round]).collect())
    }

    /// Requests that a window of such a length may admit if it turned while the first burst went on: then that was admitted
    /// some more.
    fn limits_within(&self, time: f64) -> Vec<u32> {
        let most = (self.cold.1 / time).min(0.8);
        let cold = f64::from(self.cold_round);
        if most * cold < 2.0 {
            return Vec::new();
        }
        [0.25, 0.5, 0.75, 1.0].iter().map(|part| rounded(cold * (1.0 - most * part))).collect()
    }

    /// Requests that were admitted in the fullest stretch of such a length: a log that admits no more, refused by it.
    fn fullest(&self, time: f64) -> u32 {
        let (mut most, mut first) = (0, 0);
        for (n, last) in self.admitted.iter().enumerate() {
            while self.admitted[first] + time <= *last {
                first += 1;
            }
            most = most.max(n + 1 - first);
        }
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// What no block of a fixed length is longer than: all that were seen would have gone on, but for a few that began with
    /// a refusal of which nobody heard.
    fn fixed_at_most(&self) -> f64 {
        let mut blocks = self.blocks_at_most.clone();
        blocks.sort_unstable_by(f64::total_cmp);
        blocks.get(blocks.len() / UNHEARD).copied().unwrap_or(0.0)
    }

    /// How long a penalty of a kind may last.
    fn penalties(&self, penalty: Penalty) -> Vec<f64> {
        match penalty {
            Penalty::None => vec![0.0],
            Penalty::Fixed => {
                // A block that ends before the window does is never seen to end.
                let longest = self.blocks.iter().copied().fold(0.0, f64::max);
                let mut found: Vec<_> =
                    self.blocks.iter().copied().chain(spaced(longest / 16.0, longest, 80)).collect();
                let most = self.fixed_at_most();
                found.retain(|length| *length <= most);
                found.push(most * AT_MOST);
                distinct(found, 0.01)
            }
            Penalty::Extended => {
                let shortest = self.silences.iter().copied().fold(f64::INFINITY, f64::min);
                let from = self.longest_gap.max(shortest / 20.0).max(0.01);
                let mut found: Vec<_> = spaced(from.min(shortest), shortest, 5).collect();
                found.extend(&self.silences);
                distinct(found, 0.02)
            }
        }
    }

    /// Parameters from which a search for a kind may begin.
    pub(super) fn starts_of(&self, kind: Kind) -> Vec<Theory> {
        let theory = Theory { kind, limit: 1, time: 1.0, phase: 0.0, tick: 0.0, penalty: 0.0 };
        match kind.family {
            Family::Concurrency => {
                self.in_flight.iter().map(|limit| Theory { limit: *limit, ..theory }).take(EDGES).collect()
            }
            Family::TickingBucket => self.ticking(theory),
            _ if kind.is_bucket() => self.buckets(theory),
            _ => self.windowed(theory),
        }
    }

    fn windowed(&self, theory: Theory) -> Vec<Theory> {
        let penalties = self.penalties(theory.kind.penalty);
        let mut found = Vec::new();
        let clocks = self.clocks();
        if theory.kind.family == Family::ClockWindow {
            let of_limit =
                |limit| clocks.iter().map(move |(time, phase)| Theory { limit, time: *time, phase: *phase, ..theory });
            let penalties = penalties.iter().take(EDGES);
            found.extend(penalties.flat_map(|penalty| {
                let theories = self.limits().into_iter().flat_map(of_limit);
                theories.map(|theory| Theory { penalty: *penalty, ..theory })
            }));
        }
        if theory.kind.family == Family::ClockWindow && theory.kind.penalty != Penalty::None {
            return found;
        }
        let mut times = if theory.kind.family == Family::ClockWindow { self.clock_times() } else { self.windows() };
        if theory.kind.has_phase() && theory.kind.is_counter() {
            // What it admits after a burst hides where its windows begin, so every length must be tried.
            times = distinct(times.into_iter().chain(spaced(self.span / 60.0, self.span, 130)).collect(), 0.02);
        } else if theory.kind.penalty != Penalty::None {
            // A block outlasts the window most of the time, so few events tell of its length, and none how to get there.
            let between = self.ages.windows(2).map(|pair| (pair[0] * pair[1]).sqrt());
            let times_and_more = times.into_iter().chain(spaced(self.span / 300.0, self.span, 70)).chain(between);
            times = distinct(times_and_more.collect(), 0.015);
        }
        let phases = if theory.kind.has_phase() { self.phases.clone() } else { vec![0.0] };
        let limits = self.limits();
        for time in times {
            let more = match theory.kind.family {
                Family::SlidingLog => vec![self.fullest(time)],
                _ if theory.kind.is_counter() => self.limits_within(time),
                _ => Vec::new(),
            };
            let limits = distinct_counts(limits.iter().copied().chain(more).collect());
            let phases = distinct_phases(&phases, time);
            for penalty in &penalties {
                let of_limit = |limit: u32| {
                    phases.iter().map(move |phase| Theory { limit, time, phase: *phase, penalty: *penalty, ..theory })
                };
                found.extend(limits.iter().copied().flat_map(of_limit));
            }
        }
        found
    }

    fn clock_times(&self) -> Vec<f64> {
        let whole = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];
        distinct(self.cycles().into_iter().chain(whole).collect(), 0.004)
    }

    fn buckets(&self, theory: Theory) -> Vec<Theory> {
        let count = if theory.kind.family == Family::TickingBucket { 30 } else { 60 };
        let spread = spaced((self.span / 3000.0).max(0.001), self.span.max(0.01), count);
        let times = distinct(self.periods.iter().copied().chain(spread).collect(), 0.01);
        let penalties = self.penalties(theory.kind.penalty);
        let mut found = Vec::new();
        for penalty in penalties.iter().take(EDGES) {
            for time in &times {
                let burst = self.missing(*time);
                let at_once = if theory.kind.family == Family::TickingBucket { f64::from(self.cold.0) } else { burst };
                // One more than may wait in a queue is admitted at once.
                let beside = f64::from(u32::from(theory.kind.family == Family::LeakyQueue));
                let limits = [burst - 1.0, burst, burst + 1.0, at_once].map(|limit| rounded(limit - beside));
                let limits = distinct_counts(limits.to_vec()).into_iter();
                found.extend(limits.map(|limit| Theory { limit, time: *time, penalty: *penalty, ..theory }));
            }
        }
        found
    }

    /// What a bucket that regains a request in such a time lacks when it first refuses: as much as it holds.
    fn missing(&self, time: f64) -> f64 {
        let mut missing = 0.0_f64;
        let mut last = f64::NEG_INFINITY;
        for instant in &self.cold_instants {
            missing = (missing - (instant - last) / time).max(0.0) + 1.0;
            last = *instant;
        }
        missing.floor()
    }

    fn ticking(&self, theory: Theory) -> Vec<Theory> {
        let buckets = self.buckets(theory);
        let clocks = self.clocks();
        // Far more combinations than there is time for: of each clock the same number of buckets, not the same ones.
        let every = (buckets.len() * clocks.len()).div_ceil(TICKING).max(1);
        let of_clock = |(n, (tick, phase)): (usize, (f64, f64))| {
            let gains =
                buckets.iter().filter(move |bucket| tick > bucket.time * SHORTEST_TICK).skip(n % every).step_by(every);
            gains.map(move |bucket| Theory { phase, tick, ..*bucket })
        };
        clocks.into_iter().enumerate().flat_map(of_clock).collect()
    }

    /// Cycles, and an instant at which one begins, that have a beginning wherever refusals turn into admissions. The
    /// longer a cycle is against the time within which it turns, the less is that chance.
    fn clocks(&self) -> Vec<(f64, f64)> {
        let Some((narrowest, others)) = self.turns.split_first() else {
            return Vec::new();
        };
        let phase = f64::midpoint(narrowest.0, narrowest.1);
        let half = (narrowest.1 - narrowest.0) / 2.0 + self.slack;
        // How far each turn is from the narrowest one, at least and at most.
        let mut apart: Vec<_> = others
            .iter()
            .map(
                |turn| if turn.0 > phase { (turn.0 - phase, turn.1 - phase) } else { (phase - turn.1, phase - turn.0) },
            )
            .map(|(low, high)| ((low - half).max(0.0), high + half))
            .collect();
        apart.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let whole = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0].map(|cycle| (cycle, cycle));
        let parts =
            apart.iter().flat_map(|(low, high)| (1..=PARTS).map(move |n| (low / f64::from(n), high / f64::from(n))));
        let mut found: Vec<_> = whole.into_iter().chain(parts).map(|range| narrowed(range, &apart)).collect();
        found.retain(|(_, cycle)| *cycle > self.slack);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut kept: Vec<f64> = Vec::new();
        for (_, cycle) in found {
            if kept.len() < CLOCKS && !kept.iter().any(|other| (other - cycle).abs() < 0.0003 * cycle) {
                kept.push(cycle);
            }
        }
        kept.into_iter().map(|cycle| (cycle, phase)).collect()
    }
}

/// A cycle of a length between two, made ever surer by times that are whole numbers of it, the shortest first; and how
/// much speaks for it.
fn narrowed((mut shortest, mut longest): (f64, f64), apart: &[(f64, f64)]) -> (f64, f64) {
    let mut evidence = 0.0;
    for (low, high) in apart {
        let (fewest, most) = ((low / longest).ceil(), (high / shortest).floor());
        if fewest > most {
            evidence += MISFIT;
            continue;
        }
        let chance = (high - low) / shortest + high * (1.0 / shortest - 1.0 / longest);
        evidence -= chance.min(1.0).ln();
        if fewest >= most && most >= 1.0 {
            shortest = shortest.max(low / most);
            longest = longest.min(high / most);
        }
    }
    (evidence, f64::midpoint(shortest, longest))
}

/// The nearest count, from zero on.
pub(super) fn rounded(value: f64) -> u32 {
    let bounded = value.round().clamp(0.0, f64::from(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the bounds of u32")]
    let count = bounded as u32;
    count
}

/// Instants that differ by more than a fiftieth of a cycle within it.
fn distinct_phases(instants: &[f64], cycle: f64) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    for instant in instants {
        let is_near = |other: &f64| {
            let off = (instant - other).rem_euclid(cycle);
            off.min(cycle - off) < cycle / 50.0
        };
        if !kept.iter().any(is_near) {
            kept.push(*instant);
        }
    }
    kept
}
