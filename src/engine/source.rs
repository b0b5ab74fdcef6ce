//! Where a user's operations come from.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

use super::log::Due;
use super::worker::Worker;
use crate::scenario::{Closed, Operation};
use crate::units::{Duration, Timer};

/// An operation for a user that is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) operation: Operation,
    /// When the schedule wanted it.
    pub(super) due: Duration,
    /// When a user took it on: its due time, but for an operation that had to wait for a free user.
    pub(super) taken: Duration,
}

/// Gives a user one operation after the other.
pub(super) trait Source {
    /// The next operation, once it is due; `None` when there is none any more.
    async fn next(&mut self) -> Option<Job>;

    /// Takes note that the operation was done at an instant.
    fn done(&mut self, job: &Job, at: Duration);
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
        self.worker.log.due(self.worker.timer.now(), Due { variant: operation.variant, at: due });
        Some(Job { operation, due, taken: due })
    }

    fn done(&mut self, job: &Job, at: Duration) {
        self.step += 1;
        let goes_on = self.closed.iterations.is_none_or(|most| self.step < most);
        let thought = at + self.worker.scenario.think_time(&self.closed, &job.operation);
        self.due = if goes_on { self.closed.stages.next_start(self.user, thought) } else { None };
    }
}

/// An operation that is due and has no user yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) operation: Operation,
    due: Duration,
    found: Found,
}

impl Waiting {
    pub(super) fn wanted(&self) -> Due {
        Due { variant: self.operation.variant, at: self.due }
    }
}

/// Who there was for an operation when it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody, or there might have been if this machine had not held it up: that wait is our own lateness.
    Somebody,
    /// Nobody, and no more were allowed.
    Nobody,
}

/// Whether an operation that finds no user free may have a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hiring {
    /// It may.
    Open,
    /// It waits for the users that there are, because this machine held it up: see [`Pause`](super::pause::Pause).
    Held,
}

/// The open model: operations that are due and have no user yet, in their order.
///
/// All of it belongs to the worker's thread. Its length is bounded by the schedule: what is due is never dropped.
/// A user is made when an operation finds none free and hiring is open; the first one always.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: RefCell<VecDeque<Waiting>>,
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
        let is_full = self.idle.get() == 0 && self.users.get() >= most;
        let found = if is_full && hiring == Hiring::Open { Found::Nobody } else { Found::Somebody };
        self.waiting.borrow_mut().push_back(Waiting { operation, due, found });
        if self.idle.get() > 0 {
            self.idle.set(self.idle.get() - 1);
            self.coming.set(self.coming.get() + 1);
            self.operation.notify_one();
        } else if hiring == Hiring::Open || self.users.get() == 0 {
            self.make_users(1, most);
        }
        found
    }

    /// Asks for a user for each operation that nobody is coming to, as far as `most` allows: nothing more will be due.
    pub(super) fn complete(&self, most: usize) {
        self.make_users(usize::MAX, most);
    }

    /// Asks for so many users, but for no more than there are operations that nobody is coming to.
    fn make_users(&self, wanted: usize, most: usize) {
        let short = self.waiting.borrow().len().saturating_sub(self.coming.get());
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
    pub(super) fn close(&self) -> VecDeque<Waiting> {
        self.closed.set(true);
        self.operation.notify_waiters();
        self.waiting.take()
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
            if let Some(next) = self.waiting.borrow_mut().pop_front() {
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
        let Waiting { operation, due, found } = self.worker.backlog.pop(is_new).await?;
        // What could have had a user at once and is late all the same is late by our own doing.
        let taken = if found == Found::Nobody { self.worker.timer.now().max(due) } else { due };
        Some(Job { operation, due, taken })
    }

    fn done(&mut self, _: &Job, _: Duration) {}
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
        assert_eq!(backlog.close().len(), 1);
        assert!(backlog.pop(false).await.is_none());
    }
}
