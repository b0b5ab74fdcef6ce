//! `patchload check`: is the file right, and what does it describe?

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use super::arguments::{CheckArguments, ScenarioArguments};
use super::exit::{Exit, Failure};
use super::run::environment;
use super::seats::Seats;
use super::{put, say};
use crate::engine::Placement;
use crate::scenario::{File, Scenario, curl, curl_read, curl_restore};

/// Validates a scenario and prints its plan and its requests, or a simulator and prints what it is.
pub(super) fn check(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let arguments = &arguments.scenario;
    match File::load(&arguments.scenario, &environment, &arguments.overrides())? {
        File::Scenario(scenario) => check_scenario(&scenario, arguments)?,
        File::Simulator(simulator) => put(&format!("{simulator}\n"))?,
    }
    Ok(Exit::Done)
}

fn check_scenario(scenario: &Scenario, arguments: &ScenarioArguments) -> Result<(), Failure> {
    put(&describe(scenario, arguments.workers))?;
    for caution in scenario.cautions() {
        say(&format!("caution: {caution}"));
    }
    Ok(())
}

/// The plan of a scenario, its thresholds, and each kind of request as curl.
pub(super) fn describe(scenario: &Scenario, workers: Option<NonZeroUsize>) -> String {
    let seats = Seats::new(scenario, workers);
    let mut text = format!("{}\nworkers      {}\n", scenario.plan(), Placement::new(scenario, seats.workers));
    for threshold in &scenario.thresholds {
        let _ = writeln!(text, "threshold    {} {}", threshold.metric(), threshold.condition());
    }
    for (index, variant) in scenario.variants.iter().enumerate() {
        let _ = write!(text, "\n# variant {}\n{}\n", variant.name, curl(scenario, index));
    }
    if let Some(read) = curl_read(scenario) {
        let _ = write!(text, "\n# read: the attributes of the first data row\n{read}\n");
    }
    if let Some(restore) = curl_restore(scenario) {
        let _ = write!(
            text,
            "\n# restore: after a run, of rows that are not as before; KEY and EARLIER stand for what was read\n{restore}\n"
        );
    }
    text
}
