//! The sequence: what is sent next, given what has been seen.

mod beside;
mod driven;
mod judging;
mod proving;

use std::time::Duration;

pub use driven::Phase;

use super::course::{Course, Leg, Step, Stop};
use super::events::Events;
use super::finding::{Finding, Stopped, Unrefused, Verdict};
use super::fit::{Fit, describe};
use super::log::{Answer, Log, Observation};
use super::plan::{Next, Plan};
use super::queue;
use super::rivals::{self, Quarrel};
use super::schedules::{self, Terms};
use super::scope;
use super::score::replayed;
use super::stalls::STALL;
use super::theory::Hypothesis;
use super::verify::Verification;

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

/// Predictions put to the test at most: one that fails is evidence for the next answer.
const TESTS: u32 = 3;

/// A lead in Schwarz's criterion that is clear.
const CLEAR: f64 = 10.0;

/// A stall is thought of once more was sent so often because nothing explained what was seen, or too vaguely.
const FORGIVING: u32 = 2;

/// So long at least the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

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
    /// How often a pace below the first limiter was held to see a second one.
    paced_for_another: u32,
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
            advice: None,
            proof: None,
            before_test: None,
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
            paced_for_another: 0,
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

    /// The explanations that are left, the best first.
    #[must_use]
    pub fn fits(&self) -> &[Fit] {
        &self.fits
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
                // Nothing is left to send, and what was sent may still be answered.
                Step::Send(..) if self.sent >= self.plan.requests => {
                    return Next::Await { until: self.last_answers_by() };
                }
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
            self.course.be_patient(schedules::first_patience(self.shortest));
        }
        let admitted = observation.is_decided().then_some(observation.answer == Answer::Admitted);
        self.course.answered(observation.due, admitted);
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

    /// When answers are given up that have not come after the last request of the budget.
    fn last_answers_by(&self) -> Duration {
        self.last_sent + (self.longest * 3).max(LAST_ANSWERS)
    }

    fn must_stop(&mut self, now: Duration) -> bool {
        let why = if self.failures >= FAILURES {
            Stopped::Failures
        } else if self.sent >= self.plan.requests && (self.pending == 0 || now >= self.last_answers_by()) {
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
        if matches!(self.stage, Stage::Verifying(_)) {
            self.finding.verdict = Verdict::NotVerified;
        }
        self.stage = Stage::Over;
        self.finding.unrefused = rivals::unrefused(&self.log);
        self.advise();
        if let Some(best) = &self.finding.best
            && self.plan.others > 0
        {
            self.finding.scope =
                scope::judge(&self.log, &queue::events_of(&self.log, Some(&best.hypothesis)), &best.hypothesis);
        }
    }

    fn terms(&self, events: &Events, now: Duration) -> Terms {
        Terms {
            widest: self.plan.widest,
            round_trip: events.base.max(Duration::from_micros(200)),
            service: events.service,
            sigma: events.sigma,
            requests: self.plan.requests.saturating_sub(self.sent),
            // A theory may be wrong: none is worth waiting for far longer than everything took that led to it.
            time: self.plan.time.saturating_sub(now).min(now * 2 + Duration::from_secs(10)),
        }
    }

    /// Begins what comes after a course.
    fn advance(&mut self, now: Duration) {
        let mut events = queue::events_of(&self.log, self.fits.first().map(|fit| &fit.hypothesis));
        if self.explored >= FORGIVING {
            events = events.forgiving(STALL);
        }
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
                self.take_test(&verification);
                if self.answer.is_some() {
                    return self.conclude();
                }
                // Whoever predicts what is admitted is not refuted by a stall.
                let holds = self.finding.verdict == Verdict::Identified;
                self.learn_from_test(&events.forgiving(if holds { STALL } else { events.stall }));
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
}
