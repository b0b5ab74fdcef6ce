//! Whether once and twice are the same: an operation beside the load is sent, repeated, and read before, between and after.

use serde_json::Value;

use super::Case;
use super::asking::{Desk, Halt, Sight};
use super::ending::Unless;
use super::visibility::{Schedule, Verdict};
use crate::consistency::{Comparison, Event, Occasion, Repeat, Repetition, Told, compare, keys_of};
use crate::engine::together::all;
use crate::http::{Asked, HUNG_UP, Purpose, Transport};
use crate::measure::{Answer, Mode, Outcome};
use crate::scenario::{Checks, Idempotency, Operation, Rendered, Scenario, Visibility, curl_of};
use crate::units::{Duration, Timer};

/// What keeps two instants apart.
const TICK: Duration = Duration::from_millis(1);

/// What is read twice and differs is changing just then, and says nothing.
const READS_AFTER: u32 = 2;

/// What a mode does, beside the reads that are the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    /// So many requests are sent first, together.
    together: u32,
    /// Whether their client waits for the answer.
    first: Waits,
    /// When the same request is sent again.
    again: Again,
    /// Whether requests bear a key, with which another body must be refused.
    key: Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    ForTheAnswer,
    /// It hangs up when it has sent its request.
    ForNothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// At once.
    AtOnce,
    /// When its first effect was seen.
    Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Absent,
    Sent,
}

impl Key {
    /// The value of the header, a string as in RFC 8941: the operation's `unique`.
    fn of(self, scenario: &Scenario, operation: &Operation) -> Option<String> {
        (self == Self::Sent).then(|| format!("\"{}-{}\"", scenario.seed, operation.number))
    }
}

impl Steps {
    fn of(mode: Mode, idempotency: &Idempotency) -> Self {
        let replay = Self { together: 1, first: Waits::ForTheAnswer, again: Again::Seen, key: Key::Absent };
        match mode {
            Mode::Replay => replay,
            Mode::Concurrent => Self { together: idempotency.concurrent, again: Again::Never, ..replay },
            Mode::Retry => Self { first: Waits::ForNothing, again: Again::AtOnce, ..replay },
            Mode::Keyed => Self { key: Key::Sent, ..replay },
        }
    }
}

/// Repeats an operation like that of a case in this way, and records what came of it.
pub(super) async fn follow<T: Timer, X: Transport, U: Fn() -> X>(
    desk: &Desk<T, X, U>,
    case: &Case,
    (mode, idempotency): (Mode, &Idempotency),
) {
    let operation = Checks::extra(&case.operation);
    let place = &case.lease.place;
    // Until then the write of the load may take its time to be seen, and nobody could tell its effect from this one's.
    let within = desk.checks().looking().within;
    desk.sleep_until(case.done.saturating_add(within).saturating_add(TICK)).await;
    // What was written before is nothing to this operation.
    let lease = desk.tracker().registers.lease(place.clone());
    let case = Case { operation, lease, visibility: false, idempotency: None, ..*case };
    let from = desk.now();
    let told = |to, comparison| {
        let (value, variant, place) = (operation.number, operation.variant, place.clone());
        Event::Repetition(Repetition { mode, place, value, variant, from, to, comparison })
    };
    let inconclusive = |halt: Halt| Comparison { text: halt.why().to_owned(), ..Comparison::default() };
    let unless = Unless::new(desk.worker.clone(), told(from, inconclusive(Halt::Stopped)));
    let [before, after] = Default::default();
    let mut repeated = Repeated {
        desk,
        case: &case,
        idempotency,
        told: Vec::new(),
        done: from,
        before,
        once: None,
        after,
        read: None,
    };
    let comparison = repeated.through(mode).await.unwrap_or_else(inconclusive);
    unless.ended_with(Some(told(repeated.read.unwrap_or_else(|| desk.now()), comparison)));
}

/// An operation that is being repeated.
struct Repeated<'a, T: Timer, X, U> {
    desk: &'a Desk<T, X, U>,
    case: &'a Case,
    idempotency: &'a Idempotency,
    /// What came back, in the order of the requests.
    told: Vec<Told>,
    /// When the last of it was there.
    done: Duration,
    /// The attributes before the first request.
    before: Vec<Value>,
    /// When its value was first seen.
    once: Option<Value>,
    /// After the last.
    after: Vec<Value>,
    /// When the last of these reads was done; `None` before.
    read: Option<Duration>,
}

impl<T: Timer, X: Transport, U: Fn() -> X> Repeated<'_, T, X, U> {
    /// Goes through all steps of a mode that can still tell something.
    async fn through(&mut self, mode: Mode) -> Result<Comparison, Halt> {
        let steps = Steps::of(mode, self.idempotency);
        let scenario = self.desk.worker.scenario.clone();
        let operation = self.case.operation;
        let shape = &scenario.variants[operation.variant];
        let key = steps.key.of(&scenario, &operation);
        let rendered = with_key(shape.render(&scenario, &operation).map_err(|_| Halt::Unrenderable)?, key.as_deref());
        let first = match steps.first {
            Waits::ForTheAnswer => Purpose::Write(operation.variant),
            Waits::ForNothing => Purpose::Unanswered(operation.variant),
        };
        let whole = (Purpose::Write(operation.variant), 1);
        self.before.push(self.state().await?);
        self.write(&operation, &rendered, (first, steps.together)).await?;
        if steps.again == Again::AtOnce {
            self.write(&operation, &rendered, whole).await?;
        }
        if self.is_promising() {
            self.once = self.first_seen().await?;
            if steps.again == Again::Seen && self.once.is_some() {
                self.write(&operation, &rendered, whole).await?;
            }
            self.desk.sleep_until(self.done.saturating_add(self.idempotency.settle)).await;
            for _ in 0..READS_AFTER {
                self.after.push(self.state().await?);
            }
            self.read = Some(self.desk.now());
            if steps.key == Key::Sent && self.once.is_some() {
                // With another body it may write something else, so it comes last, and after what the reads are of.
                self.desk.sleep_until(self.desk.now().saturating_add(TICK)).await;
                let other = Checks::other(&operation);
                let rendered = shape.render(&scenario, &other).map_err(|_| Halt::Unrenderable)?;
                self.write(&other, &with_key(rendered, key.as_deref()), whole).await?;
            }
        }
        Ok(self.compared(mode, rendered.body.as_deref()))
    }

    fn compared(&self, mode: Mode, body: Option<&[u8]>) -> Comparison {
        let body = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
        let repeat = Repeat {
            mode,
            told: &self.told,
            before: &self.before,
            once: self.once.as_ref(),
            after: &self.after,
            key: &self.case.lease.place.key,
            value: self.case.operation.number,
            named: &keys_of(&body),
            volatile: &self.idempotency.volatile,
        };
        compare(&repeat, |value| self.desk.checks().number_in(&self.desk.worker.scenario, value))
    }

    /// Sends a request so many times together, and records each as a write of the operation.
    async fn write(
        &mut self,
        operation: &Operation,
        rendered: &Rendered<'_>,
        (purpose, times): (Purpose, u32),
    ) -> Result<(), Halt> {
        let user = operation.user;
        let clearance = self.desk.clearance(user, times).await?;
        let answers = all((0..times).map(|_| self.desk.send(user, purpose, rendered.clone()))).await;
        drop(clearance);
        for Asked { attempt, body } in answers {
            self.desk.tracker().wrote(&self.desk.worker, operation, &self.case.lease.place, &attempt);
            self.done = self.done.max(attempt.done);
            let Answer { status, outcome, code, not_sent, .. } = attempt.answer;
            if matches!(purpose, Purpose::Unanswered(_)) && outcome == Outcome::Broken && (not_sent || code != HUNG_UP)
            {
                return Err(Halt::Broke);
            }
            self.told.push(Told { status: status.unwrap_or_default(), body, outcome });
        }
        Ok(())
    }

    /// Whether what follows can tell anything: one request was accepted, or its client did not wait for the answer.
    fn is_promising(&self) -> bool {
        let may_have_worked =
            |told: &Told| !matches!(told.outcome, Outcome::Throttled | Outcome::Rejected | Outcome::Failed);
        self.told.iter().any(may_have_worked)
    }

    /// The attributes as they are now.
    async fn state(&self) -> Result<Value, Halt> {
        let occasion = Occasion::Poll(self.case.operation.number);
        let pause = self.visibility().most;
        let look = self.desk.look_surely(self.case, occasion, (self.desk.now(), pause)).await;
        look.map(|(_, attributes)| attributes)
    }

    /// The attributes when they first show the operation's value; `None` where they do not in time, or where another
    /// operation wrote it meanwhile.
    async fn first_seen(&self) -> Result<Option<Value>, Halt> {
        let latest = self.done.saturating_add(self.idempotency.settle.saturating_mul(2));
        let mut schedule = Schedule::after(self.done, self.visibility());
        loop {
            let at = schedule.at.min(latest);
            self.desk.sleep_until(at).await;
            match self.desk.look(self.case, Occasion::Poll(self.case.operation.number)).await? {
                Sight::Nothing(again) => schedule.next(again),
                Sight::Shown(look, attributes) => match Verdict::of(&look, self.case) {
                    Verdict::There => return Ok(Some(attributes)),
                    Verdict::Superseded => return Ok(None),
                    Verdict::Missing => schedule.next(look.done),
                },
            }
            if at == latest {
                return Ok(None);
            }
        }
    }

    fn visibility(&self) -> Visibility {
        self.desk.checks().looking()
    }
}

/// The writes of a repetition as curl lines, in their order; those that go together follow each other.
pub(super) fn requests(scenario: &Scenario, repetition: &Repetition) -> Vec<String> {
    let Some(idempotency) = scenario.checks.as_ref().and_then(|checks| checks.idempotency.as_ref()) else {
        return Vec::new();
    };
    let steps = Steps::of(repetition.mode, idempotency);
    let operation = Checks::extra(&scenario.operation_numbered(Checks::origin(repetition.value)));
    let key = steps.key.of(scenario, &operation);
    let header = key.as_deref().map(|key| (Idempotency::KEY_HEADER, key));
    let again = u32::from(steps.again != Again::Never);
    let mut lines = vec![curl_of(scenario, &operation, header); (steps.together + again) as usize];
    lines.extend(header.map(|header| curl_of(scenario, &Checks::other(&operation), Some(header))));
    lines
}

/// A request with an idempotency key, where there is one.
fn with_key<'a>(mut rendered: Rendered<'a>, key: Option<&str>) -> Rendered<'a> {
    rendered.headers.extend(key.map(|key| (Idempotency::KEY_HEADER, key.to_owned().into())));
    rendered
}
