//! `patchload check`: is the scenario right, and what would it do?

use std::fmt::Write as _;

use super::arguments::CheckArguments;
use super::exit::{Exit, Failure};
use super::run::{Seats, load};
use super::{put, say};
use crate::engine::Placement;
use crate::scenario::curl;

/// Validates a scenario and prints its plan and its requests.
pub(super) fn check(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let scenario = load(&arguments.scenario)?;
    let seats = Seats::new(&scenario, arguments.scenario.workers);
    let mut text = format!("{}\nworkers      {}\n", scenario.plan(), Placement::new(&scenario, seats.workers));
    for (index, variant) in scenario.variants.iter().enumerate() {
        let _ = write!(text, "\n# variant {}\n{}\n", variant.name, curl(&scenario, index));
    }
    put(&text)?;
    for caution in scenario.cautions() {
        say(&format!("caution: {caution}"));
    }
    Ok(Exit::Done)
}
