//! CPU time of the calling thread.

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
