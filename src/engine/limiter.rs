//! The limit as users meet it: they wait, and are let go at their slot.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::lanes::{Lane, Lanes, Permit, Turn};
use crate::units::Timer;

/// Who may still wait for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Everybody.
    Open,
    /// Checks only: load and retries have ended.
    Checks,
    /// Nobody.
    Closed,
}

/// One key of a limit on the worker that owns it. Users of the same worker share it without a lock.
pub struct Limiter<T: Timer> {
    timer: T,
    lanes: RefCell<Lanes<oneshot::Sender<Permit>>>,
    gate: Cell<Gate>,
    /// Whether the pacer sleeps until somebody comes: only then must a newcomer wake it, because the first slot to come
    /// never moves forward.
    idle: Cell<bool>,
    wake: Notify,
}

impl<T: Timer> Limiter<T> {
    /// Opens the lanes. [`Limiter::pace`] must be polled for permits to be given.
    pub fn new(timer: T, lanes: Lanes<oneshot::Sender<Permit>>) -> Self {
        Self {
            timer,
            lanes: RefCell::new(lanes),
            gate: Cell::new(Gate::Open),
            idle: Cell::new(true),
            wake: Notify::new(),
        }
    }

    /// Waits for a permit since `due`, in `round` or later; `None` when the lane closed before.
    pub async fn permit(&self, lane: Lane, round: u64, due: Duration) -> Option<Permit> {
        match self.gate.get() {
            Gate::Open => {}
            Gate::Checks if lane == Lane::Check => {}
            Gate::Checks | Gate::Closed => return None,
        }
        let (tx, rx) = oneshot::channel();
        self.lanes.borrow_mut().enqueue(lane, round, due, tx);
        if self.idle.replace(false) {
            self.wake.notify_one();
        }
        rx.await.ok()
    }

    /// Lets users go at their slots, until the limiter closes.
    pub async fn pace(&self) {
        while self.gate.get() != Gate::Closed {
            if let Some(until) = self.admit_all(self.timer.now()) {
                self.timer.sleep_until(until).await;
            } else {
                self.idle.set(true);
                self.wake.notified().await;
            }
        }
    }

    /// Sends everybody away without a permit, now and later.
    pub fn close(&self) {
        self.gate.set(Gate::Closed);
        for lane in Lane::ALL {
            self.lanes.borrow_mut().clear(lane);
        }
        self.wake.notify_one();
    }

    /// Sends everybody but checks away without a permit, now and later.
    pub fn close_to_load(&self) {
        self.gate.set(Gate::Checks);
        for lane in [Lane::Retry, Lane::Load] {
            self.lanes.borrow_mut().clear(lane);
        }
    }

    /// Whether one more check would have to wait for longer than a second: see [`Lanes::is_crowded_with_checks`].
    #[must_use]
    pub fn is_crowded_with_checks(&self) -> bool {
        self.lanes.borrow().is_crowded_with_checks()
    }

    /// Admits all whose slot has come, and returns the instant of the next slot that somebody waits for.
    fn admit_all(&self, now: Duration) -> Option<Duration> {
        let mut lanes = self.lanes.borrow_mut();
        loop {
            match lanes.next(now) {
                // A user that is gone has wasted its slot: that is rare (a user never gives up waiting by itself), and
                // giving the slot to the next one would move a schedule that others can see.
                Turn::Admit { waiter, permit } => drop(waiter.send(permit)),
                Turn::Wait { until } => return Some(until),
                Turn::Idle => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;
    use tokio::task::{JoinSet, LocalSet};

    use super::*;
    use crate::engine::PausableClock;
    use crate::scenario::{Limit, LimitKey};

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit {
            rate: rate.parse().unwrap(),
            burst: burst.try_into().unwrap(),
            per: LimitKey::Run,
            catch_up: Duration::from_millis(20),
        }
    }

    /// Runs a test on a clock that jumps from one wake-up to the next, with a limiter whose pacer runs.
    fn on_a_paused_clock<F: Future>(limit: &Limit, test: impl FnOnce(Rc<Limiter<PausableClock>>) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let lanes = Lanes::new(limit, Duration::ZERO, "50%".parse().unwrap());
            let limiter = Rc::new(Limiter::new(PausableClock::starting_now(), lanes));
            let pacer = limiter.clone();
            tokio::task::spawn_local(async move { pacer.pace().await });
            test(limiter).await
        })
    }

    #[test]
    fn users_are_let_go_in_their_order_at_their_slots() {
        let admitted = on_a_paused_clock(&limit("100/s", 1), |limiter| async move {
            let mut admitted = Vec::new();
            for _ in 0..4 {
                admitted.push(limiter.permit(Lane::Load, 0, limiter.timer.now()).await.unwrap().admitted.as_millis());
            }
            admitted
        });
        assert_eq!(admitted, [0, 10, 20, 30]);
    }

    #[test]
    fn a_closed_limiter_sends_everybody_away() {
        on_a_paused_clock(&limit("1/h", 1), |limiter| async move {
            assert!(limiter.permit(Lane::Load, 0, Duration::ZERO).await.is_some());
            let waiting = limiter.clone();
            let waiter = tokio::task::spawn_local(async move { waiting.permit(Lane::Load, 0, Duration::ZERO).await });
            tokio::task::yield_now().await;
            limiter.close();
            assert_eq!(waiter.await.unwrap(), None);
            assert_eq!(limiter.permit(Lane::Load, 0, Duration::ZERO).await, None);
        });
    }

    #[test]
    fn checks_go_on_at_their_share_after_the_load_was_sent_away() {
        on_a_paused_clock(&limit("10/s", 1), |limiter| async move {
            let slot = |permit: Option<Permit>| permit.unwrap().admitted.as_millis();
            assert_eq!(slot(limiter.permit(Lane::Load, 0, Duration::ZERO).await), 0);
            let waits = |lane| {
                let waiting = limiter.clone();
                tokio::task::spawn_local(async move { waiting.permit(lane, 0, Duration::ZERO).await })
            };
            let [check, retry, load] = [waits(Lane::Check), waits(Lane::Retry), waits(Lane::Load)];
            tokio::task::yield_now().await;
            limiter.close_to_load();
            assert_eq!((retry.await.unwrap(), load.await.unwrap()), (None, None));
            assert_eq!(limiter.permit(Lane::Load, 0, Duration::ZERO).await, None);
            assert_eq!(slot(check.await.unwrap()), 200);
            assert_eq!(slot(limiter.permit(Lane::Check, 0, limiter.timer.now()).await), 400);
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_holds_more_permits_than_the_limit_says(
            rate in 1..3_000_u32, burst in 1..10_u32, users in 1..60_u32, pause_ms in 0..40_u64,
        ) {
            let limit = limit(&format!("{rate}/s"), burst);
            let permits = on_a_paused_clock(&limit, |limiter| async move {
                let permits = Rc::new(RefCell::new(Vec::new()));
                let mut crew = JoinSet::new();
                for user in 0..users {
                    let (limiter, permits) = (limiter.clone(), permits.clone());
                    crew.spawn_local(async move {
                        for step in 0..5 {
                            let due = limiter.timer.now();
                            limiter.permit(Lane::Load, 0, due).await.unwrap();
                            permits.borrow_mut().push(limiter.timer.now());
                            let pause = pause_ms * u64::from((user + step) % 3);
                            limiter.timer.sleep_until(limiter.timer.now() + Duration::from_millis(pause)).await;
                        }
                    });
                }
                while crew.join_next().await.is_some() {}
                permits.take()
            });
            prop_assert_eq!(permits.len(), users as usize * 5);
            for (i, start) in permits.iter().enumerate() {
                for (n, end) in permits[i..].iter().enumerate() {
                    let window = (end.saturating_sub(*start) + limit.catch_up).as_secs_f64();
                    let allowed = limit.rate.per_second() * window + f64::from(burst);
                    let permits = u32::try_from(n + 1).unwrap();
                    prop_assert!(f64::from(permits) <= allowed + 1e-6, "{permits} permits, {allowed} allowed");
                }
            }
        }
    }
}
