//! Where a user's operations come from.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tokio::sync::Notify;

use super::log::Due;
use super::pause::{Hiring, Pause};
use super::retry::Again;
use super::worker::Worker;
use crate::scenario::{Closed, Operation};
use crate::units::{Duration, Timer};

/// An operation for a user that is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) operation: Operation,
    /// When the schedule wanted it.
    pub(super) due: Duration,
    /// When a user took it on: when it wanted to go, but for an operation that had to wait for a free user.
    pub(super) taken: Duration,
    /// What was before, where it is tried again.
    pub(super) again: Option<Again>,
}

impl Job {
    /// A first attempt.
    fn first(operation: Operation, due: Duration) -> Self {
        Self { operation, due, taken: due, again: None }
    }

    /// The same operation once more.
    pub(super) fn with(self, again: Again) -> Self {
        Self { taken: again.retry.wanted, again: Some(again), ..self }
    }

    pub(super) fn wanted(&self) -> Due {
        Due { variant: self.operation.variant, at: self.due }
    }
}

/// Gives a user one operation after the other.
pub(super) trait Source {
    /// The next operation, once it is due; `None` when there is none any more.
    async fn next(&mut self) -> Option<Job>;

    /// Takes note that the operation was done at an instant.
    fn done(&mut self, job: &Job, at: Duration);

    /// Takes an operation that is to be tried again. It comes back when its time has come, unless it waits elsewhere, or the
    /// run ends before.
    async fn wait(&mut self, job: Job) -> Option<Job>;
}

/// The closed model: a user's next operation is due when the one before is done and it has thought.
pub(super) struct Steps<T: Timer> {
    worker: Rc<Worker<T>>,
    /// Shared by all users of the worker.
    closed: Rc<Closed>,
    user: u32,
    step: u64,
    /// When the next one is due; `None` when the user leaves the stage.
    due: Option<Duration>,
}

impl<T: Timer> Steps<T> {
    pub(super) fn new(worker: Rc<Worker<T>>, closed: Rc<Closed>, user: u32) -> Self {
        let due = closed.stages.next_start(user, Duration::ZERO);
        Self { worker, closed, user, step: 0, due }
    }
}

impl<T: Timer> Source for Steps<T> {
    async fn next(&mut self) -> Option<Job> {
        let due = self.due?;
        self.worker.timer.sleep_until(due).await;
        // Gives way now and then, also where neither pause nor limit nor attempt does.
        tokio::task::coop::consume_budget().await;
        if self.worker.is_stopping() {
            return None;
        }
        let operation = self.worker.scenario.operation(self.user, self.step);
        if !self.worker.has_row(operation.number) {
            return None;
        }
        self.worker.log.due(self.worker.timer.now(), Due { variant: operation.variant, at: due });
        Some(Job::first(operation, due))
    }

    fn done(&mut self, job: &Job, at: Duration) {
        self.step += 1;
        let goes_on = self.closed.iterations.is_none_or(|most| self.step < most);
        let thought = at + self.worker.scenario.think_time(&self.closed, &job.operation);
        self.due = if goes_on { self.closed.stages.next_start(self.user, thought) } else { None };
    }

    /// The user waits with its operation.
    async fn wait(&mut self, job: Job) -> Option<Job> {
        let worker = &self.worker;
        worker.log.park();
        let has_come = tokio::select! {
            biased;
            () = worker.closed() => false,
            () = worker.timer.sleep_until(job.taken) => true,
        };
        worker.log.unpark();
        if !has_come {
            worker.give_up(&job);
        }
        has_come.then_some(job)
    }
}

/// An operation that is due and has no user yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    job: Job,
    found: Found,
}

/// What is left of a backlog that is closed.
pub(super) struct Left {
    /// What was due and had no user.
    pub(super) waiting: Vec<Job>,
    /// What was to be tried again later.
    pub(super) parked: Vec<Job>,
}

/// Who there was for an operation when it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody, or there might have been if this machine had not held it up: that wait is our own lateness.
    Somebody,
    /// Nobody, and no more were allowed.
    Nobody,
}

/// The open model: operations that are due and have no user yet, in their order, and those that are parked until they are
/// tried again.
///
/// All of it belongs to the worker's thread. What waits is bounded by the schedule: what is due is never dropped. What is
/// parked has a bound of its own. It comes back ahead of operations that were never tried: it has waited the longest.
///
/// A user is made when an operation finds none free and hiring is open; the first one always.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: RefCell<VecDeque<Waiting>>,
    /// Retries whose time has come.
    retries: RefCell<VecDeque<Waiting>>,
    /// By the time of the retry; the number tells apart those of one instant.
    parked: RefCell<BTreeMap<(Duration, u64), Job>>,
    parked_so_far: Cell<u64>,
    /// Tells that a retry is to come before all others.
    sooner: Notify,
    /// Users that wait for an operation and were told of none.
    idle: Cell<usize>,
    /// Users that are on their way to an operation: told of one, or made for one.
    coming: Cell<usize>,
    /// Users that there are, those to be made included.
    users: Cell<usize>,
    closed: Cell<bool>,
    /// Wakes a user that waits for an operation.
    operation: Notify,
    /// Wakes who makes users.
    shortage: Notify,
}

impl Backlog {
    /// Adds an operation that is due. While fewer than `most` users are there, one is asked for where none is free.
    pub(super) fn push(&self, operation: Operation, due: Duration, hiring: Hiring, most: usize) -> Found {
        self.enqueue(Job::first(operation, due), hiring, most)
    }

    fn enqueue(&self, job: Job, hiring: Hiring, most: usize) -> Found {
        let is_full = self.idle.get() == 0 && self.users.get() >= most;
        let found = if is_full && hiring == Hiring::Open { Found::Nobody } else { Found::Somebody };
        let queue = if job.again.is_some() { &self.retries } else { &self.waiting };
        queue.borrow_mut().push_back(Waiting { job, found });
        if self.idle.get() > 0 {
            self.idle.set(self.idle.get() - 1);
            self.coming.set(self.coming.get() + 1);
            self.operation.notify_one();
        } else if hiring == Hiring::Open || self.users.get() == 0 {
            self.make_users(1, most);
        }
        found
    }

    /// Operations that are parked.
    pub(super) fn parked(&self) -> usize {
        self.parked.borrow().len()
    }

    /// Keeps an operation until it is tried again.
    fn park(&self, job: Job) {
        let mut parked = self.parked.borrow_mut();
        let number = self.parked_so_far.get();
        self.parked_so_far.set(number + 1);
        parked.insert((job.taken, number), job);
        if parked.first_key_value().is_some_and(|((_, first), _)| *first == number) {
            self.sooner.notify_one();
        }
    }

    /// Waits for the next retry's time, by `timer`.
    pub(super) async fn time_for_retries<T: Timer>(&self, timer: &T) {
        loop {
            let first = self.parked.borrow().first_key_value().map(|((at, _), _)| *at);
            match first {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = timer.sleep_until(at) => return,
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    /// Puts the next retry whose time has come back into the backlog; whether there was one.
    pub(super) fn bring_back(&self, now: Duration, pause: &mut Pause, most: usize) -> bool {
        let next = {
            let mut parked = self.parked.borrow_mut();
            let first = parked.first_entry().filter(|entry| entry.key().0 <= now);
            first.map(std::collections::btree_map::OccupiedEntry::remove)
        };
        let Some(job) = next else { return false };
        let hiring = pause.hiring(job.taken, now);
        self.enqueue(job, hiring, most);
        true
    }

    /// Asks for a user for each operation that nobody is coming to, as far as `most` allows: nothing more will be due.
    pub(super) fn complete(&self, most: usize) {
        self.make_users(usize::MAX, most);
    }

    /// Asks for so many users, but for no more than there are operations that nobody is coming to.
    fn make_users(&self, wanted: usize, most: usize) {
        let there = self.waiting.borrow().len() + self.retries.borrow().len();
        let short = there.saturating_sub(self.coming.get());
        let made = wanted.min(short).min(most.saturating_sub(self.users.get()));
        self.users.set(self.users.get() + made);
        self.coming.set(self.coming.get() + made);
        self.shortage.notify_one();
    }

    /// Waits until more users than `made` are wanted; how many there should be.
    pub(super) async fn wanted(&self, made: usize) -> usize {
        while self.users.get() <= made {
            self.shortage.notified().await;
        }
        self.users.get()
    }

    /// Waits until every user that is on its way to an operation has come.
    pub(super) async fn handed_out(&self) {
        while self.coming.get() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets nothing start any more; what was waiting.
    pub(super) fn close(&self) -> Left {
        self.closed.set(true);
        self.operation.notify_waiters();
        let waiting = self.retries.take().into_iter().chain(self.waiting.take());
        Left {
            waiting: waiting.map(|waiting| waiting.job).collect(),
            parked: self.parked.take().into_values().collect(),
        }
    }

    /// The next operation, for a user that may be on its way to one; `None` once there is none any more.
    async fn pop(&self, mut is_coming: bool) -> Option<Waiting> {
        loop {
            if self.closed.get() {
                return None;
            }
            if is_coming {
                self.coming.set(self.coming.get() - 1);
            }
            // Also a user that has just finished its operation takes the next one; who was coming to it waits for another.
            let retry = self.retries.borrow_mut().pop_front();
            if let Some(next) = retry.or_else(|| self.waiting.borrow_mut().pop_front()) {
                return Some(next);
            }
            self.idle.set(self.idle.get() + 1);
            self.operation.notified().await;
            is_coming = true;
        }
    }
}

/// The open model, as a user sees it.
pub(super) struct Arriving<T: Timer> {
    worker: Rc<Worker<T>>,
    /// It was made for an operation and has not come to one yet.
    is_new: bool,
}

impl<T: Timer> Arriving<T> {
    /// What a user that was just made takes its operations from.
    pub(super) fn new(worker: Rc<Worker<T>>) -> Self {
        Self { worker, is_new: true }
    }
}

impl<T: Timer> Source for Arriving<T> {
    async fn next(&mut self) -> Option<Job> {
        tokio::task::coop::consume_budget().await;
        let is_new = std::mem::take(&mut self.is_new);
        let Waiting { job, found } = self.worker.backlog.pop(is_new).await?;
        // What could have had a user at once and is late all the same is late by our own doing.
        let taken = if found == Found::Nobody { self.worker.timer.now().max(job.taken) } else { job.taken };
        Some(Job { taken, ..job })
    }

    fn done(&mut self, _: &Job, _: Duration) {}

    /// The operation is parked, and its user takes another one.
    async fn wait(&mut self, job: Job) -> Option<Job> {
        self.worker.log.park();
        self.worker.backlog.park(job);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(backlog: &Backlog, hiring: Hiring) -> Found {
        let operation = Operation { user: 0, step: 0, number: 0, variant: 0, row: 0 };
        backlog.push(operation, Duration::ZERO, hiring, 3)
    }

    #[test]
    fn a_user_is_made_for_what_finds_none_but_for_what_a_pause_held_up_only_the_first() {
        let backlog = Backlog::default();
        for (hiring, users) in [(Hiring::Held, 1), (Hiring::Held, 1), (Hiring::Open, 2), (Hiring::Held, 2)] {
            assert_eq!((push(&backlog, hiring), backlog.users.get()), (Found::Somebody, users));
        }
        backlog.complete(3);
        assert_eq!(backlog.users.get(), 3);
        assert_eq!(push(&backlog, Hiring::Open), Found::Nobody);
        assert_eq!(push(&backlog, Hiring::Held), Found::Somebody, "the bound on users is not to blame");
        assert_eq!(backlog.users.get(), 3);
    }

    #[tokio::test]
    async fn who_comes_to_an_operation_that_another_user_took_waits_for_the_next_one() {
        let backlog = Rc::new(Backlog::default());
        push(&backlog, Hiring::Open);
        assert!(backlog.pop(false).await.is_some(), "taken by a user that was just done with another one");
        let local = tokio::task::LocalSet::new();
        let waits = {
            local.spawn_local({
                let backlog = backlog.clone();
                async move { backlog.pop(true).await.is_some() }
            })
        };
        local.run_until(backlog.handed_out()).await;
        assert_eq!((backlog.idle.get(), backlog.users.get()), (1, 1));
        push(&backlog, Hiring::Held);
        assert!(local.run_until(waits).await.unwrap(), "told of it although it is late, because it has nothing to do");
        assert_eq!((backlog.idle.get(), backlog.coming.get(), backlog.users.get()), (0, 0, 1));
    }

    #[tokio::test]
    async fn nobody_gets_anything_once_it_is_closed_and_what_waits_is_handed_back() {
        let backlog = Backlog::default();
        push(&backlog, Hiring::Held);
        assert_eq!(backlog.close().waiting.len(), 1);
        assert!(backlog.pop(false).await.is_none());
    }
}
