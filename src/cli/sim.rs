//! `patchload sim`: the simulator as a server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::arguments::SimArguments;
use super::descriptors;
use super::exit::{Exit, Failure};
use super::put;
use super::run::environment;
use super::signals::Signals;
use crate::scenario::{self, CLIENT_ID, CLIENT_SECRET, Dialect, Endpoint, File, Overrides, Participant};
use crate::scenario::{READ_ONLY_TOKEN, STATIC_TOKEN, Simulator};
use crate::sim::{self, Counts, Truth};
use crate::units::format::count;

/// Serves until a signal ends it.
pub(super) fn sim(arguments: &SimArguments) -> Result<Exit, Failure> {
    let config = arguments.config.as_deref().map_or_else(|| Ok(Simulator::default()), simulator_of)?;
    descriptors::raise_limit();
    let server = sim::start(&config, ([127, 0, 0, 1], arguments.port).into(), arguments.threads)?;
    // Not before: the file may be that of a simulator which has the port.
    if let Some(path) = &arguments.data {
        write_population(&config, path)?;
    }
    put(&introduction(&config, server.address()))?;
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
    for (name, counts) in [
        ("PATCH", truth.patches),
        ("PUT", truth.puts),
        ("GET", truth.gets),
        ("login", truth.logins),
        ("other", truth.others),
    ] {
        let Counts { received, accepted, throttled, rejected, failed, reset, .. } = counts;
        let [received, accepted, throttled, rejected, failed, reset] =
            [received, accepted, throttled, rejected, failed, reset].map(count);
        let _ = writeln!(
            text,
            "{name:<5}  {received} received: {accepted} accepted, {throttled} throttled, {rejected} rejected, \
             {failed} failed, {reset} reset"
        );
    }
    text
}

/// The simulator that a file describes, or that a scenario asks for.
fn simulator_of(path: &Path) -> Result<Simulator, Failure> {
    // A file without any key is no scenario, but a simulator with all its defaults.
    let simulator =
        |error| Simulator::load(path, &environment).map(|found| File::Simulator(Box::new(found))).map_err(|_| error);
    match File::load(path, &environment, &Overrides::default()).or_else(simulator)? {
        File::Simulator(config) => Ok(*config),
        File::Scenario(scenario) => match scenario.target.endpoint {
            Endpoint::Simulator(config) => Ok(*config),
            Endpoint::Url(_) => Err(Failure::NoSimulator(path.to_owned())),
        },
    }
}

fn write_population(config: &Simulator, path: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::Data { path: path.to_owned(), error };
    let mut writer = csv::Writer::from_path(path).map_err(|error| failure(error.into()))?;
    let mut put = |row: [&str; 4]| writer.write_record(row).map_err(|error| failure(error.into()));
    put(Participant::COLUMNS)?;
    for participant in scenario::population(config) {
        put(participant.cells())?;
    }
    writer.flush().map_err(failure)
}

/// The address, clients and tokens, and a request to start with. Scripts read the first lines: what stands there stays.
fn introduction(config: &Simulator, address: SocketAddr) -> String {
    let mut text = format!(
        "serving on http://{address} until Ctrl-C\n\
         client id  {CLIENT_ID}, secret {CLIENT_SECRET}\n\
         token      {STATIC_TOKEN}\n\
         read-only  {READ_ONLY_TOKEN}\n"
    );
    if config.clients > 1 {
        let names = if config.clients == 2 { "" } else { "-2 to " };
        let _ = writeln!(
            text,
            "clients    {CLIENT_ID}, {CLIENT_ID}{names}-{}, all with the secret {CLIENT_SECRET}",
            config.clients
        );
    }
    let _ = writeln!(text, "config     http://{address}/_sim/config");
    if config.truth > 0 {
        let _ = writeln!(text, "truth      http://{address}/_sim/truth");
    }
    if let Some(first) = scenario::population(config).next() {
        let _ = write!(text, "\n{}", curl(config.dialect, address, &first));
    }
    text
}

/// A write that the dialect accepts, a read of it, and a login.
fn curl(dialect: Dialect, address: SocketAddr, participant: &Participant) -> String {
    let Participant { conversation_id, participant_id, .. } = participant;
    let (path, body) = match dialect {
        Dialect::Documented => (
            format!("{conversation_id}/participants/{participant_id}/attributes"),
            r#"{"attributes": {"tier": "gold"}}"#,
        ),
        Dialect::Forum => {
            (format!("participants/{participant_id}"), r#"{"participantData": {"customAttributes": {"tier": "gold"}}}"#)
        }
    };
    format!(
        "curl -i -X PATCH -H 'Authorization: Bearer {STATIC_TOKEN}' -H 'Content-Type: application/json' \\\n  \
         -d '{body}' \\\n  http://{address}/api/v2/conversations/{path}\n\
         curl -s -H 'Authorization: Bearer {STATIC_TOKEN}' http://{address}/api/v2/conversations/{conversation_id}\n\
         curl -s -u {CLIENT_ID}:{CLIENT_SECRET} -d grant_type=client_credentials http://{address}/oauth/token\n"
    )
}
