//! Retries of a worker on a clock that jumps from one wake-up to the next, against a transport that follows a script.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use super::*;
use crate::engine::collector::Collector;
use crate::engine::log::{Log, Outlet};
use crate::engine::shift::{Doors, work};
use crate::engine::tokens::{TokenKeeper, TokenView};
use crate::engine::worker::{MOST_PARKED, Worker};
use crate::engine::{PausableClock, Placement};
use crate::http::{Ask, Asked, Attempt, Request, Transport};
use crate::measure::{Clock, Counts, Totals};
use crate::scenario::Overrides;
use crate::units::Timer;

/// How long every attempt takes.
const SERVICE: Duration = Duration::from_millis(10);

/// What a script answers to an attempt of an operation: both counted from 0.
type Script = dyn Fn(u64, u32) -> Answer;

#[derive(Clone)]
struct Scripted {
    clock: PausableClock,
    script: Rc<Script>,
    /// The operation and the instant of each attempt.
    sent: Rc<RefCell<Vec<(u64, Duration)>>>,
}

impl Transport for Scripted {
    async fn attempt(&self, request: Request<'_>) -> Attempt {
        let body = request.rendered.body.unwrap();
        let operation: u64 = String::from_utf8(body.to_vec()).unwrap().parse().unwrap();
        let sent = self.clock.now();
        let before = self.sent.borrow().iter().filter(|(other, _)| *other == operation).count();
        self.sent.borrow_mut().push((operation, sent));
        self.clock.sleep_until(sent + SERVICE).await;
        let answer = (self.script)(operation, u32::try_from(before).unwrap());
        Attempt { sent, first_byte: Some(sent), done: self.clock.now(), connect: None, answer }
    }

    async fn ask(&self, _: Ask<'_>) -> Asked {
        unreachable!("no scenario here has checks")
    }
}

/// What came of a run on one worker.
struct Measured {
    totals: Totals,
    /// The operation of each attempt with its instant in milliseconds.
    sent: Vec<(u64, u128)>,
}

impl Measured {
    fn counts(&self) -> Counts {
        self.totals.all().counts
    }

    /// The longest of a clock, in milliseconds.
    fn longest(&self, clock: Clock) -> u64 {
        self.totals.all().distributions.all(clock).max() / 1_000
    }
}

fn run(settings: &str, script: impl Fn(u64, u32) -> Answer + 'static) -> Measured {
    run_with_room(MOST_PARKED, settings, script)
}

/// The same, with room for so many parked operations.
fn run_with_room(room: usize, settings: &str, script: impl Fn(u64, u32) -> Answer + 'static) -> Measured {
    let text = format!(
        "name = \"retry\"\n[target]\nbase_url = \"http://127.0.0.1:1\"\n[[variant]]\nname = \"one\"\npath = \"/\"\n\
         headers = {{ Content-Type = \"text/plain\" }}\nbody = \"{{{{ operation }}}}\"\nexpect = [202]\n{settings}"
    );
    let scenario = Scenario::parse(Path::new("retry.toml"), text.as_bytes(), &|_| None, &Overrides::default());
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let clock = PausableClock::starting_now();
        let (parts, mut received) = mpsc::channel(1_000);
        let (_emptied, emptied) = mpsc::channel(1);
        let (main, length) = (scenario.load.main, scenario.load.length());
        let log = Log::new(1, main, Outlet { worker: 0, parts, emptied });
        let base = "http://127.0.0.1:1".parse().unwrap();
        let keeper = TokenKeeper::obtain(&scenario.target, &base, |_| ()).await.unwrap();
        let tokens = Rc::new(TokenView::new(&mut keeper.subscribe()));
        let placement = Placement::new(&scenario, NonZeroUsize::MIN);
        let users: Vec<u32> = placement.users_of(&scenario, 0).collect();
        let mut worker = Worker::new(scenario.clone(), clock.clone(), tokens, log, (placement, 0));
        worker.room = room;
        let transport = Scripted { clock, script: Rc::new(script), sent: Rc::default() };
        let (_stop, stopped) = watch::channel(false);
        let open = transport.clone();
        let open = move || open.clone();
        work(worker, users, Doors { load: open.clone(), checks: open }, stopped).await;
        let mut collector = Collector::new(1, 1, main, length);
        while let Some(part) = received.recv().await {
            collector.add(part);
        }
        while collector.close_rest().is_some() {}
        let sent = transport.sent.borrow().iter().map(|(operation, at)| (*operation, at.as_millis())).collect();
        Measured { totals: collector.into_totals(), sent }
    })
}

fn throttled(retry_after: Option<u64>) -> Answer {
    Answer { status: Some(429), retry_after: retry_after.map(Duration::from_secs), ..Answer::bare(Outcome::Throttled) }
}

fn broken(code: &str) -> Answer {
    Answer { code: code.to_owned(), not_sent: code.starts_with("not_sent"), ..Answer::bare(Outcome::Broken) }
}

/// One user with one operation.
const ONCE: &str = "[load]\nstages = [{ for = \"60s\", users = 1 }]\nspread = \"0s\"\niterations = 1\n";

fn once(retry: &str, script: impl Fn(u64, u32) -> Answer + 'static) -> Measured {
    run(&format!("{ONCE}[retry]\n{retry}"), script)
}

#[test]
fn a_retry_goes_when_the_server_asked_for_it_and_the_response_runs_from_the_first_due() {
    let measured = once("on = [429]", |_, attempt| match attempt {
        0 => throttled(Some(2)),
        _ => Answer::accepted(202),
    });
    assert_eq!(measured.sent, [(0, 0), (0, 2_010)]);
    let counts = measured.counts();
    assert_eq!((counts.due, counts.started, counts.finished, counts.failed), (1, 1, 1, 0));
    assert_eq!((counts.attempts(), counts.outcome(Outcome::Throttled), counts.throttled), (2, 1, 0));
    let retries = measured.totals.retries;
    assert_eq!((retries.attempts, retries.operations, retries.accepted), (1, 1, 1));
    assert_eq!((retries.asked, retries.obeyed, measured.totals.parked_peak), (1, 1, 1));
    let responses = measured.totals.all().distributions.all(Clock::Response);
    assert_eq!((responses.len(), measured.longest(Clock::Response)), (1, 2_020), "of the operation, once");
    assert!(measured.longest(Clock::Service) < 12, "each attempt has its own");
    assert!(measured.longest(Clock::Wait) < 2, "the pause is no wait");
}

#[test]
fn the_wait_of_a_retry_is_what_the_limit_held_it_back_after_its_pause() {
    // A permit every 10 s. The first attempt takes one at once, so the second one is due after 2.01 s and goes after 10 s.
    let limited = format!("{ONCE}[limit]\nrate = \"6/min\"\n[retry]\non = [429]");
    let measured = run(&limited, |_, attempt| match attempt {
        0 => throttled(Some(2)),
        _ => Answer::accepted(202),
    });
    assert_eq!(measured.sent, [(0, 0), (0, 10_000)]);
    let waits = measured.totals.all().distributions.all(Clock::Wait);
    let longest = measured.longest(Clock::Wait);
    assert!(waits.len() == 2 && waits.min() < 2 && (7_980..=8_000).contains(&longest), "one each: {longest}");
    let response = measured.longest(Clock::Response);
    assert!((10_000..=10_020).contains(&response), "from the first due on: {response}");
}

#[test]
fn without_a_retry_after_the_pauses_grow_and_max_ends_them() {
    let backoff = "on = [429]\nmax = 3\nbackoff = { first = \"1s\", jitter = false }";
    let measured = once(backoff, |_, _| throttled(None));
    assert_eq!(measured.sent, [(0, 0), (0, 1_010), (0, 3_020), (0, 7_030)]);
    let (counts, retries) = (measured.counts(), measured.totals.retries);
    assert_eq!((counts.finished, counts.failed, counts.throttled, counts.attempts()), (1, 1, 1, 4));
    assert_eq!((retries.given_up_max, retries.asked, retries.accepted), (1, 0, 0));
}

#[test]
fn a_retry_after_above_the_longest_wait_ends_the_retries() {
    let measured = once("on = [429]\nlongest_wait = \"5s\"", |_, _| throttled(Some(6)));
    assert_eq!((measured.sent.len(), measured.counts().failed), (1, 1));
    assert_eq!(measured.totals.retries.given_up_longest_wait, 1);
    assert_eq!(once("on = [429]\nlongest_wait = \"6s\"\nmax = 1", |_, _| throttled(Some(6))).sent.len(), 2);
}

#[test]
fn a_retry_after_that_is_ignored_is_counted_as_not_obeyed() {
    let retry = "on = [429]\nmax = 1\nhonor_retry_after = false\nbackoff = { first = \"1s\", jitter = false }";
    let measured = once(retry, |_, _| throttled(Some(600)));
    assert_eq!(measured.sent, [(0, 0), (0, 1_010)]);
    assert_eq!((measured.totals.retries.asked, measured.totals.retries.obeyed), (1, 0));
}

#[test]
fn only_what_is_named_is_tried_again_and_never_what_the_server_may_have_seen_unless_it_is_a_timeout() {
    let attempts =
        |on: &str, code: &'static str| once(&format!("on = [{on}]\nmax = 1"), move |_, _| broken(code)).sent.len();
    assert_eq!(attempts("\"broken\"", "not_sent.refused"), 2);
    assert_eq!(attempts("\"broken\"", "not_sent.timeout"), 2);
    assert_eq!(attempts("\"broken\"", "not_sent.template"), 1);
    for code in ["timeout", "reset", "closed", "protocol"] {
        assert_eq!(attempts("429, \"broken\"", code), 1, "{code}");
    }
    assert_eq!(attempts("\"timeout\"", "timeout"), 2);
    assert_eq!(attempts("\"timeout\"", "not_sent.timeout"), 1);
    assert_eq!(once("on = [503]", |_, _| throttled(Some(1))).sent.len(), 1);
}

/// The open model with one operation per second and a single user.
fn arrivals(seconds: u64) -> String {
    format!(
        "[load]\nmodel = \"arrivals\"\nstages = [{{ for = \"{seconds}s\", rate = \"1/s\" }}]\nmax_users = 1\n\
         [retry]\non = [429]\nmax = 1\n"
    )
}

#[test]
fn in_the_open_model_a_waiting_operation_holds_no_place() {
    let measured = run(&arrivals(5), |operation, attempt| match (operation, attempt) {
        (0, 0) => throttled(Some(2)),
        _ => Answer::accepted(202),
    });
    let first = measured.sent[0].1;
    let order: Vec<_> = measured.sent.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(order, [0, 1, 2, 0, 3, 4], "{:?}", measured.sent);
    assert_eq!(measured.sent[3].1, first + 2_010);
    assert_eq!((measured.counts().finished, measured.counts().failed), (5, 0));
    assert!(measured.longest(Clock::Wait) < 12, "{}", measured.longest(Clock::Wait));
}

#[test]
fn what_is_parked_at_the_end_finishes_with_its_last_outcome() {
    let measured = run(&arrivals(5), |_, _| throttled(Some(60)));
    let (counts, totals) = (measured.counts(), &measured.totals);
    assert_eq!(measured.sent.len(), 5);
    assert_eq!((counts.due, counts.started, counts.unsent), (5, 5, 0));
    assert_eq!((counts.finished, counts.failed, counts.throttled), (5, 5, 5));
    assert_eq!((totals.retries.given_up_run_ended, totals.parked_peak), (5, 5));
    let responses = totals.all().distributions.all(Clock::Response);
    assert_eq!((responses.len(), responses.max() / 1_000), (5, 10), "to the end of the last attempt, not of the run");
}

#[test]
fn what_finds_no_room_to_wait_is_not_tried_again() {
    let measured = run_with_room(2, &arrivals(5), |_, _| throttled(Some(60)));
    let (counts, totals) = (measured.counts(), &measured.totals);
    assert_eq!((counts.started, counts.finished, counts.failed), (5, 5, 5));
    assert_eq!((totals.retries.given_up_no_room, totals.retries.given_up_run_ended, totals.parked_peak), (3, 2, 2));
}

#[test]
fn in_the_closed_model_the_user_waits_and_the_end_of_the_run_does_not_wait_for_it() {
    let settings =
        "[load]\nstages = [{ for = \"5s\", users = 2 }]\nspread = \"0s\"\ndrain = \"1h\"\n[retry]\non = [429]\n";
    let measured = run(settings, |_, _| throttled(Some(60)));
    let (counts, totals) = (measured.counts(), &measured.totals);
    assert_eq!((measured.sent.len(), counts.finished, counts.failed), (2, 2, 2));
    assert_eq!((totals.retries.given_up_run_ended, totals.parked_peak), (2, 2));
    assert!(totals.seconds <= 7, "{} seconds", totals.seconds);
}

#[test]
fn a_retry_takes_the_next_permit_before_those_who_were_never_sent() {
    let settings = "[load]\nstages = [{ for = \"5s\", users = 8 }]\nspread = \"0s\"\niterations = 1\n\
         [limit]\nrate = \"2/s\"\n[retry]\non = [429]\n";
    let measured = run(settings, |operation, attempt| match (operation, attempt) {
        (0, 0) => throttled(Some(1)),
        _ => Answer::accepted(202),
    });
    let order: Vec<_> = measured.sent.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(order, [0, 1, 2, 0, 3, 4, 5, 6, 7], "{:?}", measured.sent);
}

/// An answer that is as good as random, and the same for the same attempt.
fn any_answer(operation: u64, attempt: u32, seed: u64) -> Answer {
    match mixed(operation * 8 + u64::from(attempt), seed) % 6 {
        0 => throttled(Some(1)),
        1 => throttled(None),
        2 => throttled(Some(9)),
        3 => Answer { status: Some(400), ..Answer::bare(Outcome::Rejected) },
        4 => broken("not_sent.refused"),
        _ => Answer::accepted(202),
    }
}

/// A number that depends on every bit of both.
fn mixed(number: u64, seed: u64) -> u64 {
    let mixed = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_operation_ends_once_whatever_comes_and_no_retry_is_early(seed: u64, is_open: bool, limited: bool) {
        let load = if is_open {
            "[load]\nmodel = \"arrivals\"\nstages = [{ for = \"6s\", rate = \"9/s\" }]\nmax_users = 3\n"
        } else {
            "[load]\nstages = [{ for = \"6s\", users = 5 }]\nthink_time = \"200ms\"\n"
        };
        let limit = if limited { "[limit]\nrate = \"8/s\"\n" } else { "" };
        let retry = "[retry]\non = [429, \"broken\"]\nmax = 2\nlongest_wait = \"5s\"\n";
        let measured = run(&format!("{load}{limit}{retry}"), move |operation, attempt| {
            any_answer(operation, attempt, seed)
        });
        let (counts, retries) = (measured.counts(), measured.totals.retries);
        let mut attempts: BTreeMap<u64, Vec<u128>> = BTreeMap::new();
        for (operation, at) in &measured.sent {
            attempts.entry(*operation).or_default().push(*at);
        }
        let last = attempts.iter().map(|(operation, sent)| {
            any_answer(*operation, u32::try_from(sent.len() - 1).unwrap(), seed).outcome
        });
        let failed = last.filter(|outcome| *outcome != Outcome::Accepted).count() as u64;
        prop_assert_eq!(counts.due, counts.started + counts.unsent);
        prop_assert_eq!((counts.started, counts.finished), (attempts.len() as u64, attempts.len() as u64));
        prop_assert_eq!(counts.failed, failed);
        prop_assert_eq!(counts.attempts(), measured.sent.len() as u64);
        prop_assert_eq!(retries.attempts, counts.attempts() - counts.started);
        prop_assert_eq!(retries.operations, attempts.values().filter(|sent| sent.len() > 1).count() as u64);
        prop_assert_eq!(retries.obeyed, retries.asked);
        prop_assert_eq!(measured.totals.all().distributions.all(Clock::Response).len(), counts.finished);
        for (operation, sent) in &attempts {
            prop_assert!(sent.len() <= 3);
            for (i, pair) in sent.windows(2).enumerate() {
                let before = any_answer(*operation, u32::try_from(i).unwrap(), seed);
                let pause = before.retry_after.unwrap_or_default() + SERVICE;
                prop_assert!(pair[1] - pair[0] >= pause.as_millis(), "{sent:?}");
            }
        }
    }
}
