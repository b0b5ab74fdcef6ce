//! The arguments of all commands.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::ending::Invalid;
use crate::scenario::Overrides;
use crate::units::{Rate, parse_duration};

/// The pause between two runs where nobody asks for another: time for a server to settle. The ports of a run with a
/// connection per request stay taken for longer.
const PAUSE: Duration = Duration::from_secs(5);

/// Load-tests and profiles the rate limits of APIs whose attributes are changed by PATCH
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario and write its reports
    Run(RunArguments),
    /// Find out what the server's rate limiter allows, and prove it
    Profile(ProfileArguments),
    /// Validate a file; print a scenario's plan and requests as curl, or what a simulator is
    Check(CheckArguments),
    /// Rebuild the reports of a run folder or a set, also of one that was killed, and print its summary
    Report(ReportArguments),
    /// Put back the attributes that a run with a snapshot has changed, where it could not do so itself
    Restore(RestoreArguments),
    /// Serve the simulated API on a port of this machine
    Sim(SimArguments),
}

/// A scenario and what the command line changes in it.
#[derive(Debug, Args)]
pub(super) struct ScenarioArguments {
    /// The scenario file
    pub(super) scenario: PathBuf,
    /// Users: one stage of so many replaces the scenario's stages
    #[arg(short, long, value_name = "N", value_parser = positive::<NonZeroU32>)]
    users: Option<NonZeroU32>,
    /// Length, such as 30s or 5m: one stage of it replaces the scenario's stages
    #[arg(short, long, value_parser = length, value_name = "TIME")]
    duration: Option<Duration>,
    /// Rate of the limit, such as 300/min or 50/s
    #[arg(short, long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Worker threads, at most [default: one per core, less those of the embedded simulator]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroUsize>)]
    pub(super) workers: Option<NonZeroUsize>,
}

impl ScenarioArguments {
    pub(super) fn overrides(&self) -> Overrides {
        Overrides { users: self.users.map(NonZeroU32::get), duration: self.duration, rate: self.rate, seed: self.seed }
    }
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) scenario: ScenarioArguments,
    /// The folder in which the run's own folder is made
    #[arg(short, long, default_value = "results", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Run it so many times, 1 to 1000, and report how far the runs lie apart
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: Option<u32>,
    /// The pause between two runs [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "repeat")]
    pause: Option<Duration>,
    /// Load, check and print everything, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write what the embedded simulator did with each of its latest requests into the run folder: truth.jsonl
    #[arg(long)]
    pub(super) truth: bool,
    /// Exit as if the measurement were valid, whatever this machine did to it
    #[arg(long)]
    pub(super) accept_invalid: bool,
    /// No plan and no progress on stderr
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl RunArguments {
    /// The pause between two runs.
    pub(super) fn pause(&self) -> Duration {
        self.pause.unwrap_or(PAUSE)
    }

    /// What an invalid measurement does to the exit code.
    pub(super) fn invalid(&self) -> Invalid {
        if self.accept_invalid { Invalid::Accepted } else { Invalid::Fails }
    }
}

#[derive(Debug, Args)]
pub(super) struct ProfileArguments {
    #[command(flatten)]
    pub(super) scenario: ScenarioArguments,
    /// Requests at most; `limit.budget` bounds them, too
    #[arg(long, default_value = "4000", value_name = "N", value_parser = positive::<NonZeroU32>)]
    pub(super) requests: NonZeroU32,
    /// Time at most
    #[arg(long, default_value = "16m", value_name = "TIME", value_parser = length)]
    pub(super) time: Duration,
    /// The variant whose quota is profiled [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(super) variant: Option<String>,
    /// The folder in which the profile's own folder is made
    #[arg(short, long, default_value = "results", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Write the limit that the profile recommends into this file, which must not be there
    #[arg(long, value_name = "FILE")]
    pub(super) write_limit: Option<PathBuf>,
    /// Load, check and print everything, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// No plan and no progress on stderr
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) scenario: ScenarioArguments,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The run folder, or that of a set of runs
    pub(super) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The run folder
    pub(super) dir: PathBuf,
    /// The scenario, where its file is not where it was
    #[arg(short, long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct SimArguments {
    /// How the API behaves: a file with the keys of `[target.simulator]`, or a scenario that has that table [default: as
    /// documented]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 for any free one
    #[arg(short, long, default_value_t = 8080)]
    pub(super) port: u16,
    /// Write the ids of all participants into this CSV file
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// Server threads, at most 256
    #[arg(long, default_value = "1", value_name = "N", value_parser = threads)]
    pub(super) threads: NonZeroUsize,
}

/// A whole number above zero.
fn positive<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "write a whole number from 1 on".to_owned())
}

/// A number of threads: more than a machine has cores only cost memory.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = positive::<NonZeroUsize>(text)?;
    if number.get() > 256 { Err("write a whole number from 1 to 256".to_owned()) } else { Ok(number) }
}

/// A duration, which may be none.
fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// A duration above zero.
fn length(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("is no time at all; write a length such as \"30s\"".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}
