//! Runs a scenario over a transport that accepts everything at once and notes what came: nothing but the engine is left.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    dead_code,
    reason = "a module of several tests, which fail by panicking"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchload::engine::{self, Ended, Job, RunClock, Stop, TokenKeeper};
use patchload::http::{Ask, Asked, Attempt, Request, Transport};
use patchload::measure::Answer;
use patchload::scenario::{Overrides, Scenario};
use patchload::units::Timer as _;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The user, which the body starts with.
    pub user: u32,
    /// When it came, since the start of the run.
    pub at: Duration,
    /// Index of its variant.
    pub variant: usize,
    /// Path and body.
    pub text: String,
}

/// What came of a run.
pub struct Measured {
    pub ended: Ended,
    pub sent: Vec<Sent>,
    /// CPU share of the busiest worker, mean over the seconds of the schedule.
    pub cpu_share: f64,
}

impl Measured {
    /// What each user sent, in its order.
    pub fn by_user(&self) -> BTreeMap<u32, Vec<&Sent>> {
        let mut users: BTreeMap<u32, Vec<&Sent>> = BTreeMap::new();
        for sent in &self.sent {
            users.entry(sent.user).or_default().push(sent);
        }
        users
    }
}

struct Accepting {
    clock: RunClock,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Transport for Accepting {
    async fn attempt(&self, request: Request<'_>) -> Attempt {
        let at = self.clock.now();
        let body = String::from_utf8(request.rendered.body.unwrap().to_vec()).unwrap();
        let user = body.split(' ').next().unwrap().parse().unwrap();
        let text = format!("{} {body}", request.rendered.path);
        self.sent.lock().unwrap().push(Sent { user, at, variant: request.variant, text });
        // Give way, as every real attempt does.
        tokio::task::yield_now().await;
        Attempt { sent: at, first_byte: Some(at), done: self.clock.now(), connect: None, answer: Answer::accepted(202) }
    }

    async fn ask(&self, _: Ask<'_>) -> Asked {
        unreachable!("no scenario here has checks")
    }
}

/// Runs a scenario, given as TOML without its target, on so many workers; two tokens, 1 of 100 users has the first.
pub fn run(scenario: &str, workers: usize) -> Measured {
    let target = r#"
        name = "scripted"
        [target]
        base_url = "http://127.0.0.1:1"
        [target.auth]
        kind = "bearer"
        tokens = ["a", "b"]
        weights = [1, 99]
    "#;
    let text = format!("{target}{scenario}");
    let scenario = Scenario::parse(Path::new("scripted.toml"), text.as_bytes(), &|_| None, &Overrides::default());
    let scenario = Arc::new(scenario.unwrap());
    let seconds = scenario.load.length().as_secs();
    let log = Arc::new(Mutex::new(Vec::new()));
    let sent = log.clone();
    let open = move |clock: RunClock| {
        let sent = log.clone();
        Ok(move || Accepting { clock: clock.clone(), sent: sent.clone() })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut shares = Vec::new();
    let ended = runtime.block_on(async {
        let base = "http://127.0.0.1:1".parse().unwrap();
        let tokens = TokenKeeper::obtain(&scenario.target, &base, |_| ()).await.unwrap();
        let job = Job { scenario, base, tokens, workers: NonZeroUsize::new(workers).unwrap() };
        let note = |second: &patchload::measure::Second, _: &_| shares.push(second.cpu_share);
        engine::run_with(job, &Stop::default(), note, open).await.unwrap()
    });
    shares.truncate(usize::try_from(seconds).unwrap());
    let cpu_share = shares.iter().sum::<f64>() / f64::from(u32::try_from(shares.len()).unwrap());
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    Measured { ended, sent, cpu_share }
}
