//! The limit in real time: exact, fair and cheap, with one and with two workers.
//!
//! The transport answers at once, so that nothing but the limit and the engine is measured. Tests take turns, because
//! they measure time on a small machine.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and its counts are small"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchload::engine::{self, Ended, Job, RunClock, Stop, TokenKeeper};
use patchload::http::{Attempt, Request, Transport};
use patchload::measure::{Answer, Clock};
use patchload::scenario::{Overrides, Scenario};
use patchload::units::Timer as _;

static TURN: Mutex<()> = Mutex::new(());

/// Which user was let go, and when.
type Permits = Arc<Mutex<Vec<(u32, Duration)>>>;

/// A server that accepts everything at once and notes who came.
struct Instant {
    clock: RunClock,
    permits: Permits,
}

impl Transport for Instant {
    async fn attempt(&self, request: Request<'_>) -> Attempt {
        let now = self.clock.now();
        let user = String::from_utf8(request.rendered.body.unwrap().to_vec()).unwrap().parse().unwrap();
        self.permits.lock().unwrap().push((user, now));
        // Give way, as every real attempt does.
        tokio::task::yield_now().await;
        Attempt {
            sent: now,
            first_byte: Some(now),
            done: self.clock.now(),
            connect: None,
            answer: Answer::accepted(202),
        }
    }
}

struct Measured {
    ended: Ended,
    permits: Vec<(u32, Duration)>,
    /// CPU share of the busiest worker, mean over all seconds.
    cpu_share: f64,
}

fn run(users: u32, seconds: u64, limit: &str, workers: usize) -> Measured {
    let text = format!(
        r#"
        name = "limit"
        [target]
        base_url = "http://127.0.0.1:1"
        [target.auth]
        kind = "bearer"
        tokens = ["a", "b"]
        weights = [1, 99]
        [[variant]]
        name = "user"
        path = "/"
        headers = {{ content-type = "text/plain" }}
        body = "{{{{ user }}}}"
        expect = [202]
        [load]
        stages = [{{ for = "{seconds}s", users = {users} }}]
        spread = "0s"
        [limit]
        {limit}
        "#
    );
    let scenario = Scenario::parse(Path::new("limit.toml"), text.as_bytes(), &|_| None, &Overrides::default()).unwrap();
    let scenario = Arc::new(scenario);
    let permits = Permits::default();
    let log = permits.clone();
    let open = move |clock: RunClock| {
        let permits = log.clone();
        Ok(move || Instant { clock: clock.clone(), permits: permits.clone() })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut shares = Vec::new();
    let ended = runtime.block_on(async {
        let base = "http://127.0.0.1:1".parse().unwrap();
        let tokens = TokenKeeper::obtain(&scenario.target, &base).await.unwrap();
        let job = Job { scenario, base, tokens, workers: NonZeroUsize::new(workers).unwrap() };
        engine::run_with(job, &Stop::default(), |second, _| shares.push(second.cpu_share), open).await.unwrap()
    });
    shares.truncate(usize::try_from(seconds).unwrap());
    let cpu_share = shares.iter().sum::<f64>() / shares.len() as f64;
    let permits = std::mem::take(&mut *permits.lock().unwrap());
    Measured { ended, permits, cpu_share }
}

fn by_user(permits: &[(u32, Duration)]) -> BTreeMap<u32, Vec<Duration>> {
    let mut users: BTreeMap<u32, Vec<Duration>> = BTreeMap::new();
    for (user, at) in permits {
        users.entry(*user).or_default().push(*at);
    }
    users
}

fn off_by(count: usize, expected: f64) -> f64 {
    (count as f64 - expected).abs() / expected
}

#[test]
fn a_limit_per_run_delivers_its_rate_and_serves_all_users_alike() {
    let _turn = TURN.lock();
    for workers in [1, 2] {
        let measured = run(1_000, 10, r#"rate = "1000/s""#, workers);
        assert!(off_by(measured.permits.len(), 10_000.0) <= 0.005, "{} permits", measured.permits.len());
        let users = by_user(&measured.permits);
        let counts: Vec<_> = users.values().map(Vec::len).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(users.len() == 1_000 && most - least <= 1, "{} users, {least} to {most} permits", users.len());
        // In the first round, users wait from nothing to a whole round; after it, a round each.
        let waits = || users.values().flat_map(|at| at.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
        let (shortest, longest) = (waits().min().unwrap(), waits().max().unwrap());
        assert!(longest <= shortest.mul_f64(1.1), "{workers} workers: waits from {shortest:?} to {longest:?}");
        let counts = measured.ended.totals.all().counts;
        assert_eq!(counts.operations(), counts.due);
        assert_eq!(usize::try_from(counts.started).unwrap(), measured.permits.len());
    }
}

#[test]
fn two_keys_of_a_limit_per_token_get_the_same_although_their_users_are_1_to_99() {
    let _turn = TURN.lock();
    for workers in [1, 2] {
        let measured = run(1_000, 5, "rate = \"500/s\"\nper = \"token\"", workers);
        let first = measured.permits.iter().filter(|(user, _)| user.is_multiple_of(100)).count();
        let second = measured.permits.len() - first;
        assert!(off_by(first, 2_500.0) <= 0.005 && off_by(second, 2_500.0) <= 0.005, "{first} and {second} permits");
    }
}

#[test]
fn ten_thousand_waiting_users_cost_less_than_a_tenth_of_a_core() {
    let _turn = TURN.lock();
    let measured = run(10_000, 5, r#"rate = "1000/s""#, 1);
    assert!(off_by(measured.permits.len(), 5_000.0) <= 0.005, "{} permits", measured.permits.len());
    assert!(measured.cpu_share < 0.1, "{:.3} of a core", measured.cpu_share);
    let all = measured.ended.totals.all();
    assert_eq!(all.counts.unsent, 10_000);
    assert!(all.distributions.all(Clock::Lag).value_at_quantile(0.5) < 5_000, "lag p50 in us");
}
