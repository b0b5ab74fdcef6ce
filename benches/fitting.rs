//! How much CPU and memory does it take to explain 5,000 requests from nothing?
//!
//! `cargo bench --bench fitting` profiles limiters of each kind in virtual time, takes the first 5,000 answers of each, and
//! searches all kinds for an explanation of them. Fails where that takes more than a second of CPU, or 200 MB in all.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the zoo of the tests has more than this needs, and fails by panicking"
)]

#[path = "../tests/profile/zoo.rs"]
mod zoo;

use std::time::Duration;
use std::{fs, io};

use patchload::profile::{Log, Profiler, fit};
use rustix::time::{ClockId, clock_gettime};
use zoo::{QUIET, behind, draw, kinds, plan, run};

const REQUESTS: usize = 5_000;
const SEEDS: u64 = 5;

/// Seconds of CPU, and megabytes of memory.
const BOUNDS: (f64, f64) = (1.0, 200.0);

#[expect(clippy::print_stdout, reason = "a bench prints what it measures")]
fn main() -> io::Result<()> {
    let mut most: f64 = 0.0;
    for kind in kinds() {
        for seed in 1..=SEEDS {
            let (_, mut server) = draw(kind, seed);
            let profiler = run(&mut server, behind(QUIET, kind), Profiler::new(plan(kind)), seed);
            let log: Log = profiler.log().observations().iter().copied().take(REQUESTS).collect();
            let before = cpu();
            let found = fit(&log).first().map(|fit| fit.hypothesis.tiers[0].kind.to_string()).unwrap_or_default();
            let took = cpu() - before;
            most = most.max(took);
            println!("{took:5.2} s for {:5} requests of {kind}: {found}", log.observations().len());
        }
    }
    let peak = peak()?;
    println!("at most {most:.2} s of CPU and {peak:.0} MB");
    assert!(most <= BOUNDS.0 && peak <= BOUNDS.1, "a fit takes at most {} s and {} MB", BOUNDS.0, BOUNDS.1);
    Ok(())
}

/// Seconds of CPU that this process has taken.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

/// The most memory that this process ever had, in megabytes.
fn peak() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes = line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    Ok(kilobytes.unwrap_or(f64::INFINITY) * 1.024e-3)
}
