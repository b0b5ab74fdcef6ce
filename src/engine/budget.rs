//! A worker's share of the budget.

use std::cell::Cell;

use tokio::sync::Notify;

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
        let Some(left) = self.left.get() else { return true };
        let Some(rest) = left.checked_sub(1) else { return false };
        self.left.set(Some(rest));
        self.tell();
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_gives_what_it_has_and_tells_when_that_is_gone() {
        let budget = Budget::new(Some(2));
        assert_eq!([budget.spend(), budget.spend(), budget.spend()], [true, true, false]);
        budget.used_up().await;
        Budget::new(Some(0)).used_up().await;
        assert!(Budget::new(None).spend());
    }
}
