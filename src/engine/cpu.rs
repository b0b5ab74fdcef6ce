//! What the system tells about processor time.

use std::time::Duration;

/// CPU time that the calling thread has used; zero where the system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time that the calling thread has used; zero where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn thread_cpu() -> Duration {
    Duration::ZERO
}

/// How long the calling thread ran, and how long it could have run and waited for a core; `None` where the system does not
/// tell.
pub(super) fn core_time() -> Option<(Duration, Duration)> {
    // proc(5): time on the CPU, time on the run queue, number of time slices.
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut nanos = schedstat.split_whitespace().map(str::parse::<u64>);
    let mut next = || Some(Duration::from_nanos(nanos.next()?.ok()?));
    Some((next()?, next()?))
}

/// The processor time that a hypervisor gave to others, and all of it, in clock ticks; `None` where the system does not tell.
pub(super) fn steal() -> Option<(u64, u64)> {
    // proc(5): user nice system idle iowait irq softirq steal, and guest times that are part of user and nice.
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).map_while(|tick| tick.parse().ok()).collect();
    Some((*ticks.get(7)?, ticks.iter().take(8).sum()))
}
