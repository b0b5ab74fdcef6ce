//! `patchload run`: from a scenario to a run folder.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use url::Url;

use super::arguments::{RunArguments, ScenarioArguments};
use super::descriptors;
use super::ending::{End, Ending, Invalid};
use super::exit::{Exit, Failure};
use super::ports::Ports;
use super::screen::Screen;
use super::signals::Signals;
use super::{put, say};
use crate::engine::{self, Ended, Job, Placement, Stop, TokenKeeper};
use crate::judge::{self, Demand, Judgement};
use crate::measure::{Header, Host, Run, SCHEMA, State, Warning};
use crate::results::Folder;
use crate::scenario::{Connections, Endpoint, Scenario, Schedule};
use crate::sim::{self, Server};
use crate::units::Share;
use crate::{http, report};

/// What `${NAME}` in a file stands for.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The file of the run folder with what the embedded simulator did.
const TRUTH: &str = "truth.jsonl";

/// Reads the scenario that the arguments name, with what they change in it.
fn load(arguments: &ScenarioArguments) -> Result<Scenario, Failure> {
    Ok(Scenario::load(&arguments.scenario, &environment, &arguments.overrides())?)
}

/// How many threads send, and how many the embedded simulator has.
pub(super) struct Seats {
    pub(super) workers: NonZeroUsize,
    pub(super) simulator: usize,
}

impl Seats {
    /// A quarter of the cores, at least one, goes to the embedded simulator, the rest to workers.
    pub(super) fn new(scenario: &Scenario, workers: Option<NonZeroUsize>) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let simulator = match scenario.target.endpoint {
            Endpoint::Simulator(_) => (cores / 4).max(1),
            Endpoint::Url(_) => 0,
        };
        let rest = NonZeroUsize::new(cores.saturating_sub(simulator)).unwrap_or(NonZeroUsize::MIN);
        Self { workers: workers.unwrap_or(rest), simulator }
    }
}

/// Runs a scenario, writes its reports and prints its summary.
pub(super) fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let scenario = Arc::new(load(&arguments.scenario)?);
    if arguments.truth && matches!(scenario.target.endpoint, Endpoint::Url(_)) {
        return Err(Failure::NoTruth);
    }
    let seats = Seats::new(&scenario, arguments.scenario.workers);
    let placement = Placement::new(&scenario, seats.workers);
    if !arguments.quiet {
        say(&format!("{}\nworkers      {placement}", scenario.plan()));
        for caution in scenario.cautions() {
            say(&format!("caution: {caution}"));
        }
    }
    let descriptors = make_room_for_connections(&scenario, &seats);
    let ports = Ports::of(&scenario);
    if let Some(caution) = ports.and_then(|ports| ports.caution(&scenario)) {
        say(&format!("caution: {caution}"));
    }
    let (server, base) = locate(&scenario, &seats)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let Some(tokens) = runtime.block_on(reach(&scenario, &base))? else {
        say("stopped before the first request; nothing was measured");
        return Ok(Exit::Interrupted);
    };
    let header = header(&scenario, &seats, &placement);
    let mut folder = Folder::create(&arguments.out, &header)?;
    let busy_before = server.as_ref().map(Server::busy).unwrap_or_default();
    let screen = Screen::new(scenario.load.length(), arguments.quiet);
    let finished = runtime.block_on(async {
        let stop = Stop::default();
        let signals = tokio::spawn(stop_on_signals(stop.clone(), screen.clone(), folder.path().display().to_string()));
        let job = Job { scenario: scenario.clone(), base, tokens, workers: seats.workers };
        let watched = watch(job, &stop, &mut folder, &screen).await;
        signals.abort();
        watched
    });
    drop(screen);
    let mut watched = finished?;
    let elapsed_s = watched.ended.totals.elapsed_s;
    let evidence = &mut watched.ended.evidence;
    evidence.simulator_busy = server.as_ref().and_then(|server| simulator_busy(server, &busy_before, elapsed_s));
    evidence.descriptors = descriptors;
    evidence.ports = ports.and_then(|ports| ports.shortage_seen(&scenario.load, &watched.ended.totals));
    if let Some(server) = server.as_ref().filter(|_| arguments.truth && watched.unwritten.is_empty()) {
        watched.unwritten.extend(folder.attach(TRUTH, |out| server.write_truth(out)).err().map(Failure::from));
    }
    let invalid = if arguments.accept_invalid { Invalid::Accepted } else { Invalid::Fails };
    Ok(conclude(header, watched, folder, invalid))
}

/// Raises the limit on open files, and says so when it is too low all the same: a run may need a connection per user at once,
/// its other end in the embedded simulator, and some for the process itself. What it needs and has, where that is too little.
fn make_room_for_connections(scenario: &Scenario, seats: &Seats) -> Option<Demand> {
    let users = match scenario.load.connections {
        Connections::Shared => return None,
        Connections::PerUser | Connections::PerRequest => scenario.load.max_users(),
    };
    let ends = if seats.simulator > 0 { 2 } else { 1 };
    let needed = u64::from(users) * ends + 50;
    let available = descriptors::raise_limit().filter(|limit| needed > *limit)?;
    say(&format!(
        "caution: {users} users may want {needed} open files, and this process may have {available}, so some attempts may \
         break; raise `ulimit -n`, or set load.connections = \"shared\""
    ));
    // In the open model users are made as they are wanted: so many may never be.
    matches!(scenario.load.schedule, Schedule::Users(_)).then_some(Demand { needed, available })
}

/// Where the target is; starts the simulator where the scenario asks for it.
fn locate(scenario: &Scenario, seats: &Seats) -> Result<(Option<Server>, Url), Failure> {
    match &scenario.target.endpoint {
        Endpoint::Url(url) => Ok((None, url.clone())),
        Endpoint::Simulator(config) => {
            let threads = NonZeroUsize::new(seats.simulator).unwrap_or(NonZeroUsize::MIN);
            let server = sim::start(config, ([127, 0, 0, 1], 0).into(), threads)?;
            let base = Url::parse(&format!("http://{}", server.address())).expect("a socket address makes a URL");
            Ok((Some(server), base))
        }
    }
}

/// Finds out whether anybody listens and gets the tokens, before the first request; `None` when a signal comes first.
async fn reach(scenario: &Scenario, base: &Url) -> Result<Option<TokenKeeper>, Failure> {
    let tokens = async {
        http::probe(base, scenario.target.timeout).await?;
        Ok(Some(TokenKeeper::obtain(&scenario.target, base).await?))
    };
    let mut signals = Signals::new().map_err(Failure::Runtime)?;
    tokio::select! {
        tokens = tokens => tokens,
        () = signals.next() => Ok(None),
    }
}

/// A run and what went wrong beside it.
struct Watched {
    ended: Ended,
    /// What could not be written; after the first such thing no file of the run was.
    unwritten: Vec<Failure>,
}

/// Runs the job; each second goes to the run folder and to the screen. A folder that cannot be written stops the run,
/// because figures that nobody can read later are not worth the load.
async fn watch(job: Job, stop: &Stop, folder: &mut Folder, screen: &Screen) -> Result<Watched, Failure> {
    let mut unwritten = Vec::new();
    let ended = engine::run(job, stop, |second, totals| {
        if unwritten.is_empty()
            && let Err(error) = folder.second(second, totals)
        {
            screen.say(&format!("error: {error}; the run stops"));
            unwritten.push(error.into());
            stop.request();
        }
        screen.second(second, totals);
    })
    .await?;
    Ok(Watched { ended, unwritten })
}

/// The first signal stops the run and keeps its reports, the second leaves at once.
async fn stop_on_signals(stop: Stop, screen: Screen, folder: String) {
    let Ok(mut signals) = Signals::new() else { return };
    signals.next().await;
    screen.say("stopping: what is in flight finishes, then the reports are written; once more to leave at once");
    stop.request();
    signals.next().await;
    screen.say(&format!("left at once; `patchload report {folder}` rebuilds what was written"));
    std::process::exit(Exit::Interrupted.code().into());
}

/// Judges the run, closes its folder, prints the summary and tells why the process ends as it does.
fn conclude(header: Header, watched: Watched, mut folder: Folder, invalid: Invalid) -> Exit {
    let Watched { ended: Ended { totals, mut warnings, evidence, abort }, mut unwritten } = watched;
    warnings.extend(abort.map(|abort| Warning::Aborted { threshold: abort.to_string() }));
    let cuts = |warning: &Warning| {
        matches!(warning, Warning::TargetDied { .. } | Warning::Interrupted { .. } | Warning::Aborted { .. })
    };
    let is_cut = !unwritten.is_empty() || warnings.iter().any(cuts);
    let state = if is_cut { State::Interrupted } else { State::Finished };
    let run = Run { header, state, warnings, totals };
    let (verdict, reasons) = judge::verdict(&evidence);
    let judgement = Judgement { verdict, reasons, thresholds: evidence.thresholds };
    folder.judged(judgement.clone());
    if unwritten.is_empty() {
        unwritten.extend(folder.finish(&run).err().map(Failure::from));
    }
    // A reader of the summary that went away changes nothing about the run.
    let printed = put(&report::text(&run, Some(&judgement), folder.path()));
    unwritten.extend(printed.err().filter(|failure| !failure.is_closed_pipe()));
    let end = End { warnings: &run.warnings, judgement: &judgement, invalid, unwritten: &unwritten };
    let ending = Ending::new(&end);
    for line in ending.lines() {
        say(&line.text);
    }
    ending.exit()
}

/// The part of the time in which the simulator's busiest thread ran or waited for a core.
fn simulator_busy(server: &Server, before: &[Duration], elapsed_s: f64) -> Option<Share> {
    let busy = server.busy().into_iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
    Share::new((busy.max()?.as_secs_f64() / elapsed_s.max(1.0)).min(1.0))
}

fn header(scenario: &Scenario, seats: &Seats, placement: &Placement) -> Header {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Header {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: scenario.name.clone(),
        target: "main".to_owned(),
        variants: scenario.variants.iter().map(|variant| variant.name.clone()).collect(),
        seed: scenario.seed,
        started_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        planned_s: scenario.load.length().as_secs_f64(),
        host: Host {
            os: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cores: available_parallelism().map_or(1, NonZeroUsize::get),
            workers: placement.workers().get(),
            simulator_threads: seats.simulator,
        },
        scenario: scenario.source.clone(),
    }
}
