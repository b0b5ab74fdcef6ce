//! Where a search for parameters begins: what the events themselves suggest.

use super::events::{Event, Events};
use super::theory::{Family, Kind, Penalty, Theory};

/// At most so many edges are looked at; the best seen ones.
const EDGES: usize = 10;

/// At most so many limits are tried.
const LIMITS: usize = 4;

/// At most so many turns are looked at.
const TURNS: usize = 40;

/// What stands out in a series of events; instants and times in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Clues {
    /// Where refusals turn into admissions.
    edges: Vec<f64>,
    /// The last refusal and the first admission where one turns into the other, of the first so many.
    turns: Vec<(f64, f64)>,
    /// Where something may have begun: the first request, the first after an edge or after a pause.
    starts: Vec<f64>,
    /// For each refusal that follows an admission: how long everything was refused from then on.
    blocks: Vec<f64>,
    /// For each edge: how long nothing was sent before it.
    silences: Vec<f64>,
    /// The longest time between two refusals with nothing admitted in between.
    longest_gap: f64,
    /// Admissions from an edge, or the beginning, until the next refusal.
    counts: Vec<u32>,
    /// Requests in flight when one more was refused.
    in_flight: Vec<u32>,
    /// Admissions until the first refusal, and how long that took.
    cold: (u32, f64),
    /// Times in which one request was regained while there was nothing left.
    periods: Vec<f64>,
    /// How old a full burst was when one more request came: the length of a window lies between two of these.
    ages: Vec<f64>,
    /// From the first event to the last.
    span: f64,
}

/// A whole number as a real one.
pub(super) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn instant(event: &Event) -> f64 {
    event.at.as_secs_f64()
}

/// So many values from one to another, in equal proportions.
fn spaced(from: f64, to: f64, count: u32) -> impl Iterator<Item = f64> {
    let factor = (to / from).max(1.0).powf(1.0 / f64::from(count.max(2) - 1));
    (0..count).scan(from, move |value, _| {
        let this = *value;
        *value *= factor;
        Some(this)
    })
}

/// Values that differ by more than a fraction of theirs, in order.
fn distinct(mut values: Vec<f64>, fraction: f64) -> Vec<f64> {
    values.retain(|value| value.is_finite() && *value > 0.0);
    values.sort_unstable_by(f64::total_cmp);
    values.dedup_by(|next, kept| *next < *kept * (1.0 + fraction));
    values
}

fn distinct_counts(mut counts: Vec<u32>) -> Vec<u32> {
    counts.retain(|count| *count > 0);
    counts.sort_unstable();
    counts.dedup();
    counts
}

impl Clues {
    /// Goes once through the events.
    pub(super) fn of(events: &Events) -> Self {
        let decided: Vec<_> = events.list.iter().filter(|event| event.admitted.is_some() && !event.is_spike).collect();
        let (Some(first), Some(latest)) = (decided.first(), decided.last()) else {
            return Self::default();
        };
        let mut clues =
            Self { span: instant(latest) - instant(first), starts: vec![instant(first)], ..Self::default() };
        clues.read_edges(&decided);
        clues.read_pauses(&decided);
        clues.read_in_flight(&decided);
        clues.read_ages(&decided);
        clues
    }

    /// Requests until the first refusal.
    pub(super) fn cold_requests(&self) -> usize {
        usize::try_from(self.cold.0).unwrap_or(usize::MAX / 2)
    }

    fn read_edges(&mut self, list: &[&Event]) {
        let mut edges: Vec<(f64, f64, f64)> = Vec::new();
        let (mut count, mut blocked_from, mut since_edge) = (0_u32, None, 0_u32);
        for pair in list.windows(2) {
            let (now, next) = (instant(pair[0]), instant(pair[1]));
            count += u32::from(pair[0].admitted == Some(true));
            match (pair[0].admitted, pair[1].admitted) {
                (Some(true), Some(false)) => {
                    if self.counts.is_empty() {
                        self.cold = (count, next - instant(list[0]));
                    }
                    self.counts.push(count - since_edge);
                    blocked_from = Some(next);
                }
                (Some(false), Some(true)) => {
                    let width = next - now;
                    self.silences.push(width);
                    if self.turns.len() < TURNS {
                        self.turns.push((now, next));
                    }
                    self.blocks.extend(blocked_from.map(|from| f64::midpoint(now, next) - from));
                    if let Some((_, edge, _)) = edges.last() {
                        let passed = f64::midpoint(now, next) - edge;
                        self.periods.push(passed / f64::from((count - since_edge).max(1)));
                    }
                    edges.push((width, f64::midpoint(now, next), next));
                    since_edge = count;
                }
                (Some(false), Some(false)) => self.longest_gap = self.longest_gap.max(next - now),
                _ => {}
            }
        }
        if let (Some(first), Some(last)) = (edges.first(), edges.last()) {
            let between = list.iter().filter(|e| e.admitted == Some(true) && (first.2..last.2).contains(&instant(e)));
            self.periods.push((last.1 - first.1) / real(between.count()).max(1.0));
        }
        // The first ones follow a full burst; of the others the best seen ones.
        let first = edges.len().min(3);
        edges[first..].sort_by(|a, b| a.0.total_cmp(&b.0));
        edges.truncate(EDGES);
        self.edges = edges.iter().map(|edge| edge.1).collect();
        self.edges.sort_unstable_by(f64::total_cmp);
        self.starts.extend(edges.iter().map(|edge| edge.2));
    }

    /// After a refusal a window is taken to begin anew, as it does where refusals block.
    fn read_ages(&mut self, list: &[&Event]) {
        let (mut began, mut count) = (0.0, 0);
        for event in list {
            let at = instant(event);
            if count >= self.cold.0 {
                self.ages.push(at - began);
                count = 0;
            }
            if event.admitted == Some(true) {
                began = if count == 0 { at } else { began };
                count += 1;
            } else {
                count = 0;
            }
        }
        self.ages = distinct(std::mem::take(&mut self.ages), 0.002);
        self.ages.truncate(TURNS);
    }

    fn read_pauses(&mut self, list: &[&Event]) {
        let mut gaps: Vec<_> = list.windows(2).map(|pair| (instant(pair[1]) - instant(pair[0]), pair[1])).collect();
        gaps.sort_by(|a, b| b.0.total_cmp(&a.0));
        let after = gaps.iter().take(EDGES).filter(|gap| gap.1.admitted == Some(true));
        self.starts.extend(after.map(|gap| instant(gap.1)));
        self.starts.sort_unstable_by(f64::total_cmp);
        self.starts.dedup();
    }

    fn read_in_flight(&mut self, list: &[&Event]) {
        let mut open: Vec<_> = Vec::new();
        for event in list {
            open.retain(|done| *done > event.at);
            match event.admitted {
                Some(true) => open.push(event.done),
                _ => self.in_flight.push(u32::try_from(open.len()).unwrap_or(u32::MAX)),
            }
        }
        self.in_flight = distinct_counts(std::mem::take(&mut self.in_flight));
    }

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
        let mut counts: Vec<_> = self.counts.iter().copied().filter(|count| *count >= most / 3).collect();
        counts.sort_unstable();
        let mut often: Vec<_> = counts.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
        often.sort_unstable_by(|a, b| b.cmp(a));
        distinct_counts(often.iter().take(LIMITS).map(|(_, count)| *count).chain([self.cold.0]).collect())
    }

    /// How long a penalty of a kind may last.
    fn penalties(&self, penalty: Penalty) -> Vec<f64> {
        match penalty {
            Penalty::None => vec![0.0],
            Penalty::Fixed => {
                // A block that ends before the window does is never seen to end.
                let longest = self.blocks.iter().copied().fold(0.0, f64::max);
                distinct(self.blocks.iter().copied().chain(spaced(longest / 8.0, longest, 8)).collect(), 0.02)
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
            times = distinct(times_and_more.collect(), 0.005);
        }
        let phases = if theory.kind.has_phase() { self.edges.clone() } else { vec![0.0] };
        for penalty in penalties.iter().take(EDGES + 4) {
            for limit in self.limits() {
                for time in &times {
                    let theories = distinct_phases(&phases, *time).into_iter();
                    found.extend(theories.map(|phase| Theory {
                        limit,
                        time: *time,
                        phase,
                        penalty: *penalty,
                        ..theory
                    }));
                }
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
                let regained = self.cold.1 / time;
                let burst = f64::from(self.cold.0) - regained.floor();
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

    fn ticking(&self, theory: Theory) -> Vec<Theory> {
        let mut found = Vec::new();
        let ticks = self.clocks();
        for bucket in self.buckets(theory) {
            let gains = |(tick, _): &&(f64, f64)| *tick > bucket.time * 0.9;
            found.extend(ticks.iter().filter(gains).map(|(tick, phase)| Theory {
                tick: *tick,
                phase: *phase,
                ..bucket
            }));
        }
        // Far more combinations than there is time for: each so many of them, evenly.
        let every = (found.len() / 1500).max(1);
        found.into_iter().step_by(every).collect()
    }

    /// Cycles, and an instant at which one begins, that have a beginning wherever refusals turn into admissions. The
    /// longer a cycle is against the time within which it turns, the less is that chance.
    fn clocks(&self) -> Vec<(f64, f64)> {
        let Some(narrowest) = self.turns.iter().copied().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))) else {
            return Vec::new();
        };
        let phase = f64::midpoint(narrowest.0, narrowest.1);
        let mut cycles = vec![0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0];
        for turn in &self.turns {
            let apart = (f64::midpoint(turn.0, turn.1) - phase).abs();
            cycles.extend((1..=24).map(|parts| apart / f64::from(parts)));
        }
        let evidence = |cycle: f64| -> f64 {
            let of_turn = |turn: &(f64, f64)| {
                let width = (turn.1 - turn.0).max(0.001);
                let last = phase + ((turn.1 + 0.001 - phase) / cycle).floor() * cycle;
                if last >= turn.0 - 0.001 { (cycle / width).ln().max(0.0) } else { -6.0 }
            };
            self.turns.iter().map(of_turn).sum()
        };
        let mut found: Vec<_> = distinct(cycles, 0.001).into_iter().map(|cycle| (evidence(cycle), cycle)).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().take(12).map(|(_, cycle)| (cycle, phase)).collect()
    }
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
