//! What stands out in a series of events: where refusals turn into admissions, how much is admitted until the next refusal,
//! how fast it is regained.

use super::events::{Event, Events};

/// At most so many edges are looked at; the best seen ones.
pub(super) const EDGES: usize = 10;

/// At most so many turns are looked at.
const TURNS: usize = 80;

/// At most so many ages of a full burst are looked at.
const AGES: usize = 40;

/// Refusals between admissions within so many standard deviations of an arrival may only seem to have come in between.
const UNSURE: f64 = 6.0;

/// Admissions between two refusals, by which the time is measured that one of them takes to be regained.
const REGAINED: [u32; 4] = [4, 16, 64, 256];

/// What stands out; instants and times in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Clues {
    /// Where refusals turn into admissions.
    pub(super) edges: Vec<f64>,
    /// Where windows on a clock may begin; empty until somebody says.
    pub(super) phases: Vec<f64>,
    /// The last refusal and the first admission where one turns into the other.
    pub(super) turns: Vec<(f64, f64)>,
    /// Where something may have begun: the first request, the first after an edge or after a pause.
    pub(super) starts: Vec<f64>,
    /// For each refusal that follows an admission: how long everything was refused from then on.
    pub(super) blocks: Vec<f64>,
    /// The same until something was admitted again, which no block outlasts.
    pub(super) blocks_at_most: Vec<f64>,
    /// For each edge: how long nothing was sent before it.
    pub(super) silences: Vec<f64>,
    /// The longest time between two refusals with nothing admitted in between.
    pub(super) longest_gap: f64,
    /// Admissions from an edge, or the beginning, until the next refusal.
    pub(super) counts: Vec<u32>,
    /// Requests in flight when one more was refused; what was so most often comes first.
    pub(super) in_flight: Vec<u32>,
    /// Admissions until the first refusal, and how long that took.
    pub(super) cold: (u32, f64),
    /// Admissions of all requests that were sent until the first one that was refused: which of those that were sent at
    /// once came first is not sure.
    pub(super) cold_round: u32,
    /// When those were admitted that were until the first refusal.
    pub(super) cold_instants: Vec<f64>,
    /// When those were admitted that were at all.
    pub(super) admitted: Vec<f64>,
    /// Times in which one request was regained while there was nothing left.
    pub(super) periods: Vec<f64>,
    /// How old a full burst was when one more request came: the length of a window lies between two of these.
    pub(super) ages: Vec<f64>,
    /// From the first event to the last.
    pub(super) span: f64,
    /// By how much an instant may be wrong.
    pub(super) slack: f64,
}

/// Events in a row that had the same outcome.
#[derive(Debug, Clone, Copy)]
struct Run {
    admitted: bool,
    count: u32,
    first: f64,
    last: f64,
}

/// A whole number as a real one.
pub(super) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

pub(super) fn instant(event: &Event) -> f64 {
    event.at.as_secs_f64()
}

/// Values that differ by more than a fraction of theirs, in order.
pub(super) fn distinct(mut values: Vec<f64>, fraction: f64) -> Vec<f64> {
    values.retain(|value| value.is_finite() && *value > 0.0);
    values.sort_unstable_by(f64::total_cmp);
    values.dedup_by(|next, kept| *next < *kept * (1.0 + fraction));
    values
}

pub(super) fn distinct_counts(mut counts: Vec<u32>) -> Vec<u32> {
    counts.retain(|count| *count > 0);
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// What there is of counts other than zero, the most frequent first.
pub(super) fn by_frequency(mut counts: Vec<u32>) -> Vec<u32> {
    counts.retain(|count| *count > 0);
    counts.sort_unstable();
    let mut often: Vec<_> = counts.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
    often.sort_unstable_by(|a, b| b.cmp(a));
    often.into_iter().map(|(_, count)| count).collect()
}

impl Clues {
    /// Goes a few times through the events.
    pub(super) fn of(events: &Events) -> Self {
        let mut decided: Vec<_> =
            events.list.iter().filter(|event| event.admitted.is_some() && !event.is_spike).collect();
        // A refusal that seems to turn into an admission while both are under way is no edge.
        for n in 1..decided.len() {
            if decided[n].admitted == Some(true) && events.may_have_crossed(decided[n - 1], decided[n]) {
                decided.swap(n - 1, n);
            }
        }
        let (Some(first), Some(latest)) = (decided.first(), decided.last()) else {
            return Self::default();
        };
        let mut clues = Self {
            span: instant(latest) - instant(first),
            starts: vec![instant(first)],
            slack: events.sigma * 3.0,
            ..Self::default()
        };
        let runs = runs_of(&decided, events.sigma * UNSURE);
        clues.admitted =
            decided.iter().filter(|event| event.admitted == Some(true)).map(|event| instant(event)).collect();
        clues.read_edges(&decided, &runs);
        clues.read_cold(events, &decided);
        clues.read_periods(&decided);
        clues.read_pauses(&decided);
        clues.read_in_flight(&decided);
        clues.read_ages(&decided);
        clues
    }

    /// Requests until the first refusal.
    pub(super) fn cold_requests(&self) -> usize {
        usize::try_from(self.cold.0).unwrap_or(usize::MAX / 2)
    }

    fn read_edges(&mut self, list: &[&Event], runs: &[Run]) {
        let mut edges: Vec<(f64, f64, f64)> = Vec::new();
        let mut blocked_from = None;
        for (n, pair) in runs.windows(2).enumerate() {
            let (now, next) = (pair[0], pair[1]);
            if now.admitted {
                self.counts.push(now.count);
                blocked_from = Some(next.first);
                continue;
            }
            let edge = f64::midpoint(now.last, next.first);
            self.silences.push(next.first - now.last);
            self.turns.push((now.last, next.first));
            self.blocks.extend(blocked_from.map(|from| edge - from));
            self.blocks_at_most.extend(blocked_from.map(|from| next.first - from));
            if let Some((_, before, _)) = edges.last() {
                let between = runs.get(n.wrapping_sub(1)).map_or(1, |run| run.count);
                self.periods.push((edge - before) / f64::from(between.max(1)));
            }
            edges.push((next.first - now.last, edge, next.first));
        }
        let both_refused = |pair: &&[&Event]| pair.iter().all(|event| event.admitted == Some(false));
        let gaps = list.windows(2).filter(both_refused).map(|pair| instant(pair[1]) - instant(pair[0]));
        self.longest_gap = gaps.fold(0.0, f64::max);
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
        self.turns.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        self.turns.truncate(TURNS);
    }

    fn read_cold(&mut self, events: &Events, list: &[&Event]) {
        let admitted = list.iter().take_while(|event| event.admitted == Some(true));
        self.cold_instants = admitted.map(|event| instant(event)).collect();
        if let Some(refused) = list.get(self.cold_instants.len()) {
            let count = u32::try_from(self.cold_instants.len()).unwrap_or(u32::MAX);
            self.cold = (count, instant(refused) - instant(list[0]));
        }
        let until = events.list.iter().filter(|event| event.admitted == Some(false)).map(|event| event.sent).min();
        let admitted = |event: &&Event| event.admitted == Some(true) && until.is_none_or(|until| event.sent <= until);
        self.cold_round = u32::try_from(events.list.iter().filter(admitted).count()).unwrap_or(u32::MAX);
    }

    /// Between two refusals as much is admitted as is regained, if there was never more than could be kept.
    fn read_periods(&mut self, list: &[&Event]) {
        let mut refusals: Vec<(f64, u32)> = Vec::new();
        let mut count = 0_u32;
        for event in list {
            count += u32::from(event.admitted == Some(true));
            if event.admitted == Some(false) {
                refusals.push((instant(event), count));
            }
        }
        for regained in REGAINED {
            let mut found: Vec<_> = refusals
                .iter()
                .filter_map(|(from, before)| {
                    let later = refusals.partition_point(|(_, count)| *count < before + regained);
                    let (to, after) = refusals.get(later)?;
                    Some((to - from) / f64::from(after - before))
                })
                .collect();
            found.sort_unstable_by(f64::total_cmp);
            self.periods.extend([10, 30, 50, 70].iter().filter_map(|part| found.get(found.len() * part / 100)));
        }
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
        self.ages.truncate(AGES);
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
        self.in_flight = by_frequency(std::mem::take(&mut self.in_flight));
    }
}

/// Events in runs of the same outcome. Refusals that are over within `unsure` seconds, with admissions on both sides, are
/// left out: among requests so close to each other it is not sure which came first.
fn runs_of(list: &[&Event], unsure: f64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for event in list {
        let (admitted, at) = (event.admitted == Some(true), instant(event));
        if let Some(last) = runs.last_mut().filter(|run| run.admitted == admitted) {
            last.count += 1;
            last.last = at;
            continue;
        }
        let is_blip = admitted && runs.len() >= 2 && runs.last().is_some_and(|run| at - run.first < unsure);
        if is_blip {
            runs.pop();
        }
        match runs.last_mut().filter(|_| is_blip) {
            Some(before) => {
                before.count += 1;
                before.last = at;
            }
            None => runs.push(Run { admitted, count: 1, first: at, last: at }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::log::{Answer, Log, Observation};
    use super::*;

    /// Answers to requests that were sent at these milliseconds: `true` for an admission.
    fn clues(outcomes: impl IntoIterator<Item = (u64, bool)>) -> Clues {
        let observation = |(ms, admitted)| {
            let sent = Duration::from_millis(ms);
            let answer = if admitted { Answer::Admitted } else { Answer::Refused { retry_after: None } };
            Observation { key: 0, due: sent, sent, received: sent, answer }
        };
        Clues::of(&Events::of(&outcomes.into_iter().map(observation).collect::<Log>()))
    }

    #[test]
    fn nothing_stands_out_where_nothing_was_decided() {
        assert!(clues([]).edges.is_empty());
    }

    #[test]
    fn an_edge_lies_between_a_refusal_and_an_admission() {
        let clues = clues([(0, true), (100, true), (200, false), (300, false), (400, true), (500, false)]);
        assert_eq!(clues.turns, [(0.3, 0.4)]);
        assert_eq!(clues.counts, [2, 1]);
        assert_eq!((clues.cold.0, clues.cold_round), (2, 2));
        assert!((clues.blocks[0] - 0.15).abs() < 1e-9, "{:?}", clues.blocks);
        assert!((clues.blocks_at_most[0] - 0.2).abs() < 1e-9, "{:?}", clues.blocks_at_most);
    }

    #[test]
    fn a_refusal_among_admissions_that_are_as_old_is_no_edge() {
        let clues = clues([(0, true), (1, true), (2, false), (3, true), (100, false), (200, false), (300, true)]);
        assert_eq!(clues.turns, [(0.2, 0.3)]);
        assert_eq!(clues.counts, [3]);
    }

    #[test]
    fn what_is_regained_between_refusals_tells_the_rate() {
        // Two polls for each token of 100 ms, after a burst of five.
        let polls = (1..200).map(|n| (n * 50, n % 2 == 0));
        let clues = clues((0..5).map(|_| (0, true)).chain(polls));
        assert!(clues.periods.iter().any(|period| (period - 0.1).abs() < 1e-3), "{:?}", clues.periods);
    }
}
