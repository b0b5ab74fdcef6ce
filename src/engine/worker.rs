//! One worker: its users, their limits, and the end of their work.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::lanes::Lanes;
use super::limiter::Limiter;
use super::log::Log;
use super::placement::Placement;
use super::tokens::TokenView;
use super::user;
use crate::http::Transport;
use crate::scenario::Scenario;
use crate::units::{Duration, Share, Timer};

/// What the users of a worker share. All of it belongs to the worker's thread.
pub(super) struct Worker<T: Timer> {
    pub(super) scenario: Arc<Scenario>,
    pub(super) timer: T,
    pub(super) tokens: Rc<TokenView>,
    pub(super) log: Log,
    pub(super) limiters: Vec<Limiter<T>>,
    pub(super) placement: Placement,
    /// Set once no operation may start any more.
    stopping: std::cell::Cell<bool>,
    /// Tells that an operation was finished or given up while stopping.
    settled: Notify,
}

impl<T: Timer> Worker<T> {
    pub(super) fn new(
        scenario: Arc<Scenario>,
        timer: T,
        tokens: Rc<TokenView>,
        log: Log,
        place: (Placement, usize),
    ) -> Self {
        let (placement, index) = place;
        let lanes = |(limit, phase)| Limiter::new(timer.clone(), Lanes::new(&limit, phase, Share::NONE));
        let limiters = placement.limits_of(&scenario, index).into_iter().map(lanes).collect();
        Self {
            scenario,
            timer,
            tokens,
            log,
            limiters,
            placement,
            stopping: std::cell::Cell::new(false),
            settled: Notify::new(),
        }
    }

    /// Whether no operation may start any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// An operation was finished or given up.
    pub(super) fn settle(&self) {
        if self.is_stopping() {
            self.settled.notify_one();
        }
    }

    /// Lets nothing start any more: who waits for the limit goes away unsent.
    fn close(&self) {
        self.stopping.set(true);
        self.limiters.iter().for_each(Limiter::close);
    }

    /// Waits until no operation is pending.
    async fn drained(&self) {
        while self.log.pending() > 0 {
            self.settled.notified().await;
        }
    }
}

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
        () = async { while crew.join_next().await.is_some() {} } => {}
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

/// Hands over each second even when no user does anything.
async fn roll_each_second<T: Timer>(worker: Rc<Worker<T>>) {
    loop {
        let next = Duration::from_secs(worker.timer.now().as_secs() + 1);
        worker.timer.sleep_until(next).await;
        worker.log.roll(worker.timer.now());
    }
}
