//! The work of one worker, from its first user to its last.

use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::user;
use super::worker::Worker;
use crate::http::Transport;
use crate::units::{Duration, Timer};

/// Runs the users until the schedule ends or `stop` says so, lets what is in flight finish within `load.drain`, and hands
/// over the last of the record.
pub(super) async fn work<T: Timer, X: Transport + 'static>(
    worker: Worker<T>,
    users: impl IntoIterator<Item = u32>,
    open: impl Fn() -> X + Clone + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let worker = Rc::new(worker);
    let mut helpers = JoinSet::new();
    for key in 0..worker.limiters.len() {
        let worker = worker.clone();
        helpers.spawn_local(async move { worker.limiters[key].pace().await });
    }
    helpers.spawn_local(roll_each_second(worker.clone()));
    let mut crew = JoinSet::new();
    for user in users {
        crew.spawn_local(user::live(worker.clone(), user, open.clone()));
    }

    let end = worker.scenario.load.stages.length();
    tokio::select! {
        () = all_ended(&mut crew) => {}
        () = all_ended(&mut helpers) => {}
        () = worker.timer.sleep_until(end) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    worker.close();
    let bound = worker.timer.now() + worker.scenario.load.drain;
    tokio::select! {
        () = worker.drained() => {}
        () = worker.timer.sleep_until(bound) => {}
    }
    // An operation that is dropped in flight records itself as abandoned.
    crew.shutdown().await;
    helpers.shutdown().await;
    let now = worker.timer.now();
    let worker = Rc::into_inner(worker).expect("all tasks that shared the worker are gone");
    worker.log.finish(now).await;
}

/// Waits for all tasks. A task that panicked takes its worker along: a user or a pacer that is missing without a word
/// would make every figure wrong.
async fn all_ended(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
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
