//! The profiler against limiters of every kind, in virtual time.
//!
//! `PROFILE_ZOO=20` draws so many limiters of each kind, quiet and noisy, and holds all of them against the bars.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the tally is for whoever asks"
)]

#[path = "profile/zoo.rs"]
mod zoo;

use std::time::Duration;

use patchload::profile::{Family, Hypothesis, Kind, Penalty, Plan, Profiler, Shared, Stopped, Theory, Verdict};
use statrs::distribution::{Binomial, DiscreteCDF};
use zoo::{NOISY, Network, QUIET, Server, behind, draw, kinds, needed, plan, run, watched};

/// How the profiles of one kind went.
#[derive(Debug, Default)]
struct Tally {
    right: u32,
    undecided: u32,
    wrong: u32,
    /// Of those that are right.
    limit_exact: u32,
    /// Of those that are right and have a time.
    timed: u32,
    time_close: u32,
    covered: u32,
    /// Of those of which it is known what was needed, and how many times wider intervals were than that: the sum, and at
    /// most.
    needs: u32,
    widths: f64,
    widest: f64,
    requests: usize,
}

/// Clocks of servers show milliseconds, so whoever saw the arrivals themselves would know each end of a window to one.
const CLOCK: f64 = 0.001;

impl Tally {
    fn add(&mut self, profiled: &Profiled) {
        let Profiled { truth, profiler, need } = profiled;
        let finding = profiler.finding();
        self.requests += profiler.log().observations().len();
        let best = finding.best.as_ref().map(|fit| &fit.hypothesis);
        if finding.verdict != Verdict::Identified {
            self.undecided += 1;
        } else if best.is_some_and(|best| best.is_like(&Hypothesis::single(*truth))) {
            self.right += 1;
            self.limit_exact += u32::from(best.unwrap().tiers[0].limit == truth.limit);
            if truth.kind.family == Family::Concurrency {
                return;
            }
            let time = finding.time().unwrap();
            self.timed += 1;
            self.time_close += u32::from((f64::midpoint(time.low, time.high) / truth.time - 1.0).abs() < 0.005);
            self.covered += u32::from(time.low <= truth.time && truth.time <= time.high);
            if let Some(need) = need {
                let width = (time.high - time.low) / need;
                self.needs += 1;
                self.widths += width;
                self.widest = self.widest.max(width);
            }
        } else {
            self.wrong += 1;
        }
    }
}

/// A limiter and its profile.
struct Profiled {
    truth: Theory,
    profiler: Profiler,
    /// How wide the interval of the time must be at least, in seconds; `None` where nobody looked.
    need: Option<f64>,
}

fn profile(kind: Kind, seed: u64, network: Network) -> Profiled {
    let (truth, mut server) = draw(kind, seed);
    let (profiler, arrivals) = watched(&mut server, behind(network, kind), Profiler::new(plan(kind)), seed);
    let is_window = matches!(kind.family, Family::FirstRequestWindow | Family::SlidingLog);
    let need = (is_window && profiler.finding().verdict == Verdict::Identified).then(|| {
        let (low, high) = needed(&truth, &arrivals);
        high - low + 2.0 * CLOCK
    });
    Profiled { truth, profiler, need }
}

fn tally(kinds: &[Kind], seeds: u64, network: Network) -> Tally {
    let mut all = Tally::default();
    for kind in kinds {
        let mut tally = Tally::default();
        for seed in 1..=seeds {
            let profiled = profile(*kind, seed, network);
            tally.add(&profiled);
            all.add(&profiled);
        }
        println!("{kind}: {tally:?}");
    }
    println!("all: {all:?}");
    all
}

/// Draws of each kind, and the kinds: a few of both unless all are asked for.
fn asked() -> (u64, Vec<Kind>) {
    match std::env::var("PROFILE_ZOO") {
        Ok(seeds) => (seeds.parse().unwrap(), kinds()),
        Err(_) => (1, kinds().into_iter().step_by(3).collect()),
    }
}

#[test]
fn over_a_quiet_network_kinds_are_recognised_and_never_mistaken() {
    let (seeds, kinds) = asked();
    let tally = tally(&kinds, seeds, QUIET);
    let decided = f64::from(tally.right.max(1));
    assert!(f64::from(tally.wrong) <= 0.01 * f64::from(tally.right + tally.undecided + tally.wrong), "{tally:?}");
    assert!(tally.right >= 3 * tally.undecided, "{tally:?}");
    assert!(f64::from(tally.limit_exact) >= 0.97 * decided, "{tally:?}");
    assert!(f64::from(tally.time_close) >= 0.97 * f64::from(tally.timed), "{tally:?}");
    // Intervals that cover 95 % would cover so few in less than one of a hundred tallies.
    let chance = Binomial::new(0.95, u64::from(tally.timed)).unwrap().cdf(u64::from(tally.covered));
    assert!(chance >= 0.01, "{tally:?}");
    assert!(tally.widths <= 1.15 * f64::from(tally.needs) && tally.widest <= 1.5, "{tally:?}");
}

#[test]
fn over_a_noisy_network_kinds_are_hardly_ever_mistaken() {
    let (seeds, kinds) = asked();
    let kinds = if seeds == 1 { kinds[..1].to_vec() } else { kinds };
    let tally = tally(&kinds, seeds, NOISY);
    assert!(f64::from(tally.wrong) <= 0.02 * f64::from(tally.right + tally.undecided + tally.wrong), "{tally:?}");
    // Many stay undecided: that is what an unsure answer must be.
    assert!(tally.right > 0, "{tally:?}");
}

/// Polls come one every few milliseconds where it matters, and answers take up to 50 ms: the middles of round trips would
/// be in any order.
#[test]
fn where_a_server_takes_its_time_to_answer_requests_are_known_to_arrive_when_they_are_sent() {
    let kinds = [Family::FirstRequestWindow, Family::SlidingLog, Family::TokenBucket].map(Kind::plain);
    let tally = tally(&kinds, 2, Network { answering: 0.05, ..QUIET });
    assert!(tally.wrong == 0 && tally.right >= 5, "{tally:?}");
    assert_eq!(tally.limit_exact, tally.right);
}

fn profiled(server: &mut Server, profiler: Profiler) -> Profiler {
    run(server, QUIET, profiler, 1)
}

#[test]
fn a_block_that_outlasts_its_window_and_the_window_are_measured_within_a_minute() {
    let kind = Kind { penalty: Penalty::Fixed, ..Kind::plain(Family::FirstRequestWindow) };
    let truth = Theory { kind, penalty: 5.0, ..theory(Family::FirstRequestWindow, 10, 2.0) };
    for seed in 1..=3 {
        let mut server = Server::new(&[truth.limiter()], 2_010.0);
        let profiler = run(&mut server, QUIET, Profiler::new(plan(kind)), seed);
        let finding = profiler.finding();
        assert_eq!(finding.verdict, Verdict::Identified, "{finding:?}");
        assert!(finding.best.as_ref().unwrap().hypothesis.is_like(&Hypothesis::single(truth)), "{finding:?}");
        let spent = finding.before_test.unwrap();
        assert!(spent.time < Duration::from_mins(1) && spent.requests <= 500, "{spent:?}");
        let [measured] = finding.tiers[..] else { panic!("{finding:?}") };
        assert_eq!(measured.limits, (10, 10));
        for (length, truth) in [(measured.time, truth.time), (measured.block.unwrap(), truth.penalty)] {
            assert!(length.low <= truth && truth <= length.high, "{length:?} {truth}");
            assert!(length.high - length.low < truth / 200.0, "{length:?} {truth}");
        }
    }
}

#[test]
fn requests_refused_at_random_are_none_of_the_known_kinds() {
    let mut server = Server::new(&[], 0.0);
    server.shed = 0.1;
    let plan = Plan { first_burst: 1_000, requests: 3_000, ..Plan::default() };
    let profiler = profiled(&mut server, Profiler::new(plan));
    assert_eq!(profiler.finding().verdict, Verdict::Unknown);
}

/// How well the kind is told then, is measured with more requests, and takes minutes.
#[test]
fn what_others_use_too_is_never_taken_for_a_smaller_limit() {
    let mut server = Server::shared(&theory(Family::FirstRequestWindow, 30, 3.0), 0.2, 1);
    let profiler = profiled(&mut server, Profiler::new(Plan { requests: 400, ..Plan::default() }));
    let verdict = &profiler.finding().verdict;
    let is_claimed = matches!(verdict, Verdict::Identified | Verdict::NotVerified | Verdict::Equivalent(_));
    assert!(!is_claimed, "{:?}", profiler.finding());
}

#[test]
fn refusals_at_random_by_a_server_that_answers_at_once_are_no_limit_on_requests_in_flight() {
    // Whatever is in flight together may have arrived in any order, so that nothing is a surprise for such a limit.
    let network = Network { round_trip: 0.0002, jitter: 0.0003, ..QUIET };
    for seed in 1..=4 {
        let mut server = Server::new(&[], 0.0);
        server.shed = 0.1;
        let profiler = run(&mut server, network, Profiler::new(Plan { requests: 1_000, ..Plan::default() }), seed);
        assert_ne!(profiler.finding().verdict, Verdict::Identified, "{:?}", profiler.finding().best);
    }
}

#[test]
fn without_a_limit_there_is_none_up_to_the_rate_that_was_reached() {
    let plan = Plan { first_burst: 2_000, ..Plan::default() };
    let profiler = profiled(&mut Server::new(&[], 0.0), Profiler::new(plan));
    let finding = profiler.finding();
    assert_eq!(finding.verdict, Verdict::NoLimit);
    assert_eq!(finding.unrefused.requests, 2_000);
    assert!(finding.unrefused.rate > 1_000.0, "{:?}", finding.unrefused);
}

fn theory(family: Family, limit: u32, time: f64) -> Theory {
    Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 }
}

#[test]
fn a_wrong_answer_is_not_confirmed_and_the_right_one_is() {
    use Family as F;
    let (window, log) = (theory(F::FirstRequestWindow, 30, 3.0), theory(F::SlidingLog, 30, 3.0));
    let (bucket, queue) = (theory(F::TokenBucket, 30, 0.1), theory(F::LeakyQueue, 29, 0.1));
    let cases = [
        (window, window, Verdict::Identified),
        (window, bucket, Verdict::NotConfirmed),
        (window, log, Verdict::NotConfirmed),
        (log, log, Verdict::Identified),
        (log, window, Verdict::NotConfirmed),
        (log, bucket, Verdict::NotConfirmed),
        (bucket, bucket, Verdict::Identified),
        (bucket, window, Verdict::NotConfirmed),
        (bucket, log, Verdict::NotConfirmed),
        (bucket, Theory { time: 0.103, ..bucket }, Verdict::NotConfirmed),
        (bucket, Theory { time: 0.097, ..bucket }, Verdict::NotConfirmed),
        (bucket, Theory { limit: 33, ..bucket }, Verdict::NotConfirmed),
        (queue, queue, Verdict::Identified),
    ];
    for (truth, answer, verdict) in cases {
        let mut server = Server::new(&[truth.limiter()], 0.0);
        let profiler = profiled(&mut server, Profiler::testing(Plan::default(), Hypothesis::single(answer)));
        assert_eq!(profiler.finding().verdict, verdict, "{truth:?} {answer:?} {:?}", profiler.finding().checks);
    }
}

#[test]
fn the_limit_that_is_advised_is_held_for_five_windows_without_a_refusal() {
    let cases = [
        (theory(Family::FirstRequestWindow, 30, 3.0), 28.0 / 3.0, 1, 140),
        (theory(Family::TokenBucket, 12, 0.4), 0.99 / 0.4, 10, 110),
    ];
    for (truth, rate, burst, requests) in cases {
        let profiler = profiled(&mut Server::new(&[truth.limiter()], 0.0), Profiler::new(Plan::default()));
        let finding = profiler.finding();
        let advice = finding.advice.unwrap();
        let found = advice.rate.per_second() / rate;
        assert!((0.996..1.000_001).contains(&found) && advice.burst.get() == burst, "{advice:?}");
        let proof = finding.proof.unwrap();
        // How surely the rate is known decides on the last of them.
        assert!(proof.holds() && proof.windows == 5 && proof.requests.abs_diff(requests) <= 1, "{proof:?}");
        assert!(finding.before_test.unwrap().requests < 400, "{:?}", finding.before_test);
    }
}

#[test]
fn without_requests_enough_to_prove_it_a_limit_is_advised_all_the_same() {
    let truth = theory(Family::FirstRequestWindow, 30, 3.0);
    let all = profiled(&mut Server::new(&[truth.limiter()], 0.0), Profiler::new(Plan::default()));
    let requests = all.finding().before_test.unwrap().requests + 10;
    let plan = Plan { requests, ..Plan::default() };
    let finding = profiled(&mut Server::new(&[truth.limiter()], 0.0), Profiler::new(plan)).finding().clone();
    assert_eq!((finding.verdict, finding.proof), (Verdict::NotVerified, None));
    assert_eq!(finding.advice.unwrap().rate.to_string(), "28/3s");
}

#[test]
fn two_limits_over_one_request_are_both_measured_and_the_stricter_one_gives_the_advice() {
    let tiers = vec![theory(Family::TokenBucket, 5, 0.1), theory(Family::TokenBucket, 30, 0.5)];
    let limiters: Vec<_> = tiers.iter().map(Theory::limiter).collect();
    let profiler = profiled(&mut Server::new(&limiters, 0.0), Profiler::new(Plan::default()));
    let finding = profiler.finding();
    assert_eq!(finding.verdict, Verdict::Identified, "{finding:?}");
    let found = &finding.best.as_ref().unwrap().hypothesis;
    assert!(found.is_like(&Hypothesis { tiers: tiers.clone(), lost_arrive: false }), "{found:?}");
    for (truth, (found, measured)) in tiers.iter().zip(found.tiers.iter().zip(&finding.tiers)) {
        assert_eq!(found.limit, truth.limit);
        assert!((measured.time.low..=measured.time.high).contains(&truth.time), "{measured:?}");
    }
    assert_eq!(finding.advice.unwrap().tier, 1);
    assert!(finding.proof.unwrap().holds());
}

#[test]
fn who_shares_the_quota_is_told_from_who_has_its_own() {
    for (family, limit) in [(Family::FirstRequestWindow, 30), (Family::SlidingLog, 200), (Family::TokenBucket, 12)] {
        let time = if family == Family::TokenBucket { 0.4 } else { 4.0 };
        let truth = Theory { kind: Kind::plain(family), limit, time, phase: 0.0, tick: 0.0, penalty: 0.0 };
        let mut server = Server::new(&[truth.limiter()], 0.0);
        server.groups = vec![vec![0, 1, 0, 2]];
        let profiler = profiled(&mut server, Profiler::new(Plan { others: 3, ..Plan::default() }));
        let finding = profiler.finding();
        assert_eq!(finding.verdict, Verdict::Identified, "{family:?}");
        let shared: Vec<_> = finding.scope.iter().map(|sharing| (sharing.key, sharing.shared())).collect();
        assert_eq!(shared, [(1, Shared::No), (2, Shared::Yes), (3, Shared::No)], "{:?}", finding.scope);
    }
}

#[test]
fn three_failures_in_a_row_and_a_long_retry_after_end_it() {
    let kind = Kind::plain(Family::FirstRequestWindow);
    let truth = Theory { kind, limit: 30, time: 3.0, phase: 0.0, tick: 0.0, penalty: 0.0 };
    let mut failing = Server::new(&[truth.limiter()], 0.0);
    failing.fails_from = Some(8);
    let profiler = profiled(&mut failing, Profiler::new(Plan::default()));
    assert_eq!(profiler.finding().stopped, Stopped::Failures);
    let day = Duration::from_hours(24);
    let mut waiting = Server::new(&[truth.limiter()], 0.0);
    waiting.retry_after = Some(day);
    let profiler = profiled(&mut waiting, Profiler::new(Plan::default()));
    assert_eq!(profiler.finding().stopped, Stopped::RetryAfter(day));
    assert!(profiler.log().observations().len() < 70);
}

#[test]
fn a_profile_keeps_to_its_budget_of_requests_and_time() {
    let (_, mut server) = draw(Kind::plain(Family::SlidingLog), 1);
    let profiler = profiled(&mut server, Profiler::new(Plan { requests: 100, ..Plan::default() }));
    assert_eq!(profiler.finding().stopped, Stopped::Requests);
    assert_eq!(profiler.log().observations().len(), 100);
    let (_, mut server) = draw(Kind::plain(Family::SlidingLog), 1);
    let time = Duration::from_secs(4);
    let profiler = profiled(&mut server, Profiler::new(Plan { time, ..Plan::default() }));
    assert_eq!(profiler.finding().stopped, Stopped::Time);
    assert!(profiler.log().observations().iter().all(|observation| observation.sent <= time));
}
