//! Runs a scenario: workers, users, limits, tokens, and the collection of what was measured.
//!
//! The engine owns threads and clocks. It knows no files and prints nothing: each closed second goes to the caller, who
//! decides what becomes of it. See [`run`].

mod audit;
mod budget;
mod checks;
mod clock;
mod collector;
mod cpu;
mod errand;
mod keyring;
mod lanes;
mod limiter;
mod log;
mod observed;
mod pause;
mod placement;
mod renewals;
mod retry;
mod shift;
mod snapshot;
mod source;
mod stops;
mod together;
mod tokens;
mod user;
mod viewer;
mod worker;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use url::Url;

pub use audit::{AuditError, Auditor};
pub use checks::Records;
pub use clock::{PausableClock, RunClock};
pub use keyring::Keyring;
pub use lanes::{Lane, Lanes, Permit, Turn};
pub use limiter::Limiter;
pub use placement::Placement;
pub use snapshot::{SnapshotError, SnapshotKeeper};
pub use tokens::{Pass, PutOff, TokenKeeper};

use crate::http::{ClientError, Clients, Transport};
use crate::judge::{self, Abort, Evidence, Watch};
use crate::measure::{Interval, Second, Totals, Warning};
use crate::scenario::{Load, Scenario};
use crate::units::Timer;
use budget::{Bill, Budget};
use checks::{Noted, Tracker};
use collector::Collector;
use log::{Log, Outlet, Part};
use observed::Observed;
use shift::{Doors, work};
use stops::Stops;
use tokens::{Subscription, TokenView, Told};
use worker::Worker;

/// Parts that a worker may have under way to the collector: one for the second that ends, one for a collector that is a
/// second behind. A worker that finds the channel full goes on recording and tries again.
const PARTS_UNDER_WAY: usize = 2;

/// Time for the workers to set up before the schedule starts, so that the first requests are not late.
const SET_UP: Duration = Duration::from_millis(50);

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system gave no thread or no timer.
    #[error("the system refused a worker: {0}; close other programs, or raise `ulimit -n` and `ulimit -u`")]
    System(#[from] std::io::Error),
    /// A bug of ours.
    #[error("worker {0} panicked; what was measured before is kept")]
    Panicked(usize),
}

/// What to run.
pub struct Job {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Where the target is: the scenario's URL, or the simulator's.
    pub base: Url,
    /// The tokens, already obtained.
    pub tokens: TokenKeeper,
    /// At most so many worker threads.
    pub workers: NonZeroUsize,
}

/// A switch that stops a run: what is in flight finishes, nothing starts any more.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Stops the run. Further calls change nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the run is told to stop.
    pub async fn requested(&self) {
        // The sender is this switch itself, so the channel stays open for as long as anybody waits.
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }

    /// Whether the run was told to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ended {
    /// The sum of all seconds.
    pub totals: Totals,
    /// What to know before trusting the figures.
    pub warnings: Vec<Warning>,
    /// What the verdict on the measurement is found from, as far as the engine knows it: not the simulator's part, not open
    /// files, not ports.
    pub evidence: Evidence,
    /// A threshold that stopped the run.
    pub abort: Option<Abort>,
    /// What the checks recorded, for an [`Auditor`]; `None` where the scenario has none.
    pub records: Option<Records>,
}

/// Runs a scenario over HTTP to its end, to `stop`, or until the target is given up; hands each second to `on_second` as
/// it closes.
///
/// # Errors
/// When the system refuses what a worker needs, or a worker panics. What the target does is never an error.
pub async fn run(job: Job, stop: &Stop, on_second: impl FnMut(&Second, &Totals)) -> Result<Ended, Error> {
    let clients = Clients::new(job.scenario.clone(), &job.base)?;
    let open = move |clock| {
        let clients = Rc::new(clients.for_worker(clock)?);
        Ok(move || clients.user())
    };
    run_with(job, stop, on_second, open).await
}

/// Runs a scenario as [`run`] does, over a transport of the caller's: `open` is called once on each worker's thread, and
/// what it returns once for each user there. Where the scenario has checks, it is called once more for them.
///
/// # Errors
/// As for [`run`].
pub async fn run_with<X: Transport + 'static, U: Fn() -> X + Clone + 'static>(
    job: Job,
    stop: &Stop,
    mut on_second: impl FnMut(&Second, &Totals),
    open: impl Fn(RunClock) -> Result<U, Error> + Clone + Send + 'static,
) -> Result<Ended, Error> {
    let scenario = job.scenario.clone();
    let (mut watch_thresholds, mut abort) = (Watch::new(&scenario.thresholds), None);
    let mut crew = Crew::start(job, stop, open)?;
    let mut collector = crew.collector(&scenario.load);
    let mut observed = Observed::new(&scenario, crew.threads.len());
    let mut records = Records::new(&scenario, crew.clock.start());
    let mut patience = Patience::new(&scenario);
    let mut warnings = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut stopped = stop.0.subscribe();

    loop {
        tokio::select! {
            part = crew.parts.recv() => match part {
                Some(part) => {
                    observed.add(part.worker, part.second, &part.seen);
                    let noted = crew.take(part, &mut collector);
                    if let Some(records) = &mut records {
                        records.add(noted);
                    }
                }
                None => break,
            },
            _ = tick.tick() => {}
            _ = stopped.wait_for(|stop| *stop), if !crew.stopping => {
                crew.stopping = true;
                collector.end_at(crew.clock.now());
            }
        }
        while let Some(second) = collector.close(crew.clock.now()) {
            observed.second(&second);
            collector.note_logins(crew.told.borrow().logins);
            on_second(&second, collector.totals());
            if let Some(reached) = watch_thresholds.second(&second).filter(|_| abort.is_none() && !stop.is_requested())
            {
                abort = Some(reached);
                stop.request();
            }
            if let Some(reason) = patience.ends_with(&second).filter(|_| !stop.is_requested()) {
                warnings.push(reason);
                stop.request();
            }
        }
    }
    collector.end_at(crew.clock.now());
    let Told { logins, last_error } = crew.told.borrow().clone();
    collector.note_logins(logins);
    while let Some(second) = collector.close_rest() {
        on_second(&second, collector.totals());
    }
    crew.join()?;
    let mut totals = collector.into_totals();
    if let Some(records) = &mut records {
        records.close();
        totals.checks = Some(records.judge(&scenario));
    }
    let target_refused = !warnings.is_empty();
    if logins.failed > 0 {
        warnings.insert(0, Warning::RenewalsFailed { count: logins.failed, last_error });
    }
    let was_told = !target_refused && abort.is_none() && stop.is_requested();
    warnings.extend(why_short(&scenario, &observed, &totals, was_told));
    let is_whole = !target_refused && !stop.is_requested() && !observed.is_budget_spent();
    let thresholds = judge::evaluate(&scenario.thresholds, &totals);
    let evidence = Evidence { thresholds, ..observed.evidence(&scenario, &totals, is_whole) };
    Ok(Ended { totals, warnings, evidence, abort, records })
}

/// Why a run is shorter than it was planned; `was_told` to stop by somebody.
fn why_short(scenario: &Scenario, observed: &Observed, totals: &Totals, was_told: bool) -> Vec<Warning> {
    let (elapsed_s, planned_s) = (totals.elapsed_s, scenario.load.length().as_secs_f64());
    let ran_out = scenario.shortest_unique().filter(|_| observed.out_of_rows);
    let ran_out = ran_out.map(|data| Warning::RowsRanOut { table: data.name.clone(), rows: data.rows.len() as u64 });
    let interrupted = (was_told && elapsed_s < planned_s).then_some(Warning::Interrupted { elapsed_s, planned_s });
    let budget = scenario.care.budget.filter(|_| observed.is_budget_spent());
    let spent = budget.map(|budget| Warning::BudgetSpent { budget, elapsed_s, planned_s });
    [ran_out, interrupted, spent].into_iter().flatten().collect()
}

/// What makes a run give its target up.
struct Patience {
    alive: Alive,
    give_up: Duration,
    stops: Stops,
}

impl Patience {
    fn new(scenario: &Scenario) -> Self {
        let (give_up, stops) = (scenario.target.give_up, Stops::new(scenario.care.stops));
        Self { alive: Alive::default(), give_up, stops }
    }

    /// Why the target is given up after this second; `None` while it is not.
    fn ends_with(&mut self, second: &Second) -> Option<Warning> {
        let refusal = self.stops.second(&second.interval.all_counts(), second.interval.refusals);
        let silent = self.alive.silent_for(second).filter(|after| *after >= self.give_up);
        silent.map(|after| Warning::TargetDied { after_s: after.as_secs_f64() }).or(refusal)
    }
}

/// Since when the target has answered nothing.
#[derive(Default)]
struct Alive {
    silent: Duration,
}

impl Alive {
    /// For how long every attempt broke, up to the end of this second; `None` when one did not, or none was finished in
    /// it: where little is due, a quiet second says nothing.
    fn silent_for(&mut self, second: &Second) -> Option<Duration> {
        let counts = second.interval.all_counts();
        let broken = counts.outcome(crate::measure::Outcome::Broken);
        if counts.attempts() > broken {
            self.silent = Duration::ZERO;
        } else if broken > 0 || !self.silent.is_zero() {
            self.silent += Duration::from_secs(1);
        }
        (broken > 0).then_some(self.silent)
    }
}

/// The worker threads and what connects them with the collector. Dropping it leaves the workers to end by themselves
/// when their schedule does.
struct Crew {
    parts: mpsc::Receiver<Part>,
    emptied: Vec<mpsc::Sender<Interval>>,
    threads: Vec<thread::JoinHandle<Result<(), Error>>>,
    clock: RunClock,
    variants: usize,
    stopping: bool,
    told: watch::Receiver<Told>,
    /// Renews tokens; aborted when the run ends.
    _renewal: JoinSet<()>,
}

impl Crew {
    fn start<X: Transport + 'static, U: Fn() -> X + Clone + 'static>(
        job: Job,
        stop: &Stop,
        open: impl Fn(RunClock) -> Result<U, Error> + Clone + Send + 'static,
    ) -> Result<Self, Error> {
        let Job { scenario, tokens, workers, .. } = job;
        let placement = Placement::new(&scenario, workers);
        let (tx, parts) = mpsc::channel(placement.workers().get() * PARTS_UNDER_WAY);
        let checks = checks::Shares::new(&scenario, &placement);
        let start = Instant::now() + SET_UP;
        let renewals = tokens.renewals_within(scenario.load.length());
        let attempts = scenario.attempts_in_budget().map(|attempts| attempts.saturating_sub(renewals));
        let shares = attempts.map(|attempts| placement.shares_of(&scenario, attempts));
        let variants = scenario.variants.len();
        let (mut emptied, mut threads) = (Vec::new(), Vec::new());
        for index in 0..placement.workers().get() {
            let (emptied_tx, emptied_rx) = mpsc::channel(PARTS_UNDER_WAY);
            emptied.push(emptied_tx);
            let outlet = Outlet { worker: index, parts: tx.clone(), emptied: emptied_rx };
            let bench = Bench {
                scenario: scenario.clone(),
                placement: placement.clone(),
                index,
                share: shares.as_ref().map(|shares| shares[index]),
                bill: Bill::new(tokens.told(), renewals, (index, placement.workers().get())),
                checks: checks.as_ref().map(|checks| checks.of(index)),
                start,
                outlet,
                tokens: tokens.subscribe(),
                stop: stop.0.subscribe(),
            };
            let (open, name, stop) = (open.clone(), format!("worker-{index}"), stop.clone());
            let work = move || {
                let ended = catch_unwind(AssertUnwindSafe(|| bench.work(open))).unwrap_or(Err(Error::Panicked(index)));
                // A run without some of its users is not the run that was asked for: the others stop too.
                ended.inspect_err(|_| stop.request())
            };
            threads.push(thread::Builder::new().name(name).spawn(work)?);
        }
        let told = tokens.told();
        let mut renewal = JoinSet::new();
        renewal.spawn(tokens.renew());
        let clock = RunClock::new(start);
        Ok(Self { parts, emptied, threads, clock, variants, stopping: false, told, _renewal: renewal })
    }

    fn collector(&self, load: &Load) -> Collector {
        Collector::new(self.variants, self.threads.len(), load.main, load.length())
    }

    /// Adds a part to its second and sends the emptied interval back; what the checks recorded.
    fn take(&self, mut part: Part, collector: &mut Collector) -> Noted {
        let (worker, noted) = (part.worker, std::mem::take(&mut part.noted));
        // A worker that has enough of them, or is gone, makes its own.
        let _ = self.emptied[worker].try_send(collector.add(part));
        noted
    }

    fn join(self) -> Result<(), Error> {
        for (index, thread) in self.threads.into_iter().enumerate() {
            thread.join().map_err(|_| Error::Panicked(index))??;
        }
        Ok(())
    }
}

/// What one worker thread needs to start.
struct Bench {
    scenario: Arc<Scenario>,
    placement: Placement,
    index: usize,
    /// Its share of the budget, in attempts; `None` for as many as it likes.
    share: Option<u64>,
    /// Its part in logins that are not in that.
    bill: Bill,
    /// What its checks are given, where there are any.
    checks: Option<checks::Part>,
    start: Instant,
    outlet: Outlet,
    tokens: Subscription,
    stop: watch::Receiver<bool>,
}

impl Bench {
    /// The life of a worker thread: a runtime of its own, on which everything of the worker lives.
    fn work<X: Transport + 'static, U: Fn() -> X + Clone + 'static>(
        self,
        open: impl Fn(RunClock) -> Result<U, Error>,
    ) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = LocalSet::new().block_on(&runtime, async move {
            let Self { scenario, placement, index, share, bill, checks, start, outlet, mut tokens, stop } = self;
            let clock = RunClock::new(start);
            let load = open(clock.clone())?;
            let doors = Doors { checks: if checks.is_some() { open(clock.clone())? } else { load.clone() }, load };
            let view = Rc::new(TokenView::new(&mut tokens));
            let log = Log::new(scenario.variants.len(), scenario.load.main, outlet);
            let users: Vec<u32> = placement.users_of(&scenario, index).collect();
            let mut worker = Worker::new(scenario, clock.clone(), view.clone(), log, (placement, index));
            let budget = Rc::new(Budget::new(share));
            worker.budget = budget.clone();
            worker.tracker = checks.map(Tracker::new);
            // Nothing else is to be done here yet, and this sleep is far more punctual than the runtime's.
            thread::sleep(start.saturating_duration_since(Instant::now()));
            let mut following = JoinSet::new();
            following.spawn_local(async move { view.follow(tokens).await });
            following.spawn_local(async move { bill.pay(&budget).await });
            tokio::select! {
                () = work(worker, users, doors, stop) => Ok(()),
                Err(error) = clock.drive() => Err(error.into()),
            }
        });
        // A name that is still being resolved must not hold up the end.
        runtime.shutdown_background();
        ended
    }
}
