//! The work of one worker, from its first user to its last.

use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::checks::Checking;
use super::limiter::Limiter;
use super::log::Due;
use super::pause::Pause;
use super::source::{Arriving, Found, Steps};
use super::user;
use super::worker::Worker;
use crate::http::Transport;
use crate::scenario::{Open, Schedule};
use crate::units::{Duration, Timer};

/// How often the event loop is asked how late it is.
const LOOK_AT_LOOP: Duration = Duration::from_millis(50);

/// What opens connections: those of the load, and those of the checks, which are none of the load's even where its users share
/// theirs.
pub(super) struct Doors<U> {
    pub(super) load: U,
    pub(super) checks: U,
}

/// Runs the users until the schedule ends or `stop` says so, lets what is in flight finish within `load.drain` and open checks
/// after it, and hands over the last of the record.
pub(super) async fn work<T: Timer, X: Transport + 'static, U: Fn() -> X + Clone + 'static>(
    worker: Worker<T>,
    users: impl IntoIterator<Item = u32>,
    open: Doors<U>,
    mut stop: watch::Receiver<bool>,
) {
    let worker = Rc::new(worker);
    let mut checks = Checking::new(&worker, open.checks, stop.clone());
    let mut helpers = JoinSet::new();
    for key in 0..worker.limiters.len() {
        let worker = worker.clone();
        helpers.spawn_local(async move { worker.limiters[key].pace().await });
    }
    helpers.spawn_local(roll_each_second(worker.clone()));
    helpers.spawn_local(watch_the_loop(worker.clone()));
    let mut crew = JoinSet::new();
    tokio::select! {
        () = perform_all(&worker, users, open.load, &mut crew) => {}
        () = all_ended(&mut helpers) => {}
        () = worker.budget.used_up() => worker.log.budget_spent(),
        _ = stop.wait_for(|stop| *stop) => {}
        () = checks.follow() => {}
    }
    worker.close();
    let bound = worker.timer.now() + worker.scenario.load.drain;
    tokio::select! {
        () = worker.drained() => {}
        () = worker.timer.sleep_until(bound) => {}
        () = checks.follow() => {}
    }
    // An operation that is dropped in flight records itself as abandoned.
    crew.shutdown().await;
    checks.finish().await;
    worker.limiters.iter().for_each(Limiter::close);
    helpers.shutdown().await;
    let now = worker.timer.now();
    let worker = Rc::into_inner(worker).expect("all tasks that shared the worker are gone");
    worker.log.finish(now).await;
}

/// Makes the users as the schedule wants them, until it ends.
async fn perform_all<T: Timer, X: Transport + 'static>(
    worker: &Rc<Worker<T>>,
    users: impl IntoIterator<Item = u32>,
    open: impl Fn() -> X + Clone + 'static,
    crew: &mut JoinSet<()>,
) {
    match &worker.scenario.load.schedule {
        Schedule::Users(closed) => {
            let shared = Rc::new(closed.clone());
            for user in users {
                let steps = Steps::new(worker.clone(), shared.clone(), user);
                crew.spawn_local(user::live(worker.clone(), steps, open.clone()));
            }
            tokio::select! {
                () = all_ended(crew) => {}
                () = worker.timer.sleep_until(closed.stages.length()) => {}
            }
        }
        Schedule::Arrivals(schedule) => {
            // Users are as good as each other, so each worker has its part of them, whoever that is.
            let most = users.into_iter().count().max(1);
            // All that is due before the end is announced, though our own lateness may bring the end before it.
            let arrive = async {
                let announced = announce(worker, schedule, most).await;
                let end = worker.timer.sleep_until(schedule.arrivals.length());
                match announced {
                    Announcement::Whole => end.await,
                    // The schedule ends with its last operation that had a row.
                    Announcement::OutOfRows => {
                        worker.backlog.complete(most);
                        tokio::select! {
                            () = end => {}
                            () = worker.drained() => {}
                        }
                    }
                }
                worker.backlog.complete(most);
                worker.backlog.handed_out().await;
            };
            let welcome = async {
                let mut made = 0;
                loop {
                    tokio::select! {
                        wanted = worker.backlog.wanted(made) => {
                            for _ in made..wanted {
                                crew.spawn_local(user::live(worker.clone(), Arriving::new(worker.clone()), open.clone()));
                            }
                            made = wanted;
                        }
                        Some(ended) = crew.join_next() => pass_on(ended),
                    }
                }
            };
            tokio::select! {
                () = arrive => {}
                () = welcome => {}
                () = bring_back(worker, most) => {}
            }
        }
    }
}

/// Puts each parked operation back into the backlog when its time has come.
async fn bring_back<T: Timer>(worker: &Worker<T>, most: usize) {
    let mut pause = Pause::default();
    loop {
        worker.backlog.time_for_retries(&worker.timer).await;
        while worker.backlog.bring_back(worker.timer.now(), &mut pause, most) {
            worker.log.unpark();
            // Gives way now and then, also where all of them are due at one instant.
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// How far the schedule of the open model was announced.
enum Announcement {
    /// To its end.
    Whole,
    /// To the first operation that has no data row any more.
    OutOfRows,
}

/// Puts each operation into the backlog when it is due.
async fn announce<T: Timer>(worker: &Worker<T>, open: &Open, most: usize) -> Announcement {
    let scenario = &worker.scenario;
    let mut pause = Pause::default();
    for (number, due) in open.arrivals.cursor() {
        if !worker.has_row(number) {
            return Announcement::OutOfRows;
        }
        if !worker.is_mine(scenario.user_of(number)) {
            continue;
        }
        let operation = scenario.operation_numbered(number);
        worker.timer.sleep_until(due).await;
        // Gives way now and then, also where operations are due faster than this loop takes them.
        tokio::task::coop::consume_budget().await;
        let (now, wanted) = (worker.timer.now(), Due { variant: operation.variant, at: due });
        worker.log.due(now, wanted);
        if worker.backlog.push(operation, due, pause.hiring(due, now), most) == Found::Nobody {
            worker.log.delayed(wanted);
        }
    }
    Announcement::Whole
}

/// Waits for all tasks. A task that panicked takes its worker along: a user or a pacer that is missing without a word
/// would make every figure wrong.
async fn all_ended(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        pass_on(ended);
    }
}

/// Panics as the task did, if it did.
pub(super) fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Hands over each second even when no user does anything.
async fn roll_each_second<T: Timer>(worker: Rc<Worker<T>>) {
    loop {
        let next = Duration::from_secs(worker.timer.now().as_secs() + 1);
        worker.timer.sleep_until(next).await;
        worker.log.roll(worker.timer.now());
    }
}

/// Records how late the event loop comes to what it has to do.
async fn watch_the_loop<T: Timer>(worker: Rc<Worker<T>>) {
    loop {
        let wanted = worker.timer.now() + LOOK_AT_LOOP;
        worker.timer.sleep_until(wanted).await;
        worker.log.loop_delay(worker.timer.now().saturating_sub(wanted));
    }
}
