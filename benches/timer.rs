//! Which timer is on time? Lateness and CPU time of four ways to wake 1,000 times per second.
//!
//! `cargo bench --bench timer`

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench prints its figures, and they are small and positive"
)]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use patchload::engine::RunClock;
use patchload::units::Timer as _;
use tokio::task::LocalSet;

const WAKE_UPS: u32 = 3_000;
const PERIOD: Duration = Duration::from_millis(1);
const SPIN: Duration = Duration::from_micros(100);

fn main() {
    println!("{WAKE_UPS} wake-ups, one each {PERIOD:?}: lateness in us, CPU time as a share of one core\n");
    println!("{:<34} {:>6} {:>6} {:>6} {:>6}", "", "p50", "p99", "max", "cpu");
    report("tokio::time::sleep_until", tokio_sleep);
    report("timerfd in the runtime", timerfd);
    report("thread, timer slack 1 us, channel", || pacing_thread(Duration::ZERO));
    report("the same, spinning the last 100 us", || pacing_thread(SPIN));
}

fn report(name: &str, measure: fn() -> Vec<Duration>) {
    let (cpu, begun) = (process_cpu(), Instant::now());
    let mut late = measure();
    let share = process_cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    late.sort_unstable();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize].as_micros();
    println!("{name:<34} {:>6} {:>6} {:>6} {:>5.1}%", at(0.5), at(0.99), at(1.0), share * 100.0);
}

fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn tokio_sleep() -> Vec<Duration> {
    runtime().block_on(async {
        let start = Instant::now();
        let mut late = Vec::new();
        for wake_up in 1..=WAKE_UPS {
            let at = start + PERIOD * wake_up;
            tokio::time::sleep_until(at.into()).await;
            late.push(at.elapsed());
        }
        late
    })
}

fn timerfd() -> Vec<Duration> {
    LocalSet::new().block_on(&runtime(), async {
        let clock = RunClock::new(Instant::now());
        tokio::task::spawn_local(clock.clone().drive());
        let mut late = Vec::new();
        for wake_up in 1..=WAKE_UPS {
            let at = PERIOD * wake_up;
            clock.sleep_until(at).await;
            late.push(clock.now().saturating_sub(at));
        }
        late
    })
}

/// A thread that sleeps until `spin` before the instant, spins the rest, and tells the runtime through a channel.
fn pacing_thread(spin: Duration) -> Vec<Duration> {
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    let (go, ready) = mpsc::channel::<Instant>();
    let thread = thread::spawn(move || {
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000))
            .expect("the kernel takes a timer slack");
        let start = ready.recv().expect("the runtime says when");
        for wake_up in 1..=WAKE_UPS {
            let at = start + PERIOD * wake_up;
            thread::sleep(at.saturating_duration_since(Instant::now()).saturating_sub(spin));
            while Instant::now() < at {
                std::hint::spin_loop();
            }
            tx.send(at).expect("the runtime listens");
        }
    });
    let late = runtime().block_on(async {
        go.send(Instant::now()).expect("the thread waits");
        let mut late = Vec::new();
        while let Some(at) = rx.recv().await {
            late.push(at.elapsed());
        }
        late
    });
    thread.join().expect("the thread ends");
    late
}
