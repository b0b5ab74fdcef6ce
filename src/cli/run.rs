//! `patchload run`: from a scenario to a run folder, or to a set of them.

use std::fmt::Write as _;
use std::sync::Arc;

use super::arguments::{RunArguments, ScenarioArguments};
use super::exit::{Exit, Failure};
use super::ports::Ports;
use super::seats::Seats;
use super::session::{Session, TRUTH};
use super::{check, hours, put, repeat, say};
use crate::engine::Placement;
use crate::report;
use crate::results::{self, FILES, Folder, SNAPSHOT};
use crate::scenario::{Endpoint, Scenario};
use crate::units::format;

/// What `${NAME}` in a file stands for.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the scenario that the arguments name, with what they change in it.
pub(super) fn load(arguments: &ScenarioArguments) -> Result<Scenario, Failure> {
    Ok(Scenario::load(&arguments.scenario, &environment, &arguments.overrides())?)
}

/// Runs a scenario once or several times, writes its reports and prints its summary.
pub(super) fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let scenario = Arc::new(load(&arguments.scenario)?);
    if arguments.truth && matches!(scenario.target.endpoint, Endpoint::Url(_)) {
        return Err(Failure::NoTruth);
    }
    let seats = Seats::new(&scenario, arguments.scenario.workers);
    if arguments.dry_run {
        return dry_run(&scenario, arguments);
    }
    if !arguments.quiet {
        tell(&scenario, &seats, arguments);
    }
    let session = Session::new(scenario, seats, arguments)?;
    match arguments.repeat {
        Some(runs) => Ok(repeat::repeat(session, arguments, runs)),
        None => once(session, arguments),
    }
}

/// Says all that a run would do, and does nothing of it.
fn dry_run(scenario: &Scenario, arguments: &RunArguments) -> Result<Exit, Failure> {
    let mut text = check::describe(scenario, arguments.scenario.workers);
    let files = FILES.iter().copied().chain(scenario.snapshot.as_ref().map(|_| SNAPSHOT));
    let files: Vec<_> = files.chain(arguments.truth.then_some(TRUTH)).collect();
    let folder = arguments.out.join(format!("{}-UTCTIME", scenario.name));
    let _ = write!(text, "\nwould write  {}: {}\nsent         nothing\n", folder.display(), files.join(" "));
    put(&text)?;
    let ports = Ports::of(scenario).and_then(|ports| ports.caution(scenario));
    let cautions = scenario.cautions().iter().map(ToString::to_string).collect::<Vec<_>>();
    for caution in cautions.into_iter().chain(ports).chain(hours::caution(scenario)) {
        say(&format!("caution: {caution}"));
    }
    Ok(Exit::Done)
}

/// Says what is going to happen.
fn tell(scenario: &Scenario, seats: &Seats, arguments: &RunArguments) {
    say(&format!("{}\nworkers      {}", scenario.plan(), Placement::new(scenario, seats.workers)));
    if let Some(runs) = arguments.repeat {
        let (length, pause) = (scenario.load.length(), arguments.pause());
        let all = length.saturating_mul(runs).saturating_add(pause.saturating_mul(runs - 1));
        let [all, pause] = [all, pause].map(format::duration);
        say(&format!("repeat       {} runs, a pause of {pause} between two, {all} in all", format::count(runs.into())));
    }
    for caution in scenario.cautions() {
        say(&format!("caution: {caution}"));
    }
}

/// One run with a summary of its own.
fn once(mut session: Session, arguments: &RunArguments) -> Result<Exit, Failure> {
    let Some(mut closed) = session.run(|header| Folder::create(&arguments.out, header))? else {
        say("stopped before the first request; nothing was measured");
        return Ok(Exit::Interrupted);
    };
    // A reader of the summary that went away changes nothing about the run.
    let remedy = (!results::was_simulated(&closed.run.header)).then_some(closed.path.as_path());
    let restored = closed.restoration.as_ref().map(|told| report::restoration(told, remedy)).unwrap_or_default();
    let printed = put(&format!("{}{restored}", report::text(&closed.run, Some(&closed.judgement), &closed.path)));
    closed.unwritten.extend(printed.err().filter(|failure| !failure.is_closed_pipe()));
    let ending = closed.ending(arguments.invalid());
    for line in ending.lines() {
        say(&line.text);
    }
    Ok(ending.exit())
}
