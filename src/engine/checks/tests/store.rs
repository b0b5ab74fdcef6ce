//! An API in memory that does with each write what a script says, and a worker that runs against it.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::consistency::Event;
use crate::engine::checks::{Records, Shares, Tracker};
use crate::engine::collector::Collector;
use crate::engine::log::{Log, Outlet};
use crate::engine::shift::{Doors, work};
use crate::engine::tokens::{TokenKeeper, TokenView};
use crate::engine::worker::Worker;
use crate::engine::{Budget, PausableClock, Placement};
use crate::http::{Ask, Asked, Attempt, HUNG_UP, Purpose, Request, Transport};
use crate::measure::{Answer, Check, Findings, Mode, Outcome, Repetitions, Totals};
use crate::scenario::{Idempotency, Overrides, Rendered, Scenario};
use crate::units::{Duration, Timer};

/// How long a write takes, and a read; what it shows or does is as of half of that.
const SERVICE: Duration = Duration::from_millis(10);

/// A write that came.
pub(super) struct Written {
    /// The number of its operation.
    pub(super) number: u64,
    /// How many writes of it came before.
    pub(super) nth: usize,
    /// What its body says.
    pub(super) attributes: Value,
    /// The value of the idempotency key.
    pub(super) key: Option<String>,
}

/// What becomes of it.
pub(super) struct Effect {
    pub(super) answer: Answer,
    pub(super) body: String,
    /// What is merged into the attributes, and how many milliseconds later.
    pub(super) changes: Vec<(u64, Value)>,
}

impl Written {
    /// It is accepted, and seen after so many milliseconds.
    pub(super) fn shown_after(&self, ms: u64) -> Effect {
        let changes = vec![(ms, self.attributes.clone())];
        Effect { answer: Answer::accepted(202), body: "{}".to_owned(), changes }
    }
}

/// A write that is answered with this status, and has no effect.
pub(super) fn refused(status: u16) -> Effect {
    let outcome = match status {
        202 => Outcome::Accepted,
        429 => Outcome::Throttled,
        400..=499 => Outcome::Rejected,
        _ => Outcome::Failed,
    };
    let answer = Answer { status: Some(status), ..Answer::bare(outcome) };
    Effect { answer, body: "{}".to_owned(), changes: Vec::new() }
}

impl Effect {
    /// Something else changes, too, so many milliseconds after the write.
    pub(super) fn and(mut self, ms: u64, change: Value) -> Self {
        self.changes.push((ms, change));
        self
    }
}

type Script = dyn Fn(&Written) -> Effect;

#[derive(Clone)]
struct Store {
    clock: PausableClock,
    script: Rc<Script>,
    /// What changes when, in the order of the requests.
    changes: Rc<RefCell<Vec<(Duration, Value)>>>,
    /// The numbers of all writes.
    numbers: Rc<RefCell<Vec<u64>>>,
    /// Attempts of the load, and requests of checks.
    load: Rc<RefCell<Vec<Duration>>>,
    asked: Rc<RefCell<Vec<(Purpose, Duration)>>>,
    /// So many reads are refused first.
    throttled_reads: usize,
}

impl Store {
    /// The attributes as they are now.
    fn attributes(&self) -> Value {
        let now = self.clock.now();
        let mut due: Vec<_> = self.changes.borrow().iter().filter(|(at, _)| *at <= now).cloned().collect();
        due.sort_by_key(|(at, _)| *at);
        let mut attributes = json!({"other": "as ever"});
        for (_, change) in due {
            for (key, value) in change.as_object().unwrap() {
                match value {
                    Value::Null => drop(attributes.as_object_mut().unwrap().remove(key)),
                    value => attributes[key] = value.clone(),
                }
            }
        }
        attributes
    }

    async fn write(&self, rendered: &Rendered<'_>) -> (Answer, Vec<u8>) {
        let body: Value = serde_json::from_slice(rendered.body.as_ref().unwrap()).unwrap();
        let attributes = body["attributes"].clone();
        let unique = attributes.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        let number = unique.rsplit('-').next().unwrap().parse().unwrap();
        let nth = self.numbers.borrow().iter().filter(|other| **other == number).count();
        self.numbers.borrow_mut().push(number);
        let key = rendered.headers.iter().find(|(name, _)| *name == Idempotency::KEY_HEADER);
        let written = Written { number, nth, attributes, key: key.map(|(_, value)| value.to_string()) };
        self.clock.sleep_until(self.clock.now() + SERVICE / 2).await;
        let effect = (self.script)(&written);
        let now = self.clock.now();
        let changes = effect.changes.into_iter().map(|(ms, change)| (now + Duration::from_millis(ms), change));
        self.changes.borrow_mut().extend(changes);
        self.clock.sleep_until(now + SERVICE / 2).await;
        (effect.answer, effect.body.into_bytes())
    }

    async fn read(&self) -> (Answer, Vec<u8>) {
        self.clock.sleep_until(self.clock.now() + SERVICE / 2).await;
        let attributes = self.attributes();
        self.clock.sleep_until(self.clock.now() + SERVICE / 2).await;
        let reads = self.asked.borrow().iter().filter(|(purpose, _)| *purpose == Purpose::Read).count();
        if reads <= self.throttled_reads {
            let retry_after = Some(Duration::from_secs(1));
            return (Answer { status: Some(429), retry_after, ..Answer::bare(Outcome::Throttled) }, Vec::new());
        }
        (Answer::accepted(200), json!({"attributes": attributes}).to_string().into_bytes())
    }

    fn attempt_since(&self, sent: Duration, answer: Answer) -> Attempt {
        Attempt { sent, first_byte: None, done: self.clock.now(), connect: None, answer }
    }
}

impl Transport for Store {
    async fn attempt(&self, request: Request<'_>) -> Attempt {
        let sent = self.clock.now();
        self.load.borrow_mut().push(sent);
        let (answer, _) = self.write(&request.rendered).await;
        self.attempt_since(sent, answer)
    }

    async fn ask(&self, ask: Ask<'_>) -> Asked {
        let sent = self.clock.now();
        self.asked.borrow_mut().push((ask.purpose, sent));
        let (answer, body) = match ask.purpose {
            Purpose::Read => self.read().await,
            Purpose::Write(_) => self.write(&ask.rendered).await,
            Purpose::Unanswered(_) => {
                self.write(&ask.rendered).await;
                (Answer { code: HUNG_UP.to_owned(), ..Answer::bare(Outcome::Broken) }, Vec::new())
            }
        };
        Asked { attempt: self.attempt_since(sent, answer), body }
    }
}

/// What came of a run on one worker.
pub(super) struct Measured {
    pub(super) totals: Totals,
    pub(super) events: Vec<Event>,
    /// When attempts of the load were sent.
    pub(super) load: Vec<Duration>,
    /// What the checks sent, and when.
    pub(super) asked: Vec<(Purpose, Duration)>,
    /// When it was over.
    pub(super) ended: Duration,
}

impl Measured {
    pub(super) fn found(&self, check: Check) -> &Findings {
        &self.totals.checks.as_ref().unwrap().variants[0].findings[check.index()]
    }

    pub(super) fn repetitions(&self, mode: Mode) -> &Repetitions {
        &self.totals.checks.as_ref().unwrap().variants[0].repetitions[mode.index()]
    }

    /// When reads were sent, in milliseconds.
    pub(super) fn reads(&self) -> Vec<u128> {
        let reads = self.asked.iter().filter(|(purpose, _)| *purpose == Purpose::Read);
        reads.map(|(_, at)| at.as_millis()).collect()
    }

    /// Why checks were given up.
    pub(super) fn given_up(&self) -> Vec<&'static str> {
        let why = |event: &Event| match event {
            Event::GivenUp { why, .. } => Some(*why),
            _ => None,
        };
        self.events.iter().filter_map(why).collect()
    }
}

/// What to run.
pub(super) struct Trial<'a> {
    /// The scenario, but for target, variant and `[read]`.
    pub(super) settings: &'a str,
    pub(super) throttled_reads: usize,
    /// When it is told to stop.
    pub(super) stop: Option<Duration>,
    /// How many cases may be open at once.
    pub(super) room: usize,
}

pub(super) const TRIAL: Trial<'_> = Trial { settings: "", throttled_reads: 0, stop: None, room: 1_000 };

/// Runs a scenario against a store with this script.
pub(super) fn run(settings: &str, script: impl Fn(&Written) -> Effect + 'static) -> Measured {
    run_trial(&Trial { settings, ..TRIAL }, script)
}

pub(super) fn run_trial(trial: &Trial<'_>, script: impl Fn(&Written) -> Effect + 'static) -> Measured {
    let key = if trial.settings.contains("k{{ user }}") { "k{{ user }}" } else { "ref" };
    let text = format!(
        "name = \"checks\"\nseed = 7\n[target]\nbase_url = \"http://127.0.0.1:1\"\n[[variant]]\nname = \"one\"\npath = \"/\"\n\
         body = '{{\"attributes\": {{\"{key}\": \"{{{{ unique }}}}\"}}}}'\nexpect = [202]\n\
         [read]\npath = \"/\"\nattributes = \"$.attributes\"\n{}",
        trial.settings
    );
    let scenario = Scenario::parse(Path::new("checks.toml"), text.as_bytes(), &|_| None, &Overrides::default());
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, run_on_a_worker(trial, scenario, Rc::new(script)))
}

async fn run_on_a_worker(trial: &Trial<'_>, scenario: Arc<Scenario>, script: Rc<Script>) -> Measured {
    let clock = PausableClock::starting_now();
    let (parts, mut received) = mpsc::channel(10_000);
    let (_emptied, emptied) = mpsc::channel(1);
    let (main, length) = (scenario.load.main, scenario.load.length());
    let log = Log::new(1, main, Outlet { worker: 0, parts, emptied });
    let base = "http://127.0.0.1:1".parse().unwrap();
    let keeper = TokenKeeper::obtain(&scenario.target, &base, |_| ()).await.unwrap();
    let tokens = Rc::new(TokenView::new(&mut keeper.subscribe()));
    let placement = Placement::new(&scenario, NonZeroUsize::MIN);
    let users: Vec<u32> = placement.users_of(&scenario, 0).collect();
    let shares = Shares::new(&scenario, &placement);
    let mut worker = Worker::new(scenario.clone(), clock.clone(), tokens, log, (placement, 0));
    worker.budget = Rc::new(Budget::new(scenario.attempts_in_budget()));
    worker.tracker = shares.map(|shares| Tracker { room: trial.room, ..Tracker::new(shares.of(0)) });
    let store = Store {
        clock: clock.clone(),
        script,
        changes: Rc::default(),
        numbers: Rc::default(),
        load: Rc::default(),
        asked: Rc::default(),
        throttled_reads: trial.throttled_reads,
    };
    let (stop, stopped) = watch::channel(false);
    let open = store.clone();
    let open = move || open.clone();
    let working = work(worker, users, Doors { load: open.clone(), checks: open }, stopped);
    let stopping = async {
        match trial.stop {
            Some(at) => clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
        stop.send_replace(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = working => {}
        () = stopping => {}
    }
    let ended = clock.now();
    let (mut collector, mut records) =
        (Collector::new(1, 1, main, length), Records::new(&scenario, std::time::Instant::now()));
    let mut events = Vec::new();
    while let Some(mut part) = received.recv().await {
        let noted = std::mem::take(&mut part.noted);
        events.extend(noted.events.iter().cloned());
        if let Some(records) = &mut records {
            records.add(noted);
        }
        collector.add(part);
    }
    while collector.close_rest().is_some() {}
    let mut totals = collector.into_totals();
    totals.checks = records.map(|records| records.judge(&scenario));
    Measured { totals, events, load: store.load.take(), asked: store.asked.take(), ended }
}
