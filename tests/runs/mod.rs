//! Runs a scenario in this process, against a server that the test has started, and reads its reports.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part of it"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use patchload::engine::{self, Ended, Job, Stop, TokenKeeper};
use patchload::measure::{Header, Host, Run, SCHEMA, Second, State, Totals, Warning};
use patchload::results::Folder;
use patchload::scenario::{Endpoint, Overrides, Scenario};
use patchload::sim::{self, Server};

/// The rows of the simulator, and one variant that writes an attribute of theirs.
pub const ATTRIBUTES: &str = r#"
    [data.participants]
    from = "simulator"
    [[variant]]
    name = "attributes"
    path = "/api/v2/conversations/{{ conversation_id }}/participants/{{ participant_id }}/attributes"
    body = '{"attributes": {"ref": "{{ unique }}"}}'
    expect = [202]
"#;

/// A scenario that is right, but for its name.
pub fn scenario(text: &str) -> Arc<Scenario> {
    let text = format!("name = \"test\"\n{text}");
    let scenario = Scenario::parse(Path::new("test.toml"), text.as_bytes(), &|_| None, &Overrides::default());
    Arc::new(scenario.unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// A row of a CSV file by column.
pub type Row = BTreeMap<String, String>;

/// A server with the scenario's own simulator, on one thread.
pub fn server(scenario: &Scenario) -> Server {
    let Endpoint::Simulator(config) = &scenario.target.endpoint else { panic!("the simulator") };
    sim::start(config, ([127, 0, 0, 1], 0).into(), NonZeroUsize::MIN).unwrap()
}

fn header(scenario: &Scenario) -> Header {
    Header {
        schema: SCHEMA,
        version: "test".to_owned(),
        name: scenario.name.clone(),
        target: "main".to_owned(),
        variants: scenario.variants.iter().map(|variant| variant.name.clone()).collect(),
        seed: scenario.seed,
        started_unix_s: 0.0,
        planned_s: scenario.load.length().as_secs_f64(),
        host: Host::default(),
        scenario: scenario.source.clone(),
    }
}

/// Runs a scenario against `address`; each second goes to `on_second`.
pub fn measure(
    scenario: &Arc<Scenario>,
    address: SocketAddr,
    stop: &Stop,
    on_second: impl FnMut(&Second, &Totals),
) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let base = format!("http://{address}").parse().unwrap();
        let tokens = TokenKeeper::obtain(&scenario.target, &base, |_| ()).await.unwrap();
        let job = Job { scenario: scenario.clone(), base, tokens, workers: NonZeroUsize::new(2).unwrap() };
        engine::run(job, stop, on_second).await.unwrap()
    })
}

/// Runs a scenario against `address`, with its run folder in `root`.
pub fn run(scenario: &Arc<Scenario>, address: SocketAddr, root: &Path, stop: &Stop) -> Vec<Warning> {
    let header = header(scenario);
    let mut folder = Folder::create(root, &header).unwrap();
    let ended = measure(scenario, address, stop, |second, totals| folder.second(second, totals).unwrap());
    let run = Run { header, state: State::Finished, warnings: ended.warnings, totals: ended.totals };
    folder.finish(&run).unwrap();
    run.warnings
}

/// The rows of a file of the only run folder in `root`.
pub fn rows(root: &Path, file: &str) -> Vec<Row> {
    let folder = std::fs::read_dir(root).unwrap().next().unwrap().unwrap().path();
    let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// The sum of a column of whole numbers.
pub fn sum<'a>(rows: impl IntoIterator<Item = &'a Row>, column: &str) -> u64 {
    rows.into_iter().map(|row| row[column].parse::<u64>().unwrap()).sum()
}
