//! The clock of a run, and the one that tests can pause.
//!
//! [`RunClock`] wakes by a `timerfd`, because tokio's own timer ticks in milliseconds. Lateness of 1,000 wake-ups per
//! second by `benches/timer.rs` (p50, p99, share of a core; medians of four on a shared machine with two cores):
//!
//! | way | p50 | p99 | CPU |
//! |---|---|---|---|
//! | tokio's `sleep_until` | 1,530 us | 3.6 ms | 2.6 % |
//! | `timerfd` in the runtime | 33 us | 1.4 ms | 3.0 % |
//! | a thread with 1 us of timer slack, and a channel | 43 us | 1.8 ms | 3.5 % |
//! | the same, spinning the last 100 us | 18 us | 3.1 ms | 10.5 % |
//!
//! The `timerfd` is as punctual as a thread of its own, needs no channel to the users, and costs nothing when nothing is
//! due. Spinning buys 15 us for three times the CPU, which on a small machine makes the rest late.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::units::Timer;

/// The clock of one worker: time since the start of the run, and wake-ups that are on time.
///
/// It belongs to the worker's thread. [`RunClock::drive`] must be polled for [`Timer::sleep_until`] to return.
#[derive(Clone)]
pub struct RunClock {
    start: Instant,
    alarms: Rc<Alarms>,
}

/// Whom to wake, and when.
#[derive(Default)]
struct Alarms {
    queue: RefCell<BinaryHeap<Reverse<Alarm>>>,
    /// What the timer is set to; `None` while it is not.
    set_to: Cell<Option<Duration>>,
    /// Tells the driver that an alarm earlier than `set_to` was added.
    earlier: Notify,
    /// Alarms added so far: those of the same instant go off in their order.
    added: Cell<u64>,
}

struct Alarm {
    at: Duration,
    order: u64,
    waker: Waker,
}

impl Alarm {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl RunClock {
    /// A clock whose zero is `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start, alarms: Rc::default() }
    }

    /// A clock whose zero is now.
    #[must_use]
    pub fn starting_now() -> Self {
        Self::new(Instant::now())
    }

    /// When it showed zero.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Wakes sleepers in time, for ever. One task per clock runs this; dropping it stops all wake-ups.
    ///
    /// # Errors
    /// When the system gives no timer, for want of file descriptors for example.
    pub async fn drive(self) -> std::io::Result<()> {
        let alarm_clock = system::AlarmClock::new()?;
        loop {
            let earlier = self.alarms.earlier.notified();
            let next = self.ring(self.now());
            self.alarms.set_to.set(next);
            match next {
                None => earlier.await,
                Some(at) => tokio::select! {
                    biased;
                    () = earlier => {}
                    result = alarm_clock.wait(at.saturating_sub(self.now())) => result?,
                },
            }
        }
    }

    /// Wakes all whose time has come, and returns when the next one's does.
    fn ring(&self, now: Duration) -> Option<Duration> {
        let mut queue = self.alarms.queue.borrow_mut();
        while let Some(Reverse(alarm)) = queue.peek() {
            if alarm.at > now {
                return Some(alarm.at);
            }
            if let Some(Reverse(alarm)) = queue.pop() {
                alarm.waker.wake();
            }
        }
        None
    }
}

impl Timer for RunClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()> {
        Sleep { clock: self, at, is_set: false }
    }
}

struct Sleep<'a> {
    clock: &'a RunClock,
    at: Duration,
    is_set: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.at {
            return Poll::Ready(());
        }
        // An alarm goes off once, so a sleeper that was polled for another reason keeps the one it has: all futures
        // of a task share a waker here, because each sleeper is awaited by its own task.
        if !self.is_set {
            self.is_set = true;
            let (at, alarms) = (self.at, &self.clock.alarms);
            let order = alarms.added.replace(alarms.added.get() + 1);
            alarms.queue.borrow_mut().push(Reverse(Alarm { at, order, waker: context.waker().clone() }));
            if alarms.set_to.get().is_none_or(|set_to| at < set_to) {
                alarms.earlier.notify_one();
            }
        }
        Poll::Pending
    }
}

/// A clock that follows tokio's, and so stands still and jumps in a test with paused time. Its ticks are milliseconds.
#[derive(Debug, Clone)]
pub struct PausableClock {
    start: tokio::time::Instant,
}

impl PausableClock {
    /// A clock whose zero is now.
    #[must_use]
    pub fn starting_now() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Timer for PausableClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep_until(self.start + at)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel that the runtime waits on like on a socket.
    pub(super) struct AlarmClock(AsyncFd<OwnedFd>);

    impl AlarmClock {
        pub(super) fn new() -> io::Result<Self> {
            let descriptor = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            #[expect(deprecated, reason = "unsound for types that lie about their descriptor; an OwnedFd cannot")]
            let waitable = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
            Ok(Self(waitable))
        }

        /// Waits for so long. Setting the timer clears what it said before, so it is never read.
        pub(super) async fn wait(&self, after: Duration) -> io::Result<()> {
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Zero would switch the timer off.
            let after = after.max(Duration::from_nanos(1));
            let value = Timespec {
                tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: after.subsec_nanos().into(),
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: never, it_value: value })?;
            self.0.readable().await?.clear_ready();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::time::Duration;

    /// The runtime's own timer, in milliseconds: elsewhere than on Linux, wake-ups are up to a millisecond late.
    pub(super) struct AlarmClock;

    impl AlarmClock {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn wait(&self, after: Duration) -> io::Result<()> {
            tokio::time::sleep(after).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    fn on_a_worker<F: Future>(test: impl FnOnce(RunClock) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let clock = RunClock::new(Instant::now());
            tokio::task::spawn_local(clock.clone().drive());
            test(clock).await
        })
    }

    #[test]
    fn never_wakes_early() {
        on_a_worker(|clock| async move {
            for step in 1..=200_u32 {
                let at = Duration::from_micros(150) * step;
                clock.sleep_until(at).await;
                assert!(clock.now() >= at);
            }
        });
    }

    #[test]
    fn wakes_all_sleepers_in_the_order_of_their_instants() {
        let order = on_a_worker(|clock| async move {
            let order = Rc::new(RefCell::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            for ms in [9_u64, 3, 6, 0, 3] {
                let (clock, order) = (clock.clone(), order.clone());
                tasks.spawn_local(async move {
                    clock.sleep_until(Duration::from_millis(ms)).await;
                    order.borrow_mut().push(ms);
                });
            }
            while tasks.join_next().await.is_some() {}
            order.take()
        });
        assert_eq!(order, [0, 3, 3, 6, 9]);
    }

    #[test]
    fn an_instant_in_the_past_is_no_wait() {
        on_a_worker(|clock| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            clock.sleep_until(Duration::from_millis(1)).await;
        });
    }
}
