//! `patchload profile`: from a scenario to what the server's rate limiter is.

mod costs;
mod progress;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{self, Runtime};
use url::Url;

use super::arguments::ProfileArguments;
use super::exit::{Exit, Failure};
use super::hours::{self, Closing};
use super::run::load;
use super::seats::Seats;
use super::session::{Paused, locate};
use super::signals::Signals;
use super::{descriptors, put, say};
use crate::engine::{Stop, TokenKeeper};
use crate::http;
use crate::profile::{self, Claim, Claims, End, Job, Key, Plan, Profile, Profiled, Profiler, Sender, Stopped};
use crate::report;
use crate::results::ProfileFolder;
use crate::scenario::{Caution, Endpoint, Scenario, TokenPool, curl_of, curl_read};
use costs::Costs;
use progress::Progress;

/// The target's name in every report, as in those of runs.
const TARGET: &str = "main";

/// What all parts of the command have in common.
struct Session<'a> {
    arguments: &'a ProfileArguments,
    scenario: Arc<Scenario>,
    senders: Vec<Sender>,
    costs: Costs,
    runtime: Runtime,
    /// Held from before the first request to the end, so that no signal is lost.
    signals: Signals,
}

/// Profiles the rate limiter of a scenario's target, writes what was seen and prints what it is.
pub(super) fn profile(arguments: &ProfileArguments) -> Result<Exit, Failure> {
    let mut scenario = load(&arguments.scenario)?;
    let senders = profile::offered(&scenario, variant(&scenario, arguments)?).map_err(profile::Error::from)?;
    // Who needs two tokens does not log in ten times.
    let tokens = u32::try_from(profile::tokens_of(&senders)).ok().and_then(NonZeroU32::new);
    scenario.target.tokens = TokenPool::even(tokens.unwrap_or(NonZeroU32::MIN));
    let costs = Costs::new(&scenario, arguments, &senders, descriptors::raise_limit());
    if let Some(path) = arguments.write_limit.as_ref().filter(|path| path.exists()) {
        return Err(Failure::LimitThere(path.clone()));
    }
    if arguments.dry_run {
        return dry_run(&scenario, arguments, (&costs, &senders));
    }
    if !arguments.quiet {
        say(&costs.text(&scenario, &senders));
        for caution in cautions(&scenario) {
            say(&format!("caution: {caution}"));
        }
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    let signals = runtime.block_on(async { Signals::new() }).map_err(Failure::Runtime)?;
    Session { arguments, scenario: Arc::new(scenario), senders, costs, runtime, signals }.run()
}

/// The index of the variant that the arguments name, or of the first.
fn variant(scenario: &Scenario, arguments: &ProfileArguments) -> Result<usize, Failure> {
    let Some(name) = &arguments.variant else { return Ok(0) };
    let place = scenario.variants.iter().position(|variant| variant.name == *name);
    place.ok_or_else(|| {
        let known = scenario.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
        Failure::NoVariant { name: name.clone(), known }
    })
}

/// Says all that a profile would do, and does nothing of it.
fn dry_run(
    scenario: &Scenario,
    arguments: &ProfileArguments,
    (costs, senders): (&Costs, &[Sender]),
) -> Result<Exit, Failure> {
    let mut text = format!("{}\n", costs.text(scenario, senders));
    for sender in senders {
        let request = match sender.sends {
            profile::Sends::Write => curl_of(scenario, &sender.operation, None),
            profile::Sends::Read => curl_read(scenario).unwrap_or_default(),
        };
        let _ = write!(text, "\n# {}\n{request}\n", sender.label());
    }
    let folder = arguments.out.join(format!("{}-profile-UTCTIME", scenario.name));
    let files = format!("{} {}", profile::JSON, profile::CSV);
    let _ = write!(text, "\nwould write  {}: {files}\nsent         nothing\n", folder.display());
    put(&text)?;
    for caution in cautions(scenario) {
        say(&format!("caution: {caution}"));
    }
    Ok(Exit::Done)
}

/// What may do harm, of what has to do with single requests: a profile has no schedule, no checks and no retries.
fn cautions(scenario: &Scenario) -> impl Iterator<Item = Caution> {
    let is_of_requests = |caution: &Caution| matches!(caution, Caution::ChangesParticipant { .. } | Caution::Insecure);
    scenario.cautions().into_iter().filter(is_of_requests)
}

impl Session<'_> {
    fn run(mut self) -> Result<Exit, Failure> {
        let nothing = || {
            say("stopped before the first request; nothing was measured");
            Ok(Exit::Interrupted)
        };
        if let Some(window) = self.scenario.care.window
            && self.runtime.block_on(hours::wait(window, &mut self.signals))? == Paused::Stopped
        {
            return nothing();
        }
        let seats = Seats::new(&self.scenario, Some(NonZeroUsize::MIN));
        let (_server, base) = locate(&self.scenario, &seats)?;
        let reached = self.runtime.block_on(reach(&self.scenario, &base, &mut self.signals))?;
        let Some(tokens) = reached else { return nothing() };
        let started_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let folder = ProfileFolder::create(&self.arguments.out, &self.scenario.name, started_unix_s)?;
        let plan = self.costs.plan_with(tokens.renewals_within(self.arguments.time));
        let head = Head::new(&self.scenario, &self.senders, (started_unix_s, plan));
        let scenario = self.scenario.clone();
        let job = Job { scenario, base, tokens, senders: self.senders.clone(), plan };
        let (profiled, unwritten) = self.watch(job, &head, &folder)?;
        conclude(self.arguments, (&head, &profiled), &folder, unwritten)
    }

    /// Lets the profile go on under the eyes of the person before the screen, who may stop it. Its files are written whenever
    /// all that is known was weighed anew; what could not be written stops it, and is told beside what came of it.
    fn watch(&mut self, job: Job, head: &Head, folder: &ProfileFolder) -> Result<(Profiled, Option<Failure>), Failure> {
        let stop = Stop::default();
        let progress = Progress::new(&job.plan, self.arguments.quiet);
        let closing = Closing::new(&self.scenario);
        let mut unwritten = None;
        let on_step = |step: &profile::Step<'_>| {
            progress.step(step);
            if step.has_thought && unwritten.is_none() {
                let so_far = head.profile(step.profiler, (step.claims, &[]), (step.requests, step.now));
                unwritten = write(folder, &so_far).err();
                if let Some(failure) = &unwritten {
                    progress.say(&format!("error: {failure}; the profile stops"));
                    stop.request();
                }
            }
        };
        let profiled = self.runtime.block_on(async {
            tokio::select! {
                profiled = profile::run(job, &stop, on_step) => profiled,
                never = stop_on_signals(&mut self.signals, &stop, &progress) => match never {},
                never = closing.stop(&stop) => match never {},
            }
        })?;
        if let Some(hours) = closing.has_come() {
            progress.say(&format!("the allowed hours {hours} ended, so the profile was stopped"));
        }
        Ok((profiled, unwritten))
    }
}

/// What is known of a profile before its first request.
struct Head {
    name: String,
    place: String,
    started_unix_s: f64,
    keys: Vec<Key>,
    plan: Plan,
}

impl Head {
    fn new(scenario: &Scenario, senders: &[Sender], (started_unix_s, plan): (f64, Plan)) -> Self {
        let place = match &scenario.target.endpoint {
            Endpoint::Simulator(_) => "the embedded simulator".to_owned(),
            Endpoint::Url(url) => url.to_string(),
        };
        let keys = senders.iter().map(|sender| Key { label: sender.label(), differs: sender.differs.clone() });
        Self { name: scenario.name.clone(), place, started_unix_s, keys: keys.collect(), plan }
    }

    /// What a profile comes to, as far as it got: with what the server said and declared, so many requests, and so long.
    fn profile(
        &self,
        profiler: &Profiler,
        (claims, declared): (&Claims, &[Claim]),
        (requests, elapsed): (u32, Duration),
    ) -> Profile {
        let Self { name, place, started_unix_s, keys, plan } = self;
        let (finding, log) = (profiler.finding().clone(), profiler.log().clone());
        let mut claims = claims.compare(&finding, &log);
        claims.extend(profile::held_against(declared.to_vec(), &finding, &log));
        Profile {
            name: name.clone(),
            target: TARGET.to_owned(),
            place: place.clone(),
            started_unix_s: *started_unix_s,
            keys: keys.clone(),
            plan: *plan,
            claims,
            end: if finding.stopped == Stopped::Interrupted { End::Interrupted } else { End::Finished },
            finding,
            fits: profiler.fits().to_vec(),
            log,
            elapsed,
            requests,
        }
    }
}

/// Writes and prints what it came to.
fn conclude(
    arguments: &ProfileArguments,
    (head, profiled): (&Head, &Profiled),
    folder: &ProfileFolder,
    mut unwritten: Option<Failure>,
) -> Result<Exit, Failure> {
    let Profiled { profiler, claims, declared, trouble, requests, elapsed } = profiled;
    let answer = head.profile(profiler, (claims, declared), (*requests, *elapsed));
    if unwritten.is_none() {
        unwritten = write(folder, &answer).err();
    }
    let files = format!("\nfiles        {}\n", folder.path().display());
    let printed = put(&format!("{}{files}", report::profile(&answer)));
    let advice = arguments.write_limit.as_ref().map(|path| write_limit(path, report::limit(&answer)));
    if let Some(failure) = unwritten {
        return Err(failure);
    }
    printed.or_else(|failure| if failure.is_closed_pipe() { Ok(()) } else { Err(failure) })?;
    advice.unwrap_or(Ok(()))?;
    if let Some(trouble) = trouble {
        return Err(Failure::Trouble(trouble.clone()));
    }
    Ok(match profiler.finding().stopped {
        Stopped::Interrupted => {
            say("stopped before the end; what was known by then is above");
            Exit::Interrupted
        }
        _ => Exit::Done,
    })
}

fn write(folder: &ProfileFolder, so_far: &Profile) -> Result<(), Failure> {
    folder.write(profile::CSV, &profile::csv(so_far))?;
    Ok(folder.write(profile::JSON, &profile::json(so_far))?)
}

/// Writes the recommended limit into a file that must not be there.
fn write_limit(path: &Path, limit: Option<String>) -> Result<(), Failure> {
    use std::io::Write as _;
    let Some(limit) = limit else {
        say(&format!("no limit is known well enough to recommend one; {} was not written", path.display()));
        return Ok(());
    };
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(limit.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::LimitThere(path.to_owned()),
        _ => Failure::Limit { path: path.to_owned(), error },
    })
}

/// Finds out whether anybody listens and gets the tokens; `None` when a signal comes first.
async fn reach(scenario: &Scenario, base: &Url, signals: &mut Signals) -> Result<Option<TokenKeeper>, Failure> {
    let tokens = async {
        http::probe(&scenario.target, base).await?;
        let mut tokens = TokenKeeper::obtain(&scenario.target, base, |put_off| say(&put_off.to_string())).await?;
        tokens.renew_overdue().await;
        Ok(Some(tokens))
    };
    tokio::select! {
        tokens = tokens => tokens,
        () = signals.next() => Ok(None),
    }
}

/// The first signal ends the profile and keeps what is known, the second leaves at once.
async fn stop_on_signals(signals: &mut Signals, stop: &Stop, progress: &Progress) -> Infallible {
    signals.next().await;
    progress.say("stopping: nothing more is sent, and what is known is written; once more to leave at once");
    stop.request();
    signals.next().await;
    progress.say("left at once");
    std::process::exit(Exit::Interrupted.code().into());
}
