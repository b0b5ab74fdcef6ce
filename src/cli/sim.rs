//! `patchload sim`: the simulator as a server.

use std::fmt::Write as _;
use std::path::Path;

use super::arguments::SimArguments;
use super::descriptors;
use super::exit::{Exit, Failure};
use super::put;
use super::signals::Signals;
use crate::scenario::{self, CLIENT_ID, CLIENT_SECRET, Endpoint, Overrides, Scenario, Simulator};
use crate::sim::{self, Counts, Truth};
use crate::units::format::count;

/// Serves until a signal ends it.
pub(super) fn sim(arguments: &SimArguments) -> Result<Exit, Failure> {
    let config = arguments.scenario.as_deref().map_or_else(|| Ok(Simulator::default()), simulator_of)?;
    if let Some(path) = &arguments.data {
        write_population(&config, path)?;
    }
    descriptors::raise_limit();
    let server = sim::start(&config, ([127, 0, 0, 1], arguments.port).into(), arguments.threads)?;
    put(&introduction(&config, &server))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        Signals::new().map_err(Failure::Runtime)?.next().await;
        Ok::<(), Failure>(())
    })?;
    put(&account(&server.truth()))?;
    Ok(Exit::Done)
}

/// What the server received, as a few lines.
fn account(truth: &Truth) -> String {
    let mut text = format!("\n{} connections\n", count(truth.connections));
    for (name, counts) in
        [("PATCH", truth.patches), ("GET", truth.gets), ("login", truth.logins), ("other", truth.others)]
    {
        let Counts { received, accepted, throttled, rejected, reset, .. } = counts;
        let [received, accepted, throttled, rejected, reset] =
            [received, accepted, throttled, rejected, reset].map(count);
        let _ = writeln!(
            text,
            "{name:<5}  {received} received: {accepted} accepted, {throttled} throttled, {rejected} rejected, {reset} reset"
        );
    }
    text
}

/// The simulator that a scenario asks for.
fn simulator_of(path: &Path) -> Result<Simulator, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    match Scenario::load(path, &environment, &Overrides::default())?.target.endpoint {
        Endpoint::Simulator(config) => Ok(config),
        Endpoint::Url(_) => Err(Failure::NoSimulator(path.to_owned())),
    }
}

fn write_population(config: &Simulator, path: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::Data { path: path.to_owned(), error };
    let mut writer = csv::Writer::from_path(path).map_err(|error| failure(error.into()))?;
    let mut put = |row: [&str; 3]| writer.write_record(row).map_err(|error| failure(error.into()));
    put(["conversation_id", "participant_id", "role"])?;
    for participant in scenario::population(config.seed, config.conversations) {
        put([&participant.conversation_id, &participant.participant_id, participant.role])?;
    }
    writer.flush().map_err(failure)
}

/// The address, a token, and a request to start with.
fn introduction(config: &Simulator, server: &sim::Server) -> String {
    let (address, token) = (server.address(), server.token());
    let mut text = format!(
        "serving on http://{address} until Ctrl-C\nclient id  {CLIENT_ID}, secret {CLIENT_SECRET}\ntoken      {token}\n"
    );
    if let Some(first) = scenario::population(config.seed, config.conversations).next() {
        let _ = write!(
            text,
            "\ncurl -i -X PATCH -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n  \
             -d '{{\"attributes\": {{\"tier\": \"gold\"}}}}' \\\n  \
             http://{address}/api/v2/conversations/{}/participants/{}/attributes\n",
            first.conversation_id, first.participant_id,
        );
    }
    text
}
