//! `patchload profile` against rate limiters that nobody here wrote.
//!
//! A few of them are profiled each time, and once more where this machine may have spoiled it: only a wrong kind or limit
//! fails at once. `LIMITER_RUNS=5` profiles all of them so often and prints a table of how it went, in which each run
//! counts; `LIMITERS=NAME,NAME` those alone.
#![cfg(feature = "external")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and one prints a table"
)]

use std::fmt::Write as _;
use std::sync::{Condvar, Mutex};
use std::thread;

use command::{Place, json, patchload, text};
use limiters::{Foreign, LIMITERS, Running, Tier};
use serde_json::Value;

mod command;
mod limiters;
mod nginx;

/// One of each family, for every time.
const FEW: [&str; 5] = ["nginx-nodelay", "haproxy-untracked", "limits-moving", "flexible", "nginx-connections"];

/// What a profile may take before it is put to the test.
const REQUESTS: u32 = 500;
const SECONDS: f64 = 60.0;

/// By how much a block may be off, as a share of it.
const BLOCK: f64 = 0.01;

/// Profiles under way at once: they wait most of the time, but what they measure is time.
const AT_ONCE: usize = 2;

/// Does some work when fewer than so many others do.
fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    static BUSY: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
    /// Lets the next one in, also where the work has panicked.
    struct Seat;
    impl Drop for Seat {
        fn drop(&mut self) {
            *BUSY.0.lock().unwrap() -= 1;
            BUSY.1.notify_one();
        }
    }
    let mut busy = BUSY.1.wait_while(BUSY.0.lock().unwrap(), |busy| *busy >= AT_ONCE).unwrap();
    *busy += 1;
    drop(busy);
    let _seat = Seat;
    work()
}

/// What a profile came to.
struct Profiled {
    limiter: Foreign,
    told: Value,
    said: String,
}

/// Starts the limiter and profiles it, with these tokens and within these bounds.
fn profile(limiter: &Foreign, tokens: &[&str], bounds: &[&str]) -> Profiled {
    let server = Running::start(limiter);
    let place = Place::new();
    let scenario = format!(
        r#"
        name = "limiter"
        [target]
        base_url = "http://127.0.0.1:{}"
        [target.auth]
        kind = "bearer"
        tokens = {tokens:?}
        [[variant]]
        name = "patch"
        path = "/things/1"
        body = '{{"ref": "probe"}}'
        expect = [200, 202]
        [load]
        stages = [{{ for = "1s", users = 1 }}]
        "#,
        server.port
    );
    let scenario = place.write("scenario.toml", &scenario);
    let results = place.results();
    let output = patchload(&[&["profile", &scenario, "--out", &results], bounds].concat()).output().unwrap();
    let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{}: {said}", limiter.name);
    Profiled { limiter: *limiter, told: json(&place.run().join("profile.json")), said }
}

/// Whether two kinds are one for a user: sliding counters differ by less than a request in a window.
fn is_like(told: &str, kind: &str) -> bool {
    const COUNTER: &str = "sliding counter";
    let options = |kind: &str| kind.split_once(", ").map(|(_, options)| options.to_owned());
    told == kind || (told.starts_with(COUNTER) && kind.starts_with(COUNTER) && options(told) == options(kind))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

impl Profiled {
    fn tiers(&self) -> &[Value] {
        self.told["tiers"].as_array().unwrap()
    }

    fn checks(&self) -> &[Value] {
        self.told["checks"].as_array().unwrap()
    }

    /// By how much a measured time is off, as a share of the true one.
    fn error(told: &Value, tier: &Tier) -> f64 {
        if tier.time > 0.0 { (number(&told["time"]["value"]) / tier.time - 1.0).abs() } else { 0.0 }
    }

    /// Each limit that was found beside the true one.
    fn pairs(&self) -> impl Iterator<Item = (&Value, &Tier)> {
        self.tiers().iter().zip(self.limiter.truth)
    }

    /// Whether as many limits were found as there are, each of its kind.
    fn is_kind_right(&self) -> bool {
        let is_each = self.pairs().all(|(told, tier)| is_like(told["words"].as_str().unwrap(), tier.kind));
        self.tiers().len() == self.limiter.truth.len() && is_each
    }

    fn is_limit_exact(&self) -> bool {
        self.is_kind_right() && self.pairs().all(|(told, tier)| told["limit"].as_u64() == Some(tier.limit.into()))
    }

    /// The time that is the farthest off, as a share of the true one.
    fn farthest(&self) -> f64 {
        let errors = self.pairs().map(|(told, tier)| Self::error(told, tier));
        // What is not a number is as far off as can be.
        errors.fold(0.0, |most, error| if error >= most || error.is_nan() { error } else { most })
    }

    /// Whether each block that there is was measured within a hundredth.
    fn are_blocks_right(&self) -> bool {
        let is_right = |told: &Value, tier: &Tier| {
            tier.block <= 0.0 || (number(&told["block_time"]["value"]) / tier.block - 1.0).abs() <= BLOCK
        };
        self.pairs().all(|(told, tier)| is_right(told, tier))
    }

    /// Requests and seconds before the last prediction was put to the test, or of all where none was.
    fn cost(&self) -> (f64, f64) {
        let part = Some(&self.told["before_test"]).filter(|part| !part.is_null()).unwrap_or(&self.told);
        (number(&part["requests"]), number(&part["seconds"]))
    }

    /// Whether it says what the limiter is, be that right or wrong.
    fn is_answer(&self) -> bool {
        self.told["verdict"] == "identified"
    }

    /// Whether it says something that is wrong, which no busy machine excuses.
    fn is_wrong(&self) -> bool {
        let is_other = ["no_limit", "shared_quota"].iter().any(|other| self.told["verdict"] == *other);
        is_other || (self.is_answer() && !self.is_limit_exact())
    }

    /// What is wrong with it; nothing where all of it is right.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // Whatever was identified has passed the test that came last.
        if !self.is_answer() {
            faults.push(format!("{} instead of identified", self.told["verdict"]));
        }
        if !self.is_kind_right() || !self.is_limit_exact() {
            faults.push(format!("{} instead of {:?}", self.identified(), self.limiter.truth));
        }
        let farthest = self.farthest();
        if farthest.is_nan() || farthest > self.limiter.within {
            faults.push(format!("a time of {} is off by {:.2} %", self.times(), farthest * 100.0));
        }
        if !self.are_blocks_right() {
            faults.push(format!("a block of {:?} instead of {:?}", self.tiers(), self.limiter.truth));
        }
        let (requests, seconds) = self.cost();
        if requests > f64::from(REQUESTS) || seconds > SECONDS {
            faults.push(format!("{requests} requests and {seconds:.0} s before the test"));
        }
        faults
    }

    /// The times or rates that were measured, with their intervals.
    fn times(&self) -> String {
        let of_tier = |told: &Value| {
            let [value, low, high] = ["value", "low", "high"].map(|key| number(&told["time"][key]));
            format!("{value:.4} [{low:.4}, {high:.4}] s")
        };
        self.tiers().iter().map(of_tier).collect::<Vec<_>>().join("; ")
    }

    fn identified(&self) -> String {
        let of_tier = |told: &Value| format!("{}, {}", told["words"].as_str().unwrap(), told["limit"]);
        self.tiers().iter().map(of_tier).collect::<Vec<_>>().join("; ")
    }

    /// What was foretold and what was admitted, of each test.
    fn kept(&self) -> String {
        let of_check = |check: &Value| format!("{}/{}", check["expected"], check["admitted"]);
        self.checks().iter().map(of_check).collect::<Vec<_>>().join(", ")
    }
}

/// A row of the table: how often all runs of a limiter were right, and the worst of them.
fn row(runs: &[&Profiled]) -> String {
    let limiter = runs[0].limiter;
    let share = |is: fn(&Profiled) -> bool| format!("{} of {}", runs.iter().filter(|run| is(run)).count(), runs.len());
    let most = |of: fn(&Profiled) -> f64| runs.iter().map(|run| of(run)).fold(0.0, f64::max);
    let is_timeless = limiter.truth.iter().all(|tier| tier.time <= 0.0);
    let error = if is_timeless { "–".to_owned() } else { format!("{:.2} %", most(Profiled::farthest) * 100.0) };
    let checks: Vec<_> = runs.iter().flat_map(|run| run.checks()).collect();
    let held = checks.iter().filter(|check| check["holds"] == true).count();
    let kind = share(|run| run.is_answer() && run.is_kind_right());
    let limit = share(Profiled::is_limit_exact);
    let (requests, seconds) = (most(|run| run.cost().0), most(|run| run.cost().1));
    let mut row = format!("| {} | {} | {kind} | {limit} | {error}", limiter.configured, runs.len());
    let _ = write!(row, " | {requests:.0} | {seconds:.0} | {held} of {} |", checks.len());
    row
}

/// The limiters that are asked for, and how often; `None` where one good profile is enough.
fn asked() -> (Vec<Foreign>, Option<usize>) {
    let runs = std::env::var("LIMITER_RUNS").ok().map(|runs| runs.parse().unwrap());
    let limiters = match std::env::var("LIMITERS") {
        Ok(names) => names.split(',').map(Foreign::named).collect(),
        Err(_) if runs.is_some() => LIMITERS.to_vec(),
        Err(_) => FEW.map(Foreign::named).to_vec(),
    };
    (limiters, runs)
}

/// Profiles a limiter, and says how that went.
fn judged(limiter: &Foreign) -> Profiled {
    let came = profile(limiter, &["one"], &["--requests", "3000", "--time", "4m"]);
    let faults = came.faults();
    let (identified, times, kept) = (came.identified(), came.times(), came.kept());
    println!("{}: {identified}, {times}; {kept}; {}", limiter.name, faults.join(", "));
    if !faults.is_empty() {
        println!("{}", came.said);
    }
    came
}

#[test]
fn limiters_of_other_people_are_identified_and_what_they_admit_is_foretold() {
    let (limiters, runs) = asked();
    let jobs: Vec<_> = limiters.iter().flat_map(|limiter| std::iter::repeat_n(limiter, runs.unwrap_or(1))).collect();
    let (next, profiles) = (Mutex::new(jobs.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(limiter) = next.lock().unwrap().next() else { return };
            let first = in_turn(|| judged(limiter));
            let is_enough = runs.is_some() || first.faults().is_empty() || first.is_wrong();
            let came = if is_enough { first } else { in_turn(|| judged(limiter)) };
            profiles.lock().unwrap().push(came);
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let profiles = profiles.into_inner().unwrap();
    println!("| Limiter | Runs | Kind right | Limit exact | Worst window | Requests | Seconds | Predictions held |");
    println!("|---|---:|---|---|---:|---:|---:|---|");
    for limiter in &limiters {
        let of_limiter: Vec<_> = profiles.iter().filter(|one| one.limiter.name == limiter.name).collect();
        println!("{}", row(&of_limiter));
    }
    let faulty = profiles.iter().filter(|one| !one.faults().is_empty());
    let faulty: Vec<_> = faulty.map(|one| (one.limiter.name, one.faults())).collect();
    assert!(faulty.is_empty(), "{faulty:#?}");
}

#[test]
fn two_tokens_have_a_quota_each_where_the_token_is_the_key() {
    let bounds = ["--requests", "3000", "--time", "4m"];
    let profiled = in_turn(|| profile(&Foreign::named("limits-fixed"), &["one", "two"], &bounds));
    assert_eq!(profiled.told["scope"][0]["shared"], "no", "{}", profiled.said);
}

#[test]
fn requests_refused_at_random_are_none_of_the_known_kinds() {
    let profiled = in_turn(|| profile(&Foreign::named("shedding"), &["one"], &["--requests", "2000", "--time", "2m"]));
    assert_eq!(profiled.told["verdict"], "unknown", "{}", profiled.said);
}

#[test]
fn a_limit_that_changes_is_not_identified() {
    let profiled = in_turn(|| profile(&Foreign::named("changing"), &["one"], &["--requests", "2000", "--time", "2m"]));
    assert_ne!(profiled.told["verdict"], "identified", "{}", profiled.said);
}

#[test]
fn where_nothing_is_refused_no_limit_is_found_up_to_the_rate_that_was_reached() {
    let profiled = in_turn(|| profile(&Foreign::named("open"), &["one"], &["--requests", "2000", "--time", "2m"]));
    assert_eq!(profiled.told["verdict"], "no_limit", "{}", profiled.said);
    assert!(number(&profiled.told["unrefused"]["per_s"]) > 50.0, "{}", profiled.said);
}
