//! A worker's share of the budget.

use std::cell::Cell;

use tokio::sync::{Notify, watch};

use super::tokens::Told;

/// The attempts that may still start on a worker. It belongs to the worker's thread.
#[derive(Debug)]
pub(super) struct Budget {
    /// `None` for as many as there are.
    left: Cell<Option<u64>>,
    /// Tells that the last one was taken.
    used_up: Notify,
}

impl Budget {
    /// So many attempts; `None` for no bound.
    pub(super) fn new(attempts: Option<u64>) -> Self {
        let budget = Self { left: Cell::new(attempts), used_up: Notify::new() };
        budget.tell();
        budget
    }

    /// Takes one attempt; whether there was one left.
    pub(super) fn spend(&self) -> bool {
        self.spend_all(1)
    }

    /// Takes so many attempts, or none where fewer are left; whether they were taken.
    pub(super) fn spend_all(&self, attempts: u64) -> bool {
        let Some(left) = self.left.get() else { return true };
        let Some(rest) = left.checked_sub(attempts) else { return false };
        self.left.set(Some(rest));
        self.tell();
        true
    }

    /// Takes back attempts that were taken and not made. Whoever was told that there are none left is not told of it.
    pub(super) fn give_back(&self, attempts: u64) {
        self.left.set(self.left.get().map(|left| left.saturating_add(attempts)));
    }

    /// Takes so many requests that are no attempts of this worker, as far as there are any left.
    pub(super) fn charge(&self, requests: u64) {
        if let Some(left) = self.left.get().filter(|_| requests > 0) {
            self.left.set(Some(left.saturating_sub(requests)));
            self.tell();
        }
    }

    /// Waits until the last attempt was taken; for ever where there is no bound.
    pub(super) async fn used_up(&self) {
        self.used_up.notified().await;
    }

    fn tell(&self) {
        if self.left.get() == Some(0) {
            self.used_up.notify_one();
        }
    }
}

/// The part of a worker in the logins that nobody could foresee when the budget was shared out: those that were put off or
/// failed, and those for tokens that the server refused. It is told of them beside the requests, never on their way.
pub(super) struct Bill {
    told: watch::Receiver<Told>,
    /// Logins that the budget holds apart already.
    foreseen: u64,
    /// Those before the start that a server put off: requests that brought no token.
    put_off_before: u64,
    worker: u64,
    workers: u64,
}

impl Bill {
    /// That of a worker, counted from 0, among all. `renewals` are held apart already, and so are the logins made so far.
    pub(super) fn new(told: watch::Receiver<Told>, renewals: u64, (worker, workers): (usize, usize)) -> Self {
        let before = told.borrow().logins;
        let (foreseen, put_off_before) = (before.made.saturating_add(renewals), before.throttled);
        Self { told, foreseen, put_off_before, worker: worker as u64, workers: workers.max(1) as u64 }
    }

    /// Pays for as long as there may be logins. Workers pay in turn.
    pub(super) async fn pay(mut self, budget: &Budget) {
        let mut paid = 0;
        loop {
            let logins = self.told.borrow_and_update().logins;
            let beyond = (logins.made + logins.failed + self.put_off_before).saturating_sub(self.foreseen);
            let due = beyond.saturating_sub(self.worker).div_ceil(self.workers);
            budget.charge(due - paid);
            paid = due;
            if self.told.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Logins;

    /// What is left of 100 attempts of each of two workers, after logins of which two renewals were foreseen.
    async fn left_of(logins: Logins) -> [Option<u64>; 2] {
        let before = Logins { made: 3, throttled: 1, ..Logins::default() };
        let told = watch::Sender::new(Told { logins: before, ..Told::default() });
        let budgets = [Budget::new(Some(100)), Budget::new(Some(100))];
        let bills = [0, 1].map(|worker| Bill::new(told.subscribe(), 2, (worker, 2)));
        told.send_modify(|told| told.logins = logins);
        drop(told);
        for (bill, budget) in bills.into_iter().zip(&budgets) {
            bill.pay(budget).await;
        }
        budgets.map(|budget| budget.left.get())
    }

    #[tokio::test]
    async fn workers_pay_in_turn_for_logins_that_were_not_foreseen() {
        let before = Logins { made: 3, throttled: 1, ..Logins::default() };
        assert_eq!(left_of(Logins { made: 4, ..before }).await, [Some(100), Some(100)], "foreseen");
        assert_eq!(left_of(Logins { made: 5, ..before }).await, [Some(99), Some(100)], "and one that was put off");
        assert_eq!(left_of(Logins { made: 6, failed: 3, ..before }).await, [Some(97), Some(98)]);
        let budget = Budget::new(Some(2));
        budget.charge(5);
        budget.used_up().await;
        assert!(!budget.spend());
    }

    #[tokio::test]
    async fn it_gives_what_it_has_and_tells_when_that_is_gone() {
        let budget = Budget::new(Some(2));
        assert_eq!([budget.spend(), budget.spend(), budget.spend()], [true, true, false]);
        budget.used_up().await;
        Budget::new(Some(0)).used_up().await;
        budget.give_back(2);
        assert_eq!([budget.spend_all(3), budget.spend_all(2), budget.spend_all(1)], [false, true, false]);
        assert!(Budget::new(None).spend());
    }
}
