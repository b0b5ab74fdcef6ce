//! Courses that may tell two hypotheses apart, and the choice of the one that does so for the least.

use std::collections::VecDeque;
use std::time::Duration;

use super::course::{Course, Leg, Stop};
use super::imagine::{World, lead};
use super::replay::Replay;
use super::theory::{Family, Hypothesis, Penalty, Refusals, Theory, seconds};

/// Polls around the instants at which two hypotheses differ.
const EDGE_POLLS: u32 = 14;

/// Requests of a stream at most that is to fill a limit on those in flight.
const MOST_IN_FLIGHT: u32 = 2_000;

/// Requests beyond what is thought to be admitted, so that a burst is seen to end.
const BEYOND: u32 = 4;

/// The gap between polls that show the rate of the faster of two limiters, in parts of what one request takes to be
/// regained; how many they are at most, and the part of what the slower one has left that they take.
const DENSE: f64 = 0.29;
const MOST_DENSE: u32 = 150;
const SOME: f64 = 0.8;

/// Requests that may have been refused since a bucket was full, where they count.
const DEBTS: [f64; 3] = [2.0, 4.0, 8.0];

/// The share of the log-likelihood that must be expected before a course is worth while.
const WORTH: f64 = 3.0;

/// What comes next to tell two hypotheses apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    /// What is sent first.
    pub(super) legs: Vec<Leg>,
    /// Whether polls follow around the instants at which the two differ, which depend on how the first part went.
    pub(super) then_edges: bool,
    /// Into how many parts it divides what lies between two lengths of a window.
    parts: u32,
}

impl Schedule {
    fn new(legs: Vec<Leg>) -> Self {
        Self { legs, then_edges: false, parts: 2 }
    }
}

/// What all courses share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Requests of one round at most.
    pub(super) widest: u32,
    /// The usual round trip.
    pub(super) round_trip: Duration,
    /// The time that the work on an admitted request usually takes.
    pub(super) service: Duration,
    /// The usual uncertainty of an arrival, in seconds.
    pub(super) sigma: f64,
    /// Requests that are left.
    pub(super) requests: u32,
    /// Time that is left.
    pub(super) time: Duration,
}

/// How long an answer is waited for that may not come, where round trips take so long.
pub(super) fn patience(round_trip: Duration) -> Duration {
    // Sending on while an answer is only slow would leave open which of many requests arrived first.
    (round_trip * 6).max(Duration::from_millis(250))
}

/// The same during the first burst. There it matters more that it is over before the window is.
pub(super) fn first_patience(round_trip: Duration) -> Duration {
    (round_trip * 3).max(Duration::from_millis(100))
}

impl Terms {
    pub(super) fn course(self, legs: impl IntoIterator<Item = Leg>) -> Course {
        Course::new(legs, self.widest, patience(self.round_trip))
    }
}

/// Two hypotheses to be told apart, with what has been noted of each.
#[derive(Debug, Clone)]
pub(super) struct Pair<'a> {
    pub(super) hypotheses: [&'a Hypothesis; 2],
    pub(super) replays: [Replay; 2],
    pub(super) now: Duration,
}

/// A burst until it is refused.
pub(super) fn saturate(capacity: u32) -> Leg {
    Leg::Burst { most: capacity.saturating_add(BEYOND), first: (capacity / 6).max(1), refusals: 2 }
}

/// Bursts, halves, pauses and polls in proportion to what a theory says of itself.
fn library(theory: &Theory) -> Vec<Schedule> {
    let (capacity, recovery) = (theory.capacity(), theory.recovery().max(1e-3));
    let window = if theory.kind.is_bucket() { recovery } else { theory.time };
    let unit = theory.rate().map_or(0.1, |rate| 1.0 / rate);
    let pause = |times: f64| Leg::Pause(seconds(times));
    let burst = |most: u32| Leg::Burst { most: most.max(1), first: (most / 6).max(1), refusals: 2 };
    let polls = |gap: f64, count| Leg::Polls { gap: seconds(gap), growth: 1.0, count, stop: Stop::Never };
    let mut found = vec![
        vec![polls(0.29 * unit, 60)],
        vec![polls(0.83 * unit, 60)],
        vec![polls(0.29 * unit, 300)],
        vec![polls(0.83 * unit, 300)],
        vec![polls(0.11 * window, 30)],
        vec![polls(0.043 * window, 40)],
        vec![saturate(capacity), polls(0.1 * recovery, 6), pause(1.1 * window), saturate(capacity)],
        vec![pause(1.1 * recovery), polls(1.1 * unit, capacity.min(150)), saturate(capacity)],
        vec![pause(1.1 * recovery), burst(capacity / 2), pause(0.5 * window), burst(capacity / 2 + 3)],
        vec![
            pause(1.1 * recovery),
            burst(capacity / 2),
            pause(0.5 * window),
            burst(capacity - capacity / 2),
            pause(0.53 * window),
            saturate(capacity),
        ],
    ];
    for times in [0.0, 0.2, 0.37, 0.63, 0.85, 1.05, 1.37, 2.2] {
        found.push(vec![pause(times * recovery), saturate(capacity)]);
        found.push(vec![saturate(capacity), pause(times * recovery), saturate(capacity)]);
    }
    for times in [0.5, 0.8, 0.95, 1.05] {
        found.push(vec![pause(1.1 * recovery), burst(capacity), pause(times * window), saturate(capacity)]);
    }
    let plain = found.iter().map(|legs| Schedule::new(legs.clone()));
    let edges = found.iter().skip(6).map(|legs| Schedule { then_edges: true, ..Schedule::new(legs.clone()) });
    plain.chain(edges).collect()
}

/// What fills a limit on requests in flight: all of them at once, and again as soon as they have been answered; or one after
/// the other, so quickly that somewhat too many have not been answered.
fn at_once(theory: &Theory, terms: Terms) -> Vec<Schedule> {
    if theory.kind.family != Family::Concurrency {
        return Vec::new();
    }
    let most = theory.capacity().saturating_add(BEYOND).min(terms.widest);
    let all = || Leg::Burst { most, first: most, refusals: u32::MAX };
    let pause = Leg::Pause((terms.service + terms.round_trip).mul_f64(0.5));
    let gap = terms.service / theory.capacity().saturating_add(theory.capacity() / 10 + 2).max(1);
    let count = theory.capacity().saturating_mul(3).min(MOST_IN_FLIGHT);
    let stream = Leg::Polls { gap, growth: 1.0, count, stop: Stop::Never };
    vec![Schedule::new(vec![all(), pause, all()]), Schedule::new(vec![stream])]
}

/// A burst never gets past the faster of two limiters: what is sent just under its rate meets the slower one, at once and
/// after pauses.
fn stacked(fast: &Theory, slow: &Theory) -> Vec<Schedule> {
    let Some(rate) = fast.rate() else {
        return Vec::new();
    };
    let count = slow.capacity().saturating_add(slow.capacity() / 4 + 10);
    let paced = || Leg::Polls { gap: seconds(1.05 / rate), growth: 1.0, count, stop: Stop::Never };
    let after = |share: f64| vec![paced(), Leg::Pause(seconds(share * slow.recovery())), paced()];
    // While the slower one has something left, the faster one shows its own rate.
    let left = f64::from(slow.capacity().saturating_sub(fast.capacity()));
    let dense = |share: f64| {
        let count = super::guess::rounded(SOME * share * left / DENSE).min(MOST_DENSE);
        let polls = Leg::Polls { gap: seconds(DENSE / rate), growth: 1.0, count, stop: Stop::Never };
        vec![Leg::Pause(seconds(share * slow.recovery())), saturate(fast.capacity()), polls]
    };
    let found = [0.05, 0.25, 0.5, 0.8, 1.05, 1.4].map(after).into_iter().chain([0.3, 0.6, 1.0].map(dense));
    found.map(Schedule::new).collect()
}

/// What shows a limiter's ways whatever it is, one thing after the other; `None` after the last.
pub(super) fn exploration(theory: &Theory, number: u32, terms: Terms) -> Option<Vec<Leg>> {
    let recovery = seconds(theory.recovery().max(0.01)).min(terms.time / 8);
    let polls = |gap: Duration, count| Leg::Polls { gap, growth: 1.0, count, stop: Stop::Never };
    match number {
        1 => Some(vec![Leg::Pause(recovery.mul_f64(0.37)), saturate(theory.capacity()), polls(recovery / 30, 60)]),
        2 => Some(vec![Leg::Pause(recovery.mul_f64(1.7)), saturate(theory.capacity()), polls(recovery / 13, 40)]),
        3 => Some(vec![Leg::Pause(recovery.mul_f64(4.3)), saturate(theory.capacity()), polls(recovery / 50, 80)]),
        _ => None,
    }
}

/// Two limits between which a burst just short of the quota shows the length of the window without a refusal. Where a
/// refusal blocks, so that every one costs time, a short way to begin and to end are offered, too.
fn between(one: &Theory, other: &Theory) -> Vec<Schedule> {
    let recovery = one.recovery().max(other.recovery());
    let limit = one.capacity().min(other.capacity());
    let burst = Leg::Burst { most: limit, first: (limit / 6).max(1), refusals: 2 };
    let pause = |times: f64| Leg::Pause(seconds(times));
    let middle = Leg::Since(seconds((one.time * other.time).sqrt()));
    let after = |rest: f64, last: Leg| Schedule::new(vec![pause(1.1 * rest), burst.clone(), middle.clone(), last]);
    let mut found = vec![after(recovery, saturate(limit))];
    if one.kind.is_bucket() && one.kind.refusals == Refusals::Counted {
        // Refusals have used up what is regained next, so it takes longer until a bucket is full again.
        found.extend(DEBTS.map(|times| after(recovery + times * one.time.max(other.time), saturate(limit))));
    }
    if one.kind.penalty != Penalty::None {
        let few = Leg::Burst { most: 2, first: 1, refusals: 1 };
        let window = if one.kind.is_bucket() { recovery } else { one.time.max(other.time) };
        found.extend([recovery, window].map(|rest| after(rest, few.clone())));
        let ends = (one.time.min(other.time), one.time.max(other.time));
        found.extend([recovery, window].iter().flat_map(|rest| counted(limit, ends, *rest)));
    }
    found
}

/// What shows by a count where between two lengths the end of a window lies, for the price of one refusal: requests that
/// are all admitted lie around the end, and of a burst later only those are refused for which they left nothing. In a
/// window from the first request, what came before its end has no part in the next one; of a log, what came first has left
/// it.
fn counted(limit: u32, (shortest, longest): (f64, f64), rest: f64) -> Vec<Schedule> {
    let count = limit.saturating_sub(1).min(EDGE_POLLS);
    if count < 2 {
        return Vec::new();
    }
    let margin = (longest - shortest) * 0.1;
    let range = longest - shortest + 2.0 * margin;
    let fresh = || Leg::Pause(seconds(1.1 * rest));
    let polls = || Leg::Polls { gap: seconds(range / f64::from(count - 1)), growth: 1.0, count, stop: Stop::Never };
    let at_once = |most: u32| Leg::Burst { most, first: most, refusals: u32::MAX };
    let since = |age: f64| Leg::Since(seconds(age));
    let of_window = vec![fresh(), at_once(1), since(shortest - margin), polls(), saturate(limit)];
    let mut of_log = vec![fresh(), polls()];
    if limit > count {
        // Meanwhile the leg that began first is no longer the one before.
        of_log.extend([at_once(limit - count), since(shortest - margin)]);
    } else {
        of_log.push(since(longest + margin));
    }
    of_log.push(saturate(limit));
    [of_window, of_log].map(|legs| Schedule { parts: count, ..Schedule::new(legs) }).to_vec()
}

/// Polls around the instants at which two replays open again; `None` where these are as good as one.
pub(super) fn edge_polls(replays: [&Replay; 2], now: Duration, terms: Terms) -> Option<Leg> {
    let one_way = terms.round_trip / 2;
    let opens = replays.map(|replay| replay.opens().map(|at| at.saturating_sub(one_way)));
    let (Some(one), Some(other)) = (opens[0], opens[1]) else {
        return None;
    };
    let (low, high) = (one.min(other), one.max(other));
    if high <= now {
        return None;
    }
    let margin = seconds(high.saturating_sub(low).as_secs_f64() * 0.15 + terms.sigma * 2.0);
    let (from, to) = (low.saturating_sub(margin).max(now), high + margin);
    let gap = to.saturating_sub(from) / EDGE_POLLS;
    let instants: VecDeque<_> = (0..=EDGE_POLLS).map(|n| from + gap * n).collect();
    Some(Leg::At(instants))
}

impl Pair<'_> {
    /// The course that tells the two apart for the least; `None` when none would within what is left.
    pub(super) fn choose(&self, terms: Terms) -> Option<Schedule> {
        let [ones, others] = self.hypotheses.map(|hypothesis| &hypothesis.tiers);
        let mut schedules = Vec::new();
        for (one, other) in ones.iter().zip(others) {
            schedules.extend(library(one));
            schedules.extend(at_once(one, terms));
            if one.kind != other.kind || one.limit != other.limit {
                schedules.extend(library(other));
                schedules.extend(at_once(other, terms));
            }
            schedules.extend(between(one, other));
        }
        if let [fast, slow] = ones[..] {
            schedules.extend(stacked(&fast, &slow));
        }
        let most = |of: fn(&Theory) -> f64| ones.iter().map(of).fold(0.01, f64::max);
        let scale = (most(|theory| f64::from(theory.capacity())), most(Theory::recovery));
        let mut best: Option<(f64, Schedule)> = None;
        for schedule in schedules {
            let Some((told, requests, time)) = self.worth(&schedule, terms) else {
                continue;
            };
            if told < WORTH {
                continue;
            }
            let cost = f64::from(requests) / (scale.0 + 30.0) + time / scale.1;
            let worth = told.min(40.0) * f64::from(schedule.parts).log2() / (cost + 0.3);
            if best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, schedule));
            }
        }
        best.map(|(_, schedule)| schedule)
    }

    /// What a schedule tells whichever of the two is true, its requests, and its seconds; `None` where it costs more than
    /// is left.
    fn worth(&self, schedule: &Schedule, terms: Terms) -> Option<(f64, u32, f64)> {
        let mut told = f64::INFINITY;
        let (mut requests, mut time) = (0, 0.0_f64);
        for truth in [0, 1] {
            let (one, other) = (&self.replays[truth], &self.replays[1 - truth]);
            let mut world =
                World { replay: one.clone(), one_way: terms.round_trip / 2, service: terms.service, now: self.now };
            let mut seen = world.run(terms.course(schedule.legs.clone()));
            if schedule.then_edges {
                let mut forced = other.clone();
                for imagined in &seen {
                    imagined.note_in(&mut forced);
                }
                let polls = edge_polls([&world.replay, &forced], world.now, terms)?;
                seen.extend(world.run(terms.course([polls])));
            }
            told = told.min(lead(&seen, one, other, terms.sigma * 1.5));
            requests = requests.max(u32::try_from(seen.len()).unwrap_or(u32::MAX));
            time = time.max(world.now.saturating_sub(self.now).as_secs_f64());
        }
        (requests <= terms.requests && time <= terms.time.as_secs_f64()).then_some((told, requests, time))
    }
}
