//! Exit codes, and the only match from errors to them.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::units::Hours;
use crate::{engine, http, profile, results, scenario, sim};

/// How the process ends; the codes are part of the interface.
///
/// The order is that of weight: where several apply, the last one here is the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// A threshold was crossed; the code is known to users of k6.
    Crossed,
    /// A threshold on what the checks of idempotency and consistency find was crossed.
    Violated,
    /// The measurement is invalid.
    Invalid,
    /// Stopped by a signal; the code is known to users of k6.
    Interrupted,
    /// The target cannot be reached, or refuses the credentials.
    TargetUnusable,
    /// The arguments or the scenario are wrong.
    Usage,
    /// Something of ours or of this machine failed.
    Internal,
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Crossed => 99,
            Self::Violated => 5,
            Self::Invalid => 6,
            Self::Interrupted => 105,
            Self::TargetUnusable => 3,
            Self::Usage => 2,
            Self::Internal => 1,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Scenario(#[from] scenario::LoadError),
    #[error("{path} has no `[target.simulator]`; name a scenario that runs on the simulator", path = .0.display())]
    NoSimulator(PathBuf),
    #[error(
        "--truth writes what the embedded simulator did, and the target is another server; ask a simulator of yours at /_sim/truth"
    )]
    NoTruth,
    #[error(
        "it is outside of the allowed hours {hours}, which begin at {opens}; nothing was sent; start it then, or set `limit.outside` to \"pause\" to wait for them"
    )]
    OutsideHours { hours: Hours, opens: String },
    #[error("{}: {what}; name the scenario of the run as it was, by --scenario", .file.display())]
    OtherScenario { file: PathBuf, what: String },
    #[error("the run had an embedded simulator, which ended with it; nothing is left to put back")]
    SimulatorGone,
    #[error(transparent)]
    Snapshot(#[from] engine::SnapshotError),
    #[error(transparent)]
    Audit(#[from] engine::AuditError),
    #[error(transparent)]
    Results(#[from] results::Error),
    #[error(transparent)]
    Simulator(#[from] sim::Error),
    #[error(transparent)]
    Login(#[from] http::LoginError),
    #[error(transparent)]
    Unreachable(#[from] http::ProbeError),
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error("no variant is called `{name}`; the scenario has {}", .known.join(", "))]
    NoVariant { name: String, known: Vec<String> },
    #[error("{path} is there already, and --write-limit overwrites nothing; name another file, or remove it", path = .0.display())]
    LimitThere(PathBuf),
    #[error("cannot write {path}: {error}; choose another file", path = .path.display())]
    Limit { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error(transparent)]
    Trouble(profile::Trouble),
    #[error("cannot set up the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot write {path}: {error}; choose another file", path = .path.display())]
    Data { path: PathBuf, error: io::Error },
}

impl Failure {
    /// The exit code of this failure.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Login(http::LoginError::Client(_))
            | Self::Unreachable(http::ProbeError::Client(_))
            | Self::Snapshot(engine::SnapshotError::Client(_)) => Exit::Internal,
            Self::Login(_)
            | Self::Unreachable(_)
            | Self::Audit(_)
            | Self::Trouble(_)
            | Self::Snapshot(engine::SnapshotError::Unreadable { .. }) => Exit::TargetUnusable,
            Self::Scenario(_)
            | Self::NoVariant { .. }
            | Self::LimitThere(_)
            | Self::Profile(profile::Error::Request(_))
            | Self::NoSimulator(_)
            | Self::NoTruth
            | Self::OutsideHours { .. }
            | Self::OtherScenario { .. }
            | Self::SimulatorGone
            | Self::Snapshot(engine::SnapshotError::NotWanted)
            | Self::Results(
                results::Error::NotARunFolder { .. }
                | results::Error::NoSnapshot { .. }
                | results::Error::StillRunning { .. },
            ) => Exit::Usage,
            Self::Results(_)
            | Self::Simulator(_)
            | Self::Engine(_)
            | Self::Runtime(_)
            | Self::Output(_)
            | Self::Profile(_)
            | Self::Limit { .. }
            | Self::Data { .. } => Exit::Internal,
        }
    }

    /// Whether the reader of standard output went away, as `head` does.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
