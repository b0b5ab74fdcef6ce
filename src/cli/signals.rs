//! The signals that end a command: Ctrl-C and SIGTERM.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals; while this is held, neither ends the process by itself.
pub(super) struct Signals {
    interrupts: Signal,
    terminations: Signal,
    has_come: bool,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn new() -> io::Result<Self> {
        let (interrupts, terminations) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupts, terminations, has_come: false })
    }

    /// Waits for either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupts.recv() => {}
            _ = self.terminations.recv() => {}
        }
        self.has_come = true;
    }

    /// Whether either has come and was waited for.
    pub(super) fn has_come(&self) -> bool {
        self.has_come
    }
}
