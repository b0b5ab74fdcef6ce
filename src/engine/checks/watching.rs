//! Follows the cases of a worker, each in a task of its own, until they are closed or the run is stopped.

use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::asking::Desk;
use super::ending::Unless;
use super::{Case, STOPPED, given_up, given_up_event, repetition, visibility};
use crate::engine::shift::pass_on;
use crate::engine::worker::Worker;
use crate::http::Transport;
use crate::units::Timer;

/// The checks of a worker. They belong to its shift, which gives them up at its end.
pub(in crate::engine) struct Checking<T: Timer, X, U> {
    /// `None` where the scenario has no checks.
    desk: Option<Rc<Desk<T, X, U>>>,
    tasks: JoinSet<()>,
    stop: watch::Receiver<bool>,
}

impl<T: Timer, X: Transport + 'static, U: Fn() -> X + 'static> Checking<T, X, U> {
    /// Nothing is checked yet. What is sent goes over what `open` returns.
    pub(in crate::engine) fn new(worker: &Rc<Worker<T>>, open: U, stop: watch::Receiver<bool>) -> Self {
        let desk = worker.tracker.as_ref().map(|_| Rc::new(Desk::new(worker.clone(), open)));
        Self { desk, tasks: JoinSet::new(), stop }
    }

    /// Follows cases as they come, for ever; once the run is stopped, gives all of them up.
    pub(in crate::engine) async fn follow(&mut self) {
        let Some(desk) = self.desk.clone() else { return std::future::pending().await };
        let mut stop = self.stop.clone();
        let stopped = async {
            // Who holds the switch no longer will not use it.
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let following = async {
            loop {
                tokio::select! {
                    case = desk.tracker().next() => self.begin(&desk, case),
                    Some(ended) = self.tasks.join_next() => pass_on(ended),
                }
            }
        };
        tokio::select! {
            () = stopped => {}
            () = following => {}
        }
        self.give_up().await;
        std::future::pending::<()>().await;
    }

    /// Lets open cases be closed, for as long as that may take, or until the run is stopped; then gives the rest up.
    pub(in crate::engine) async fn finish(mut self) {
        if let Some(desk) = self.desk.clone() {
            let bound = desk.now().saturating_add(desk.worker.scenario.checks_last());
            let mut stop = self.stop.clone();
            tokio::select! {
                () = self.close_all(&desk) => {}
                () = desk.sleep_until(bound) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.give_up().await;
    }

    async fn close_all(&mut self, desk: &Rc<Desk<T, X, U>>) {
        loop {
            while let Some(case) = desk.tracker().take() {
                self.begin(desk, case);
            }
            match self.tasks.join_next().await {
                Some(ended) => pass_on(ended),
                None => return,
            }
        }
    }

    /// Ends all tasks, each of which records that it could not tell, and takes no case any more.
    async fn give_up(&mut self) {
        if let Some(desk) = &self.desk {
            desk.tracker().close();
            while let Some(case) = desk.tracker().take() {
                desk.tracker().closed();
                given_up(&desk.worker, &case, STOPPED);
            }
        }
        self.tasks.shutdown().await;
    }

    fn begin(&mut self, desk: &Rc<Desk<T, X, U>>, case: Case) {
        let open = Open { desk: desk.clone(), unless: None };
        self.tasks.spawn_local(check(open.with(&case), case));
    }
}

/// A case that is open, until this is dropped.
struct Open<T: Timer, X: Transport, U: Fn() -> X> {
    desk: Rc<Desk<T, X, U>>,
    /// What is recorded where its write is looked for and the task ends before that does.
    unless: Option<Unless<T>>,
}

impl<T: Timer, X: Transport, U: Fn() -> X> Open<T, X, U> {
    fn with(mut self, case: &Case) -> Self {
        let unless = || Unless::new(self.desk.worker.clone(), given_up_event(case, STOPPED));
        self.unless = case.visibility.then(unless);
        self
    }
}

impl<T: Timer, X: Transport, U: Fn() -> X> Drop for Open<T, X, U> {
    fn drop(&mut self) {
        self.desk.tracker().closed();
    }
}

/// Follows a case to its end. A write is looked for before its operation is repeated, which writes the same register.
async fn check<T: Timer, X: Transport, U: Fn() -> X>(mut open: Open<T, X, U>, case: Case) {
    let scenario = open.desk.worker.scenario.clone();
    let Some(checks) = &scenario.checks else { return };
    if let (Some(unless), Some(visibility)) = (open.unless.take(), checks.visibility) {
        let halt = visibility::follow(&open.desk, &case, visibility).await.err();
        unless.ended_with(halt.map(|halt| given_up_event(&case, halt.why())));
    }
    if let (Some(mode), Some(idempotency)) = (case.idempotency, &checks.idempotency) {
        repetition::follow(&open.desk, &case, (mode, idempotency)).await;
    }
}
