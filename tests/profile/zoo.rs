//! Servers with a limiter behind a network, on a clock that only tells what it is told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use patchload::profile::{Answer, Family, Kind, Next, Observation, Penalty, Plan, Profiler, Refusals, Theory};
use patchload::quota::{Admission, Arrival, Limiter, State};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What lies between the profiler and the limiter; seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// The shortest round trip.
    pub(crate) round_trip: f64,
    /// Each way takes up to so much longer.
    pub(crate) jitter: f64,
    /// The share of requests of which one way takes `spike` longer.
    pub(crate) spikes: f64,
    pub(crate) spike: f64,
    /// The share of requests that never arrive.
    pub(crate) lost: f64,
    /// The time that the work on an admitted request takes.
    pub(crate) service: f64,
    /// An answer, whatever it says, takes up to so much longer once the limiter has decided.
    pub(crate) answering: f64,
}

pub(crate) const QUIET: Network =
    Network { round_trip: 0.004, jitter: 0.0005, spikes: 0.0, spike: 0.0, lost: 0.0, service: 0.0, answering: 0.0 };
pub(crate) const NOISY: Network =
    Network { round_trip: 0.030, jitter: 0.010, spikes: 0.01, spike: 0.2, lost: 0.01, service: 0.0, answering: 0.0 };

/// A server.
pub(crate) struct Server {
    limiters: Vec<Limiter>,
    /// Which keys share a state of each limiter: a group for each key, of each limiter; all in one where it says nothing.
    pub(crate) groups: Vec<Vec<usize>>,
    states: BTreeMap<(usize, usize), State>,
    /// What its clock shows when the profile begins.
    clock: Duration,
    /// The share of requests that it refuses whatever the quota.
    pub(crate) shed: f64,
    /// It fails from this request on.
    pub(crate) fails_from: Option<usize>,
    pub(crate) retry_after: Option<Duration>,
    /// Requests per second that somebody else sends with the key under test at the same time, at random instants; they
    /// have been coming since its clock began.
    pub(crate) traffic: f64,
    /// When the next one of those comes, by its clock; none has come yet where it says nothing.
    next_of_others: Option<Duration>,
}

impl Server {
    pub(crate) fn new(limiters: &[Limiter], clock: f64) -> Self {
        Self {
            limiters: limiters.to_vec(),
            groups: Vec::new(),
            states: BTreeMap::new(),
            clock: Duration::from_secs_f64(clock),
            shed: 0.0,
            fails_from: None,
            retry_after: None,
            traffic: 0.0,
            next_of_others: None,
        }
    }

    /// A server whose key somebody else uses, too, and has been using for a while.
    pub(crate) fn shared(theory: &Theory, share: f64, random: u64) -> Self {
        let since = (theory.recovery() * (3.0 + rand_of(random))).max(theory.cycle().unwrap_or(0.0));
        let traffic = share * theory.rate().unwrap_or(0.0);
        Self { traffic, ..Self::new(&[theory.limiter()], since) }
    }

    /// How long a request waits that is admitted; `None` where it is refused.
    fn handle(&mut self, at: Duration, key: usize, random: &mut Xoshiro256PlusPlus) -> Option<Duration> {
        if self.shed > 0.0 && random.random::<f64>() < self.shed {
            return None;
        }
        self.serve_others(at + self.clock, random);
        self.decide(Arrival { at: at + self.clock, cost: 1 }, key)
    }

    /// Decides on what somebody else has sent by an instant of its clock.
    fn serve_others(&mut self, until: Duration, random: &mut Xoshiro256PlusPlus) {
        if self.traffic <= 0.0 {
            return;
        }
        let mut gap = || seconds(-(1.0 - random.random::<f64>()).ln() / self.traffic);
        let mut next = self.next_of_others.take().unwrap_or_else(&mut gap);
        let mut arrivals = Vec::new();
        while next <= until {
            arrivals.push(next);
            next += gap();
        }
        self.next_of_others = Some(next);
        for at in arrivals {
            self.decide(Arrival { at, cost: 1 }, 0);
        }
    }

    /// How long a request waits that is admitted; `None` where a limiter refuses it.
    fn decide(&mut self, arrival: Arrival, key: usize) -> Option<Duration> {
        let limiters: Vec<_> = (0..self.limiters.len()).map(|tier| (tier, self.group(tier, key))).collect();
        let judged: Vec<_> = limiters
            .iter()
            .map(|place| {
                let limiter = self.limiters[place.0];
                limiter.judge(self.states.entry(*place).or_insert_with(|| limiter.fresh()), arrival)
            })
            .collect();
        let delays: Option<Vec<_>> = judged
            .iter()
            .map(|admission| match admission {
                Admission::Admitted { delay } => Some(*delay),
                Admission::Refused { .. } => None,
            })
            .collect();
        for (place, admission) in limiters.iter().zip(&judged) {
            let limiter = self.limiters[place.0];
            let state = self.states.get_mut(place).unwrap();
            if delays.is_some() {
                limiter.note_admitted(state, arrival);
            } else {
                limiter.note_refused(state, arrival, matches!(admission, Admission::Refused { .. }));
            }
        }
        delays.map(|delays| delays.into_iter().max().unwrap_or_default())
    }

    fn group(&self, tier: usize, key: usize) -> usize {
        self.groups.get(tier).and_then(|groups| groups.get(key)).copied().unwrap_or(0)
    }

    fn done(&mut self) {
        for ((tier, _), state) in &mut self.states {
            let limiter = self.limiters[*tier];
            if limiter.model.awaits_the_end() {
                limiter.note_done(state, 1);
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Done,
    Answered(usize),
}

/// A profile in virtual time.
struct Run<'a> {
    server: &'a mut Server,
    network: Network,
    random: Xoshiro256PlusPlus,
    profiler: Profiler,
    observations: Vec<Observation>,
    /// When requests came to the limiter, and whether it admitted them.
    arrivals: Vec<(Duration, bool)>,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    scheduled: usize,
}

/// How long a request without an answer is waited for.
const TIMEOUT: f64 = 2.0;

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

/// A number from 0 to 1 for each seed.
fn rand_of(seed: u64) -> f64 {
    Xoshiro256PlusPlus::seed_from_u64(seed).random::<f64>()
}

/// Lets a profiler talk to a server until it is done.
pub(crate) fn run(server: &mut Server, network: Network, profiler: Profiler, seed: u64) -> Profiler {
    watched(server, network, profiler, seed).0
}

/// As [`run`], with what only the server knows: when requests arrived, and which it admitted.
pub(crate) fn watched(
    server: &mut Server,
    network: Network,
    profiler: Profiler,
    seed: u64,
) -> (Profiler, Vec<(Duration, bool)>) {
    let random = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
    let (observations, arrivals, events) = (Vec::new(), Vec::new(), BinaryHeap::new());
    let mut run = Run { server, network, random, profiler, observations, arrivals, events, scheduled: 0 };
    let mut now = Duration::ZERO;
    loop {
        match run.profiler.next(now) {
            Next::Done => return (run.profiler, run.arrivals),
            Next::Send { at, count, key } => {
                assert!(at >= now, "the past is over");
                while run.step(at).is_some() {}
                now = at;
                (0..count).for_each(|_| run.send(now, key));
            }
            Next::Await { until } => now = run.next_answer(until),
        }
    }
}

impl Run<'_> {
    fn schedule(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn one_way(&mut self) -> Duration {
        let mut way = self.network.round_trip / 2.0 + self.random.random::<f64>() * self.network.jitter;
        if self.random.random::<f64>() < self.network.spikes / 2.0 {
            way += self.network.spike;
        }
        seconds(way)
    }

    fn send(&mut self, now: Duration, key: usize) {
        let request = self.observations.len();
        self.observations.push(Observation { key, due: now, sent: now, received: now, answer: Answer::Lost });
        let way = self.one_way();
        if self.random.random::<f64>() < self.network.lost {
            self.schedule(now + seconds(TIMEOUT), Event::Answered(request));
        } else {
            self.schedule(now + way, Event::Arrives(request));
        }
    }

    /// Waits for an answer, or for an instant.
    fn next_answer(&mut self, until: Duration) -> Duration {
        while let Some((at, is_answer)) = self.step(until) {
            if is_answer {
                return at;
            }
        }
        until
    }

    /// Lets the next thing happen, if it does so by an instant.
    fn step(&mut self, until: Duration) -> Option<(Duration, bool)> {
        self.events.peek().filter(|event| event.0.0 <= until)?;
        let Reverse((at, _, event)) = self.events.pop()?;
        match event {
            Event::Arrives(request) => self.arrive(request, at),
            Event::Done => self.server.done(),
            Event::Answered(request) => {
                self.observations[request].received = at;
                self.profiler.note(self.observations[request]);
                return Some((at, true));
            }
        }
        Some((at, false))
    }

    fn arrive(&mut self, request: usize, at: Duration) {
        let way = self.one_way();
        let (answer, done) = if self.server.fails_from.is_some_and(|from| request >= from) {
            (Answer::Failed, at)
        } else if let Some(delay) = self.server.handle(at, self.observations[request].key, &mut self.random) {
            let done = at + delay + seconds(self.network.service);
            self.schedule(done, Event::Done);
            (Answer::Admitted, done)
        } else {
            (Answer::Refused { retry_after: self.server.retry_after }, at)
        };
        self.observations[request].answer = answer;
        self.arrivals.push((at, answer == Answer::Admitted));
        let way = way + seconds(self.random.random::<f64>() * self.network.answering);
        self.schedule(done + way, Event::Answered(request));
    }
}

/// The kinds of the zoo.
pub(crate) fn kinds() -> Vec<Kind> {
    use Family as F;
    let mut kinds: Vec<_> = [
        F::FirstRequestWindow,
        F::ClockWindow,
        F::SlidingLog,
        F::SlidingCounter,
        F::FlooredCounter,
        F::AnchoredCounter,
        F::TokenBucket,
        F::TickingBucket,
        F::LeakyQueue,
        F::Concurrency,
    ]
    .map(Kind::plain)
    .to_vec();
    let counted = [F::SlidingLog, F::AnchoredCounter, F::TokenBucket];
    kinds.extend(counted.map(|family| Kind { refusals: Refusals::Counted, ..Kind::plain(family) }));
    let blocking = [Penalty::Fixed, Penalty::Extended];
    kinds.extend(blocking.map(|penalty| Kind { penalty, ..Kind::plain(F::FirstRequestWindow) }));
    kinds
}

/// A limiter of a kind: its parameters, and what its clock shows at first. Limits from 5 to 1,000, windows from 1 to 60 s,
/// bursts from 1 to the limit, all in equal proportions.
pub(crate) fn draw(kind: Kind, seed: u64) -> (Theory, Server) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(7_919) + 13);
    let mut between = |low: f64, high: f64| (low.ln() + random.random::<f64>() * (high / low).ln()).exp();
    let limit = between(5.0, 1_000.0).round();
    let window = between(1.0, 60.0);
    let burst = between(1.0, limit).round();
    let penalty = between(0.3, 3.0) * window;
    let tick = between(0.1, window / 2.5);
    let clock = between(1.0, 2.0) - 1.0;
    let unit = window / limit;
    // A bucket that a single tick fills is a window on the clock.
    let burst = if kind.family == Family::TickingBucket { burst.max((2.0 * tick / unit).ceil()) } else { burst };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and from 1 to 1,000")]
    let count = if kind.is_bucket() { burst as u32 } else { limit as u32 };
    let time = if kind.is_bucket() { unit } else { window };
    let theory = Theory { kind, limit: count, time, phase: 0.0, tick, penalty };
    let server = Server::new(&[theory.limiter()], theory.cycle().map_or(0.0, |cycle| cycle * clock));
    (theory, server)
}

/// A network with a limiter of a kind behind it: the answer to a request that is admitted takes a while where nobody could
/// see otherwise how many are in flight.
pub(crate) fn behind(network: Network, kind: Kind) -> Network {
    Network { service: if kind.family == Family::Concurrency { 0.1 } else { 0.0 }, ..network }
}

/// What a profile of a kind may cost.
pub(crate) fn plan(kind: Kind) -> Plan {
    let widest = if kind.family == Family::Concurrency { 1_100 } else { 256 };
    Plan { widest, ..Plan::default() }
}

/// The shortest and the longest time under which a limiter decides of all arrivals as they were decided, each by what was
/// decided before: what nobody could know better who saw the arrivals themselves. For limiters without a clock.
pub(crate) fn needed(truth: &Theory, arrivals: &[(Duration, bool)]) -> (f64, f64) {
    let explains = |time: f64| {
        let limiter = Theory { time, ..*truth }.limiter();
        let mut state = limiter.fresh();
        arrivals.iter().all(|(at, admitted)| {
            let arrival = Arrival { at: *at, cost: 1 };
            let judged = limiter.judge(&state, arrival);
            let is_admission = matches!(judged, Admission::Admitted { .. });
            if *admitted {
                limiter.note_admitted(&mut state, arrival);
            } else {
                limiter.note_refused(&mut state, arrival, !is_admission);
            }
            is_admission == *admitted
        })
    };
    let end = |sign: f64| {
        let (mut inside, mut outside) = (0.0, 1e-6);
        while outside < 0.5 && explains(truth.time * (1.0 + sign * outside)) {
            (inside, outside) = (outside, outside * 2.0);
        }
        for _ in 0..12 {
            let middle = f64::midpoint(inside, outside);
            *(if explains(truth.time * (1.0 + sign * middle)) { &mut inside } else { &mut outside }) = middle;
        }
        truth.time * (1.0 + sign * inside)
    };
    (end(-1.0), end(1.0))
}
