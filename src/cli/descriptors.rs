//! File descriptors: every connection is one, and many systems start a program with 1,024.

/// Raises the limit on open files as far as the system lets this process, and returns it; `None` where there is none, or the
/// system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// Nothing is known here.
#[cfg(not(target_os = "linux"))]
pub(super) fn raise_limit() -> Option<u64> {
    None
}
