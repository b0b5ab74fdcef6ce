//! The sequence: what is sent next, given what has been seen.

use std::time::Duration;

use super::course::{Course, Leg, Step, Stop};
use super::events::Events;
use super::finding::{Finding, Measured, Stopped, Unrefused, Verdict};
use super::fit::{Effort, Fit, Interval, describe, fit_events, other_limits, sharpen};
use super::log::{Answer, Log, Observation};
use super::queue;
use super::rivals::{self, Quarrel};
use super::schedules::{self, Pair, Schedule, Terms};
use super::scope;
use super::score::replayed;
use super::theory::{Family, Hypothesis, seconds};
use super::verify::Verification;

/// What a profile may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Requests at most.
    pub requests: u32,
    /// Requests of the first burst at most: without a refusal until then, no limit was found.
    pub first_burst: u32,
    /// Time at most.
    pub time: Duration,
    /// Requests in flight at most.
    pub widest: u32,
    /// Other keys that may be tried, to see whether they share the quota; such as another token.
    pub others: usize,
    /// A Retry-After longer than this ends the profile.
    pub longest_retry_after: Duration,
    /// How narrow the interval of the time is to be, as a share of it.
    pub precision: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            requests: 20_000,
            first_burst: 5_000,
            time: Duration::from_hours(2),
            widest: 256,
            others: 0,
            longest_retry_after: Duration::from_mins(15),
            precision: 0.002,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send so many requests at once, each on a connection of its own, at an instant that is not past. Then ask again,
    /// without waiting for their answers.
    Send {
        /// When.
        at: Duration,
        /// How many.
        count: u32,
        /// Whose: 0 for the key under test, else one of the others, from 1 to [`Plan::others`].
        key: usize,
    },
    /// Ask again as soon as an answer has come, at this instant at the latest.
    Await {
        /// When at the latest.
        until: Duration,
    },
    /// Nothing any more: the [`finding`](Profiler::finding) stands.
    Done,
}

/// Where the sequence is.
#[derive(Debug, Clone)]
enum Stage {
    /// As much as it takes to be refused.
    Cold,
    /// Until the first admission after that.
    Recovery,
    /// How much is admitted at once then.
    Release,
    /// What follows.
    Even,
    /// A course to tell two hypotheses apart, and whether polls around their edges follow.
    Telling { then_edges: Option<Quarrel> },
    /// Other keys, to see whether they share the quota; then what was before.
    Scope(Box<Stage>),
    /// A prediction put to the test.
    Verifying(Box<Verification>),
    /// Over.
    Over,
}

/// Refinements and discriminations at most.
const ROUNDS: u32 = 24;

/// Predictions put to the test at most: one that fails is evidence for the next answer.
const TESTS: u32 = 3;

/// A lead in Schwarz's criterion that is clear.
pub(super) const CLEAR: f64 = 10.0;

/// A server that fails so often in a row is left alone.
const FAILURES: usize = 3;

/// The state machine of a profile.
#[derive(Debug, Clone)]
pub struct Profiler {
    plan: Plan,
    log: Log,
    sent: u32,
    pending: u32,
    last_sent: Duration,
    /// The shortest round trip of the first burst.
    shortest: Duration,
    /// The longest one of an admitted request.
    longest: Duration,
    stage: Stage,
    course: Course,
    fits: Vec<Fit>,
    rounds: u32,
    explored: u32,
    /// Requests at the latest search for everything.
    searched: usize,
    tests: u32,
    /// Quarrels that nothing settles.
    settled: Vec<Quarrel>,
    first_refusal: Option<Duration>,
    /// How often all other keys were tried.
    scoped: u32,
    /// The answer to be tested, where it is given.
    answer: Option<Hypothesis>,
    failures: usize,
    finding: Finding,
}

impl Profiler {
    /// A profile that has sent nothing yet, of a key that nothing has used for a while.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let cold = Leg::Burst { most: plan.first_burst.min(plan.requests), first: 1, refusals: 4 };
        let finding = Finding {
            verdict: Verdict::Undecided,
            best: None,
            tiers: Vec::new(),
            scope: Vec::new(),
            checks: Vec::new(),
            stopped: Stopped::Done,
            unrefused: Unrefused::default(),
        };
        Self {
            course: Course::new([cold], plan.widest, Duration::from_secs(2)),
            plan,
            log: Log::default(),
            sent: 0,
            pending: 0,
            last_sent: Duration::ZERO,
            shortest: Duration::MAX,
            longest: Duration::ZERO,
            stage: Stage::Cold,
            fits: Vec::new(),
            rounds: 0,
            explored: 0,
            searched: 0,
            tests: 0,
            settled: Vec::new(),
            first_refusal: None,
            scoped: 0,
            answer: None,
            failures: 0,
            finding,
        }
    }

    /// A profile that only puts a given answer to the test.
    #[must_use]
    pub fn testing(plan: Plan, answer: Hypothesis) -> Self {
        Self { answer: Some(answer), ..Self::new(plan) }
    }

    /// What was sent and answered so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What is known so far; final once [`next`](Self::next) says that it is done.
    #[must_use]
    pub fn finding(&self) -> &Finding {
        &self.finding
    }

    /// What to do at an instant that is not before any told so far.
    pub fn next(&mut self, now: Duration) -> Next {
        loop {
            if self.must_stop(now) {
                self.conclude();
            }
            if matches!(self.stage, Stage::Over) {
                return Next::Done;
            }
            match self.course.next(now) {
                Step::Send(at, count, key) => {
                    let count = count.min(self.plan.requests - self.sent);
                    self.sent += count;
                    self.pending += count;
                    self.last_sent = at;
                    self.course.sent(at, count);
                    return Next::Send { at, count, key };
                }
                Step::Await(until) => return Next::Await { until },
                Step::Over => match self.worth_waiting_for() {
                    Some(until) if now < until => return Next::Await { until },
                    _ => self.advance(now),
                },
            }
        }
    }

    /// Takes note of what became of a request.
    pub fn note(&mut self, observation: Observation) {
        self.log.note(observation);
        self.pending = self.pending.saturating_sub(1);
        if observation.answer == Answer::Admitted {
            self.longest = self.longest.max(observation.round_trip());
        }
        if matches!(self.stage, Stage::Cold) {
            self.shortest = self.shortest.min(observation.round_trip());
            self.course.be_patient(schedules::patience(self.shortest));
        }
        let admitted = observation.is_decided().then_some(observation.answer == Answer::Admitted);
        self.course.answered(admitted);
        self.failures = if observation.answer == Answer::Failed { self.failures + 1 } else { 0 };
        if let Answer::Refused { retry_after } = observation.answer {
            // Another key is tried after the one under test was refused, so this one is never the first.
            self.first_refusal.get_or_insert(observation.sent);
            if let Some(wait) = retry_after.filter(|wait| *wait > self.plan.longest_retry_after) {
                self.finding.stopped = Stopped::RetryAfter(wait);
            }
        }
    }

    /// Until when answers may still come that belong to the course: those that wait in a queue take ever longer. `None`
    /// where there are none, or where what comes next cannot wait.
    fn worth_waiting_for(&self) -> Option<Duration> {
        let is_urgent = matches!(self.stage, Stage::Cold | Stage::Recovery | Stage::Telling { then_edges: Some(_) });
        (self.pending > 0 && !is_urgent).then(|| self.last_sent + self.longest * 3)
    }

    fn must_stop(&mut self, now: Duration) -> bool {
        let why = if self.failures >= FAILURES {
            Stopped::Failures
        } else if self.sent >= self.plan.requests && self.pending == 0 {
            Stopped::Requests
        } else if now >= self.plan.time {
            Stopped::Time
        } else {
            return self.finding.stopped != Stopped::Done;
        };
        self.finding.stopped = why;
        true
    }

    /// Ends the profile with what is known.
    fn conclude(&mut self) {
        self.stage = Stage::Over;
        self.finding.unrefused = rivals::unrefused(&self.log);
        if let Some(best) = &self.finding.best
            && self.plan.others > 0
        {
            self.finding.scope = scope::judge(&self.log, &queue::events_of(&self.log), &best.hypothesis);
        }
    }

    fn terms(&self, events: &Events, now: Duration) -> Terms {
        Terms {
            widest: self.plan.widest,
            round_trip: events.base.max(Duration::from_micros(200)),
            sigma: events.sigma,
            requests: self.plan.requests.saturating_sub(self.sent),
            // A theory may be wrong: none is worth waiting for far longer than everything took that led to it.
            time: self.plan.time.saturating_sub(now).min(now * 5 + Duration::from_secs(10)),
        }
    }

    /// Begins what comes after a course.
    fn advance(&mut self, now: Duration) {
        let events = queue::events_of(&self.log);
        let terms = self.terms(&events, now);
        let stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Scope(then) => *then,
            stage if self.is_time_for_scope(&stage) => return self.try_others(stage, terms, None),
            stage => stage,
        };
        match stage {
            Stage::Cold => self.after_cold(&events, now, terms),
            Stage::Recovery => {
                let admitted = events.list.iter().filter(|event| event.admitted == Some(true)).count();
                let most = u32::try_from(admitted).unwrap_or(u32::MAX).saturating_add(4);
                self.begin(Stage::Release, terms, [Leg::Burst { most, first: (most / 6).max(1), refusals: 4 }]);
            }
            Stage::Release => {
                let since = self.first_refusal.map_or(Duration::ZERO, |at| now.saturating_sub(at));
                let gap = (since / 12).max(terms.round_trip / 2);
                self.begin(Stage::Even, terms, [Leg::Polls { gap, growth: 1.0, count: 26, stop: Stop::Never }]);
            }
            Stage::Telling { then_edges: Some(quarrel) } => {
                let [one, other] = quarrel.hypotheses();
                let replays = [replayed(&events, one), replayed(&events, other)];
                match schedules::edge_polls([&replays[0], &replays[1]], now, terms) {
                    Some(polls) => self.begin(Stage::Telling { then_edges: None }, terms, [polls]),
                    None => self.judge(&events, now, terms),
                }
            }
            Stage::Verifying(verification) => {
                let checks = verification.checks(&self.log, &self.course);
                let holds = checks.iter().all(super::finding::Check::holds);
                self.finding.checks.extend(checks);
                self.finding.verdict = if holds { Verdict::Identified } else { Verdict::NotConfirmed };
                if self.answer.is_some() {
                    return self.conclude();
                }
                self.learn_from_test(&events);
                self.tests += 1;
                if self.finding.verdict == Verdict::NotConfirmed && self.tests < TESTS {
                    return self.judge(&events, now, terms);
                }
                self.conclude();
            }
            Stage::Even | Stage::Telling { then_edges: None } => self.judge(&events, now, terms),
            Stage::Scope(_) | Stage::Over => {}
        }
    }

    /// Whether the key under test happens to be refused, so that others can be tried at no cost. What is urgent goes
    /// before, and so does a test, whose course is looked at when it is over.
    fn is_time_for_scope(&self, stage: &Stage) -> bool {
        let is_free = matches!(stage, Stage::Cold | Stage::Release | Stage::Even | Stage::Telling { then_edges: None });
        self.plan.others > 0 && self.scoped < scope::ROUNDS && is_free && scope::is_exhausted(&self.log)
    }

    /// Tries all other keys, after a leg that makes sure of what the key under test has left.
    fn try_others(&mut self, then: Stage, terms: Terms, first: Option<Leg>) {
        let round = scope::round(self.plan.others, self.scoped);
        self.scoped += 1;
        self.begin(Stage::Scope(Box::new(then)), terms, first.into_iter().chain([round]));
    }

    /// What must come before a round of other keys: that the quota is used up, or at last that it is whole, to see that
    /// who was refused is admitted then. `None` when all has been tried.
    fn before_others(&self, best: &Fit, events: &Events) -> Option<Leg> {
        let theory = best.hypothesis.tiers[0];
        if self.plan.others == 0 || theory.kind.family == Family::Concurrency {
            return None;
        }
        if self.scoped < scope::ROUNDS {
            return Some(schedules::saturate(theory.capacity()));
        }
        let found = scope::judge(&self.log, events, &best.hypothesis);
        let in_doubt = found.iter().any(|sharing| sharing.refused > 0 && sharing.controls == 0);
        (in_doubt && self.scoped < scope::ROUNDS * 2).then(|| Leg::Pause(seconds(theory.recovery() * 1.2)))
    }

    fn begin(&mut self, stage: Stage, terms: Terms, legs: impl IntoIterator<Item = Leg>) {
        self.course = terms.course(legs);
        self.stage = stage;
    }

    fn after_cold(&mut self, events: &Events, now: Duration, terms: Terms) {
        if let Some(answer) = self.answer.clone() {
            let fit = describe(answer, events);
            self.finding.best = Some(fit.clone());
            return self.verify(&fit, events, (now, terms));
        }
        if self.first_refusal.is_none() {
            self.finding.verdict = Verdict::NoLimit;
            return self.conclude();
        }
        let gap = terms.round_trip.max(Duration::from_millis(10));
        let polls = Leg::Polls { gap, growth: 1.12, count: 110, stop: Stop::Admitted };
        self.begin(Stage::Recovery, terms, [polls]);
    }

    /// Fits, and begins what would tell most: between rivals, then within the best, then whether it predicts.
    fn judge(&mut self, events: &Events, now: Duration, terms: Terms) {
        // Every other kind is searched for again from time to time: early evidence may have misled.
        let is_due = self.rounds == 0 || self.rounds.is_power_of_two() || self.finding.verdict == Verdict::NotConfirmed;
        let effort = if is_due { Effort::Full } else { Effort::Again };
        self.searched = if is_due { events.list.len() } else { self.searched };
        self.finding.verdict = Verdict::Undecided;
        self.fits = fit_events(events, &self.fits, effort);
        let is_odd = |fits: &[Fit]| fits.first().is_none_or(|fit| fit.surprises > rivals::allowed(events));
        // Before it is searched for again, there must be more to go by.
        let is_new = events.list.len() > self.searched + self.searched / 10;
        if effort == Effort::Again && is_new && is_odd(&self.fits) {
            self.searched = events.list.len();
            self.fits = fit_events(events, &self.fits, Effort::Full);
        }
        self.rounds += 1;
        if is_odd(&self.fits)
            && let Some(legs) = self.explore(terms)
        {
            return self.begin(Stage::Telling { then_edges: None }, terms, legs);
        }
        let Some(best) = self.fits.first().cloned() else {
            self.finding.verdict = Verdict::Unknown;
            return self.conclude();
        };
        self.finding.best = Some(best.clone());
        if self.rounds <= ROUNDS
            && let Some((quarrel, schedule)) = self.next_quarrel(events, now, terms)
        {
            let then_edges = schedule.then_edges.then_some(quarrel);
            return self.begin(Stage::Telling { then_edges }, terms, schedule.legs);
        }
        self.measure(&best, events);
        let mut left = rivals::of(&self.fits, CLEAR);
        left.retain(|fit| !fit.hypothesis.tiers[0].kind.is_like(best.hypothesis.tiers[0].kind));
        if best.surprises > rivals::allowed(events) {
            self.finding.verdict = Verdict::Unknown;
            return self.conclude();
        }
        if !left.is_empty() {
            let kinds = left.iter().map(|fit| fit.hypothesis.tiers[0].kind).collect();
            self.finding.verdict = Verdict::Equivalent(kinds);
            return self.conclude();
        }
        if let Some(first) = self.before_others(&best, events) {
            return self.try_others(Stage::Telling { then_edges: None }, terms, Some(first));
        }
        self.verify(&best, events, (now, terms));
    }

    /// What to send where nothing explains what was seen: more of what shows a limiter's ways. `None` when that was done.
    fn explore(&mut self, terms: Terms) -> Option<Vec<Leg>> {
        let theory = self.fits.first()?.hypothesis.tiers[0];
        self.explored += 1;
        schedules::exploration(&theory, self.explored, terms)
    }

    /// Two hypotheses worth telling apart, and how; `None` when there are none, or nothing tells them apart.
    fn next_quarrel(&mut self, events: &Events, now: Duration, terms: Terms) -> Option<(Quarrel, Schedule)> {
        let best = self.fits.first()?.clone();
        for rival in rivals::of(&self.fits, CLEAR) {
            let quarrel = Quarrel::between(&best, &rival);
            if let Some(schedule) = self.settle(&quarrel, events, (now, terms)) {
                return Some((quarrel, schedule));
            }
        }
        for other in other_limits(&best, events) {
            let quarrel = Quarrel::between(&best, &other);
            if let Some(schedule) = self.settle(&quarrel, events, (now, terms)) {
                return Some((quarrel, schedule));
            }
        }
        best.hypothesis.tiers[0].rate()?;
        let (sharp, sharper) = sharpen(&best, events);
        let terms = Terms { sigma: sharper.sigma.max(events.sigma / 4.0), ..terms };
        let [low, high] = sharp.ends(&sharper, 0);
        let width = (high.tiers[0].time - low.tiers[0].time) / best.hypothesis.tiers[0].time;
        if width <= self.plan.precision || best.surprises > rivals::allowed(events) {
            return None;
        }
        let quarrel = Quarrel::within(low, high);
        let schedule = self.settle(&quarrel, events, (now, terms))?;
        Some((quarrel, schedule))
    }

    /// A course that may settle a quarrel, unless it has been tried too often.
    fn settle(&mut self, quarrel: &Quarrel, events: &Events, (now, terms): (Duration, Terms)) -> Option<Schedule> {
        let tries = self.settled.iter().filter(|other| other.is_like(quarrel)).count();
        if tries >= quarrel.tries() {
            return None;
        }
        let hypotheses = quarrel.hypotheses();
        let replays = hypotheses.map(|hypothesis| replayed(events, hypothesis));
        let schedule = Pair { hypotheses, replays, now }.choose(terms);
        self.settled.push(quarrel.clone());
        schedule
    }

    /// How surely the numbers of the best are known.
    fn measure(&mut self, best: &Fit, events: &Events) {
        let (sharp, sharper) = sharpen(best, events);
        let [low, high] = sharp.ends(&sharper, 0).map(|end| end.tiers[0].time);
        // An arrival that everything else is measured from is as unsure as any other, however many follow it.
        let theory = best.hypothesis.tiers[0];
        let span = events.instants()[2] - events.instants()[0];
        let shared = 1.5 * sharper.sigma / (span / theory.time).max(1.0).sqrt();
        let time = Interval { low: low - shared, high: high + shared };
        let limit = best.hypothesis.tiers[0].limit;
        let others = other_limits(best, events).into_iter().map(|fit| fit.hypothesis.tiers[0].limit);
        let limits = others.fold((limit, limit), |(low, high), other| (low.min(other), high.max(other)));
        self.finding.tiers = vec![Measured { time, limits }];
    }

    /// The test itself is evidence, too: what it tells of the numbers, and whether the answer still stands.
    fn learn_from_test(&mut self, events: &Events) {
        self.fits = fit_events(events, &self.fits, Effort::Again);
        let Some(best) = self.fits.first() else {
            return;
        };
        let is_same = self
            .finding
            .best
            .as_ref()
            .is_some_and(|fit| fit.hypothesis.tiers[0].kind.is_like(best.hypothesis.tiers[0].kind));
        if !is_same || best.surprises > rivals::allowed(events) {
            self.finding.verdict = Verdict::NotConfirmed;
        }
        let best = best.clone();
        self.finding.best = Some(best.clone());
        self.measure(&best, events);
    }

    fn verify(&mut self, best: &Fit, events: &Events, (now, terms): (Duration, Terms)) {
        let terms = Terms { time: self.plan.time.saturating_sub(now), ..terms };
        let Some((verification, course)) = Verification::of(best, &self.finding, events, (now, terms)) else {
            self.finding.verdict = Verdict::NotVerified;
            return self.conclude();
        };
        self.stage = Stage::Verifying(Box::new(verification));
        self.course = course;
    }
}
