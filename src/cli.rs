//! The command line: arguments, wiring, screen and exit codes. The only module that prints.

mod arguments;
mod check;
mod descriptors;
mod ending;
mod exit;
mod hours;
mod ports;
mod profile;
mod repeat;
mod report;
mod restore;
mod run;
mod screen;
mod seats;
mod session;
mod signals;
mod sim;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use exit::{Exit, Failure};

/// Runs the command that the process was started with, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    // clap prints usage errors itself and exits with 2, as the contract says.
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Profile(arguments) => profile::profile(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Report(arguments) => report::report(arguments),
        Command::Restore(arguments) => restore::restore(arguments),
        Command::Sim(arguments) => sim::sim(arguments),
    };
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) if failure.is_closed_pipe() => Exit::Done,
        Err(failure) => {
            say(&format!("error: {failure}"));
            failure.exit()
        }
    };
    exit.into()
}

/// Talk, for a person: a line on stderr. Nobody may be listening, and that is no error.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Data, for a person or a program: text on stdout.
fn put(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}
