//! One run after the other of one scenario: each with a simulator, connections and logins of its own.

use std::convert::Infallible;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{self, Runtime};
use url::Url;

use super::arguments::RunArguments;
use super::descriptors;
use super::ending::{End, Ending, Invalid};
use super::exit::{Exit, Failure};
use super::hours::{self, Closing};
use super::ports::Ports;
use super::restore::{self, Guard};
use super::say;
use super::screen::Screen;
use super::seats::Seats;
use super::signals::Signals;
use crate::engine::{self, Auditor, Ended, Job, Placement, Records, Stop, TokenKeeper};
use crate::http;
use crate::judge::{self, Demand, Judgement};
use crate::measure::{Header, Host, Restoration, Run, SCHEMA, State, Warning};
use crate::report;
use crate::results::{self, Folder, Origin};
use crate::scenario::{Connections, Endpoint, Scenario, Schedule, Verification};
use crate::sim::{self, Server};
use crate::units::Share;
use crate::units::format::count;

/// The file of the run folder with what the embedded simulator did.
pub(super) const TRUTH: &str = "truth.jsonl";

/// What all runs of a command have in common.
pub(super) struct Session {
    scenario: Arc<Scenario>,
    seats: Seats,
    placement: Placement,
    /// Where attributes that are put back belong.
    origin: Origin,
    /// Open files, where a run needs more than there are.
    descriptors: Option<Demand>,
    ports: Option<Ports>,
    truth: bool,
    quiet: bool,
    runtime: Runtime,
    /// Held from the first run to the last one, so that a signal between two of them is not lost.
    signals: Signals,
}

/// A run whose folder is closed.
pub(super) struct Closed {
    pub(super) run: Run,
    pub(super) judgement: Judgement,
    /// What became of the attributes; `None` where none were to be put back.
    pub(super) restoration: Option<Restoration>,
    /// The run folder.
    pub(super) path: PathBuf,
    /// What could not be written.
    pub(super) unwritten: Vec<Failure>,
}

impl Closed {
    /// What is left to say of the run, and its exit code.
    pub(super) fn ending(&self, invalid: Invalid) -> Ending {
        let Self { run, judgement, unwritten, .. } = self;
        Ending::new(&End { warnings: &run.warnings, judgement, invalid, unwritten })
    }
}

impl Session {
    /// Makes this process ready for runs of the scenario, and says what may not suffice.
    pub(super) fn new(scenario: Arc<Scenario>, seats: Seats, arguments: &RunArguments) -> Result<Self, Failure> {
        let placement = Placement::new(&scenario, seats.workers);
        let descriptors = make_room_for_connections(&scenario, &seats);
        let ports = Ports::of(&scenario);
        if let Some(caution) = hours::caution(&scenario) {
            say(&format!("caution: {caution}"));
        }
        if let Some(caution) = ports.and_then(|ports| ports.caution(&scenario)) {
            say(&format!("caution: {caution}"));
        }
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
        let signals = runtime.block_on(async { Signals::new() }).map_err(Failure::Runtime)?;
        let (truth, quiet) = (arguments.truth, arguments.quiet);
        let file = std::path::absolute(&arguments.scenario.scenario);
        let target = match &scenario.target.endpoint {
            Endpoint::Url(url) => Some(url.to_string()),
            Endpoint::Simulator(_) => None,
        };
        let origin = Origin::new(file.unwrap_or_else(|_| arguments.scenario.scenario.clone()), target);
        Ok(Self { scenario, seats, placement, origin, descriptors, ports, truth, quiet, runtime, signals })
    }

    /// Runs the scenario, with its reports in the folder that `open` makes when the target has been reached; `None` when a
    /// signal came before that.
    pub(super) fn run(
        &mut self,
        open: impl FnOnce(&Header) -> Result<Folder, results::Error>,
    ) -> Result<Option<Closed>, Failure> {
        if let Some(window) = self.scenario.care.window
            && self.runtime.block_on(hours::wait(window, &mut self.signals))? == Paused::Stopped
        {
            return Ok(None);
        }
        let (server, base) = locate(&self.scenario, &self.seats)?;
        let reached = self.runtime.block_on(reach(&self.scenario, &base, &mut self.signals))?;
        let Some(Reached { tokens, guard, auditor }) = reached else { return Ok(None) };
        let header = header(&self.scenario, &self.seats, &self.placement);
        let mut folder = open(&header)?;
        if let Some(guard) = &guard {
            folder.keep(&self.origin, guard.kept())?;
        }
        let busy_before = server.as_ref().map(Server::busy).unwrap_or_default();
        let job = Job { scenario: self.scenario.clone(), base, tokens, workers: self.seats.workers };
        let mut watched = self.watch(job, &mut folder);
        if let (Ok(watched), Some(auditor)) = (&mut watched, auditor) {
            self.runtime.block_on(audit(auditor, &mut watched.ended, &mut self.signals));
        }
        // Also what a run that failed has changed is put back.
        let restoration = guard.map(|guard| self.runtime.block_on(guard.put_back(&mut self.signals)));
        let mut watched = match (watched, &restoration) {
            (Ok(watched), _) => watched,
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(restoration)) => return Err(tell_of(restoration, folder, failure)),
        };
        watched.ended.warnings.extend(restoration.as_ref().and_then(Restoration::warning));
        if self.origin.target.is_some() && restoration.as_ref().is_some_and(|told| told.not_restored > 0) {
            say(&format!("`patchload restore {}` tries again", folder.path().display()));
        }
        let Ended { totals, evidence, warnings, .. } = &mut watched.ended;
        let elapsed_s = totals.elapsed_s;
        if self.scenario.target.connection.tls.verification == Verification::None {
            warnings.insert(0, Warning::CertificatesNotChecked);
        }
        evidence.simulator_busy = server.as_ref().and_then(|server| simulator_busy(server, &busy_before, elapsed_s));
        evidence.descriptors = self.descriptors;
        evidence.ports = self.ports.and_then(|ports| ports.shortage_seen(&self.scenario.load, totals));
        if let Some(server) = server.as_ref().filter(|_| self.truth && watched.unwritten.is_empty()) {
            watched.unwritten.extend(folder.attach(TRUTH, |out| server.write_truth(out)).err().map(Failure::from));
        }
        if let Some(records) = watched.ended.records.take().filter(|_| watched.unwritten.is_empty())
            && self.scenario.checks.as_ref().is_some_and(|checks| checks.history)
        {
            let lines = |out: &mut dyn Write| records.lines().try_for_each(|line| writeln!(out, "{line}"));
            watched.unwritten.extend(folder.attach(results::HISTORY, lines).err().map(Failure::from));
        }
        if let Some(restoration) = &restoration {
            folder.restored(restoration.clone());
        }
        Ok(Some(Closed { restoration, ..close(header, watched, folder) }))
    }

    /// Waits for so long, or for a signal. One that came when the run before was as good as over counts, too: it changed
    /// nothing about that run, and whoever sent it wants no other.
    pub(super) fn pause(&mut self, pause: Duration) -> Paused {
        if self.signals.has_come() {
            return Paused::Stopped;
        }
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.signals.next() => Paused::Stopped,
                () = tokio::time::sleep(pause) => Paused::Over,
            }
        })
    }

    /// Lets the engine work under the eyes of the person before the screen, who may stop it.
    fn watch(&mut self, job: Job, folder: &mut Folder) -> Result<Watched, Failure> {
        let (stop, path) = (Stop::default(), folder.path().to_owned());
        let screen = Screen::new(&self.scenario, self.quiet);
        let later = self.scenario.snapshot.as_ref().map(|_| restore::hint(&path));
        let closing = Closing::new(&self.scenario);
        let mut watched = self.runtime.block_on(async {
            tokio::select! {
                watched = watch(job, &stop, folder, &screen) => watched,
                never = stop_on_signals(&mut self.signals, &stop, &screen, (&path, later)) => match never {},
                never = closing.stop(&stop) => match never {},
            }
        });
        if let Ok(watched) = &mut watched {
            closing.explain(&mut watched.ended.warnings);
        }
        watched
    }
}

/// How a pause ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    /// It was as long as it was to be.
    Over,
    /// A signal came.
    Stopped,
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
pub(super) fn locate(scenario: &Scenario, seats: &Seats) -> Result<(Option<Server>, Url), Failure> {
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

/// What there is once the target was reached.
struct Reached {
    tokens: TokenKeeper,
    /// What is to be put back.
    guard: Option<Guard>,
    /// What will be compared with what was acknowledged.
    auditor: Option<Auditor>,
}

/// Finds out whether anybody listens and gets the tokens, before the first request; `None` when a signal comes first.
/// What is to be put back or compared is read meanwhile, too.
async fn reach(scenario: &Arc<Scenario>, base: &Url, signals: &mut Signals) -> Result<Option<Reached>, Failure> {
    let tokens = async {
        http::probe(&scenario.target, base).await?;
        let mut tokens = TokenKeeper::obtain(&scenario.target, base, |put_off| say(&put_off.to_string())).await?;
        let guard = Guard::take(scenario, base, &tokens).await?;
        let mut auditor = Auditor::new(scenario, base, &tokens).map_err(engine::Error::from)?;
        if let Some(auditor) = &mut auditor {
            say(&format!("reading {} resources before the run", count(scenario.audited())));
            auditor.before().await?;
        }
        tokens.renew_overdue().await;
        Ok(Some(Reached { tokens, guard, auditor }))
    };
    tokio::select! {
        tokens = tokens => tokens,
        () = signals.next() => Ok(None),
    }
}

/// Compares what is there after the run with what was acknowledged, unless a signal comes.
async fn audit(mut auditor: Auditor, ended: &mut Ended, signals: &mut Signals) {
    let rows = ended.records.as_ref().map_or(0, Records::rows);
    say("reading what the run has written, to compare it with what was acknowledged; Ctrl-C to leave that out");
    tokio::select! {
        () = auditor.after(ended) => return,
        () = signals.next() => {}
    }
    ended.warnings.push(Warning::AuditIncomplete { rows, of: rows, first: "left out by a signal".to_owned() });
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
/// Where attributes are to be put back, `later` says how.
async fn stop_on_signals(
    signals: &mut Signals,
    stop: &Stop,
    screen: &Screen,
    (folder, later): (&Path, Option<String>),
) -> Infallible {
    signals.next().await;
    screen.say("stopping: what is in flight finishes, then the reports are written; once more to leave at once");
    stop.request();
    signals.next().await;
    let folder = folder.display();
    screen.say(&format!("left at once; `patchload report {folder}` rebuilds what was written"));
    if let Some(later) = later {
        screen.say(&later);
    }
    std::process::exit(Exit::Interrupted.code().into());
}

/// What became of the attributes after a run that failed, and so has no reports, is told all the same; returns the failure.
fn tell_of(restoration: &Restoration, folder: Folder, failure: Failure) -> Failure {
    let path = folder.path().to_owned();
    // The folder's own lock would be in the way.
    drop(folder);
    say(report::restoration(restoration, Some(&path)).trim_end());
    if let Err(error) = results::note_restoration(&path, restoration) {
        say(&format!("error: {error}"));
    }
    failure
}

/// Judges the run and closes its folder.
fn close(header: Header, watched: Watched, mut folder: Folder) -> Closed {
    let Watched { ended: Ended { totals, mut warnings, evidence, abort, .. }, mut unwritten } = watched;
    warnings.extend(abort.map(|abort| Warning::Aborted { threshold: abort.to_string() }));
    let is_cut = !unwritten.is_empty() || warnings.iter().any(Warning::cuts_the_run);
    let state = if is_cut { State::Interrupted } else { State::Finished };
    let run = Run { header, state, warnings, totals };
    let (verdict, reasons) = judge::verdict(&evidence);
    let judgement = Judgement { verdict, reasons, thresholds: evidence.thresholds };
    folder.judged(judgement.clone());
    if unwritten.is_empty() {
        unwritten.extend(folder.finish(&run).err().map(Failure::from));
    }
    Closed { run, judgement, restoration: None, path: folder.path().to_owned(), unwritten }
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
