use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use tokio::task::LocalSet;

use super::*;
use crate::engine::PausableClock;
use crate::http::Attempt;
use crate::quota::{Admission, Arrival, Limiter, Model};

/// What a server in paused time answers to the request with this number.
type Script = fn(u32) -> Scripted;

#[derive(Clone, Copy)]
enum Scripted {
    /// What its limiter decides.
    Limited,
    Status(u16),
    Broken,
}

type Answering = Pin<Box<dyn Future<Output = (Answer, Tried)>>>;

/// Ten per second, and what the script says.
fn server(clock: PausableClock, script: Script) -> impl Fn(usize) -> Answering {
    let limiter = Limiter::new(Model::FirstRequestWindow { rate: "10/s".parse().unwrap() });
    let state = Rc::new(RefCell::new(limiter.fresh()));
    let count = Rc::new(Cell::new(0));
    move |_| {
        let (clock, state) = (clock.clone(), state.clone());
        let number = count.replace(count.get() + 1);
        Box::pin(async move {
            let sent = clock.now();
            clock.sleep_until(sent + Duration::from_millis(2)).await;
            let arrival = Arrival { at: clock.now(), cost: 1 };
            let status = match script(number) {
                Scripted::Limited => {
                    let mut state = state.borrow_mut();
                    if matches!(limiter.judge(&state, arrival), Admission::Refused { .. }) {
                        Some(429)
                    } else {
                        limiter.note_admitted(&mut state, arrival);
                        Some(202)
                    }
                }
                Scripted::Status(status) => Some(status),
                Scripted::Broken => None,
            };
            clock.sleep_until(sent + Duration::from_millis(4)).await;
            let done = clock.now();
            let (outcome, meaning) = match status {
                Some(429) => (Outcome::Throttled, Answer::Refused { retry_after: None }),
                Some(202) => (Outcome::Accepted, Answer::Admitted),
                Some(_) => (Outcome::Rejected, Answer::Admitted),
                None => (Outcome::Broken, Answer::Lost),
            };
            let answer = measure::Answer { status, code: "code".to_owned(), ..measure::Answer::bare(outcome) };
            let first_byte = status.map(|_| done);
            let attempt = Attempt { sent, first_byte, done, connect: None, answer };
            (meaning, Tried { attempt, written: Some(sent), quota: Vec::new() })
        })
    }
}

/// Drives a profile; `on_step` may stop it.
async fn driven(script: Script, plan: Plan, mut on_step: impl FnMut(&Step<'_>, &Stop)) -> Profiled {
    let (clock, stop) = (PausableClock::starting_now(), Stop::default());
    let driver = Driver::new((Profiler::new(plan), plan), clock.clone(), server(clock, script));
    LocalSet::new().run_until(driver.drive(&stop, |step| on_step(step, &stop))).await
}

fn plan(requests: u32) -> Plan {
    Plan { requests, ..Plan::default() }
}

#[tokio::test(start_paused = true)]
async fn every_request_of_the_budget_is_sent_and_noted() {
    let profiled = driven(|_| Scripted::Limited, plan(60), |_, _| ()).await;
    assert_eq!((profiled.requests, profiled.profiler.log().observations().len()), (60, 60));
    assert_eq!(profiled.profiler.finding().stopped, Stopped::Requests);
    let admitted = profiled.profiler.log().observations().iter().take_while(|one| one.answer == Answer::Admitted);
    assert_eq!(admitted.count(), 10, "the first burst");
    assert_eq!(profiled.trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_limiter_is_identified() {
    let profiled = driven(|_| Scripted::Limited, plan(3_000), |_, _| ()).await;
    let finding = profiled.profiler.finding();
    let theory = finding.best.as_ref().unwrap().hypothesis.tiers[0];
    assert_eq!((&finding.verdict, theory.limit), (&crate::profile::Verdict::Identified, 10), "{theory:?}");
    assert!((theory.time - 1.0).abs() < 0.003, "{theory:?}");
}

#[tokio::test(start_paused = true)]
async fn three_answers_that_turn_us_away_end_it() {
    for status in TURNED_AWAY {
        let script: Script = match status {
            401 => |_| Scripted::Status(401),
            403 => |_| Scripted::Status(403),
            _ => |_| Scripted::Status(404),
        };
        let profiled = driven(script, plan(100), |_, _| ()).await;
        assert_eq!(profiled.trouble, Some(Trouble::TurnedAway { count: 3, status, message: None }));
        assert_eq!((profiled.requests, profiled.profiler.finding().stopped), (3, Stopped::TurnedAway));
    }
    let later = driven(|number| Scripted::Status(if number == 0 { 202 } else { 404 }), plan(30), |_, _| ()).await;
    assert_eq!((later.trouble, later.requests), (None, 30), "the target knows us");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_falls_silent_ends_it_with_what_is_known() {
    let never = driven(|_| Scripted::Broken, plan(100), |_, _| ()).await;
    assert_eq!(never.trouble, Some(Trouble::Silent { count: 3, why: "code".to_owned() }));
    let script: Script = |number| if number < 30 { Scripted::Limited } else { Scripted::Broken };
    let profiled = driven(script, plan(1_000), |_, _| ()).await;
    assert!(matches!(profiled.trouble, Some(Trouble::Silent { count: MOST_LOST, .. })), "{:?}", profiled.trouble);
    assert_eq!(profiled.profiler.finding().stopped, Stopped::Silent);
    assert!((38..=45).contains(&profiled.requests), "{}", profiled.requests);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_it_keeps_what_is_known() {
    let stop_after = |requests| {
        move |step: &Step<'_>, stop: &Stop| {
            if step.requests >= requests {
                stop.request();
            }
        }
    };
    let at_once = driven(|_| Scripted::Limited, plan(100), stop_after(0)).await;
    assert_eq!((at_once.requests, at_once.profiler.finding().stopped), (0, Stopped::Interrupted));
    let profiled = driven(|_| Scripted::Limited, plan(100), stop_after(12)).await;
    assert_eq!(profiled.profiler.finding().stopped, Stopped::Interrupted);
    let log = profiled.profiler.log().observations();
    assert!(log.len() >= 12 && log.len() == profiled.requests as usize, "what was under way is heard, too");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_end_of_the_time() {
    let time = Duration::from_millis(600);
    let profiled = driven(|_| Scripted::Limited, Plan { time, ..plan(1_000) }, |_, _| ()).await;
    assert_eq!(profiled.profiler.finding().stopped, Stopped::Time);
    assert!(profiled.profiler.log().observations().iter().all(|one| one.sent <= time));
    assert!(profiled.elapsed <= time + LAST_ANSWERS);
}
