//! What the users of one worker share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use super::budget::Budget;
use super::checks::Tracker;
use super::lanes::Lanes;
use super::limiter::Limiter;
use super::log::Log;
use super::placement::Placement;
use super::source::{Backlog, Job};
use super::tokens::TokenView;
use crate::scenario::Scenario;
use crate::units::{Share, Timer};

/// No more operations than these are parked at one time on a worker in the open model, at about 150 bytes each: what should
/// be tried again beyond them is not.
pub(super) const MOST_PARKED: usize = 100_000;

/// What the users of a worker share. All of it belongs to the worker's thread.
pub(super) struct Worker<T: Timer> {
    pub(super) scenario: Arc<Scenario>,
    pub(super) timer: T,
    pub(super) tokens: Rc<TokenView>,
    pub(super) log: Log,
    pub(super) limiters: Vec<Limiter<T>>,
    pub(super) placement: Placement,
    /// The attempts that may still start here.
    pub(super) budget: Rc<Budget>,
    /// What is checked here; `None` where the scenario has no checks.
    pub(super) tracker: Option<Tracker>,
    /// Which worker it is.
    index: usize,
    /// What is due and has no user yet, in the open model.
    pub(super) backlog: Backlog,
    /// How many operations may be parked at one time.
    pub(super) room: usize,
    /// Operations with this number or a higher one have no data row; `None` where none runs out.
    most_operations: Option<u64>,
    /// Set once no operation may start any more.
    stopping: Cell<bool>,
    /// Tells that an operation was finished or given up, while stopping or while rows may run out.
    settled: Notify,
    /// Tells who waits for a retry that there will be none.
    closing: Notify,
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
        let checks_share = scenario.checks.as_ref().map_or(Share::NONE, |checks| checks.limit_share);
        let lanes = |(limit, phase)| Limiter::new(timer.clone(), Lanes::new(&limit, phase, checks_share));
        let limiters = placement.limits_of(&scenario, index).into_iter().map(lanes).collect();
        Self {
            most_operations: scenario.most_operations(),
            scenario,
            timer,
            tokens,
            log,
            limiters,
            placement,
            budget: Rc::new(Budget::new(None)),
            tracker: None,
            index,
            backlog: Backlog::default(),
            room: MOST_PARKED,
            stopping: Cell::new(false),
            settled: Notify::new(),
            closing: Notify::new(),
        }
    }

    /// Whether no operation may start any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Whether the operation with this number has its data row; takes note that the table has run out where it has not.
    pub(super) fn has_row(&self, number: u64) -> bool {
        let has_row = self.most_operations.is_none_or(|most| number < most);
        if !has_row {
            self.log.out_of_rows();
        }
        has_row
    }

    /// An operation was finished or given up.
    pub(super) fn settle(&self) {
        // Where rows run out, the end of the schedule is waited for in the same way.
        if self.is_stopping() || self.most_operations.is_some() {
            self.settled.notify_one();
        }
    }

    /// Whether the operations of this user are this worker's.
    pub(super) fn is_mine(&self, user: u32) -> bool {
        self.placement.owns(&self.scenario, self.index, user)
    }

    /// Gives up an operation that is not in flight: it is unsent, or ends with what its last attempt brought.
    pub(super) fn give_up(&self, job: &Job) {
        let now = self.timer.now();
        match job.again {
            None => self.log.unsent(now, job.wanted()),
            Some(again) => self.log.finish_early(now, job.wanted(), (again.outcome, again.done)),
        }
        self.settle();
    }

    /// Whether an operation may wait for a retry. In the closed model its user waits with it, so users bound their number.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.parked() < self.room
    }

    /// Waits until nothing may start any more.
    pub(super) async fn closed(&self) {
        let closing = self.closing.notified();
        if !self.is_stopping() {
            closing.await;
        }
    }

    /// Lets nothing of the load start any more: who waits for the limit goes away unsent, and so does what waits for a user;
    /// what was to be tried again ends as it is. Checks go on.
    pub(super) fn close(&self) {
        self.stopping.set(true);
        let left = self.backlog.close();
        left.parked.iter().for_each(|_| self.log.unpark());
        left.parked.iter().chain(&left.waiting).for_each(|job| self.give_up(job));
        self.closing.notify_waiters();
        self.limiters.iter().for_each(Limiter::close_to_load);
        self.settle();
    }

    /// Waits until no operation is pending.
    pub(super) async fn drained(&self) {
        while self.log.pending() > 0 {
            self.settled.notified().await;
        }
    }
}
