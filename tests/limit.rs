//! The limit in real time: exact, fair and cheap, with one and with two workers.
//!
//! Tests take turns, because they measure time on a small machine.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and its counts are small"
)]

mod scripted;

use std::sync::Mutex;

use patchload::measure::Clock;
use scripted::{Measured, Sent};

static TURN: Mutex<()> = Mutex::new(());

fn run(users: u32, seconds: u64, limit: &str, workers: usize) -> Measured {
    let scenario = format!(
        r#"
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
    scripted::run(&scenario, workers)
}

/// How long this machine kept a limit of so many per second from giving permits, beyond the 20 ms that it makes up for, in
/// seconds: nothing on a quiet machine, and on a busy one more than any limit could make good.
fn stalled(sent: &[&Sent], rate: f64) -> f64 {
    let first = sent.first().map(|first| first.at.as_secs_f64());
    let gaps = sent.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at).as_secs_f64());
    // Before the first permit all users must be there.
    first.into_iter().chain(gaps).map(|gap| (gap - 1.0 / rate - 0.02).max(0.0)).sum()
}

/// Whether a limit gave its rate for so many seconds: within 0.5 %, but for what the machine took.
fn is_exact(sent: &[&Sent], rate: f64, seconds: f64) -> bool {
    let (count, expected) = (sent.len() as f64, rate * seconds);
    count <= expected * 1.005 && count >= expected * 0.995 - stalled(sent, rate) * rate
}

#[test]
fn a_limit_per_run_delivers_its_rate_and_serves_all_users_alike() {
    let _turn = TURN.lock();
    for workers in [1, 2] {
        let measured = run(1_000, 10, r#"rate = "1000/s""#, workers);
        let all: Vec<_> = measured.sent.iter().collect();
        assert!(is_exact(&all, 1_000.0, 10.0), "{} permits", all.len());
        let users = measured.by_user();
        let counts: Vec<_> = users.values().map(Vec::len).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(users.len() == 1_000 && most - least <= 1, "{} users, {least} to {most} permits", users.len());
        // In the first round, users wait from nothing to a whole round; after it, a round each.
        let waits =
            || users.values().flat_map(|sent| sent.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at)));
        let (shortest, longest) = (waits().min().unwrap(), waits().max().unwrap());
        let allowed = shortest.as_secs_f64() * 1.1 + stalled(&all, 1_000.0);
        assert!(longest.as_secs_f64() <= allowed, "{workers} workers: waits from {shortest:?} to {longest:?}");
        let counts = measured.ended.totals.all().counts;
        assert_eq!(counts.operations(), counts.due);
        assert_eq!(usize::try_from(counts.started).unwrap(), measured.sent.len());
    }
}

#[test]
fn two_keys_of_a_limit_per_token_get_the_same_although_their_users_are_1_to_99() {
    let _turn = TURN.lock();
    for workers in [1, 2] {
        let measured = run(1_000, 5, "rate = \"500/s\"\nper = \"token\"", workers);
        let (first, second): (Vec<_>, Vec<_>) = measured.sent.iter().partition(|sent| sent.user.is_multiple_of(100));
        for key in [&first, &second] {
            assert!(is_exact(key, 500.0, 5.0), "{} and {} permits", first.len(), second.len());
        }
    }
}

#[test]
fn a_limit_above_what_one_worker_paces_is_split_and_delivered_whole() {
    let _turn = TURN.lock();
    let measured = run(2_000, 3, r#"rate = "20000/s""#, 2);
    let (even, odd): (Vec<_>, Vec<_>) = measured.sent.iter().partition(|sent| sent.user.is_multiple_of(2));
    for part in [&even, &odd] {
        assert!(is_exact(part, 10_000.0, 3.0), "{} and {} permits", even.len(), odd.len());
    }
}

#[test]
fn ten_thousand_waiting_users_cost_less_than_a_tenth_of_a_core() {
    let _turn = TURN.lock();
    let measured = run(10_000, 5, r#"rate = "1000/s""#, 1);
    let sent: Vec<_> = measured.sent.iter().collect();
    assert!(is_exact(&sent, 1_000.0, 5.0), "{} permits", sent.len());
    assert!(measured.cpu_share < 0.1, "{:.3} of a core", measured.cpu_share);
    let all = measured.ended.totals.all();
    // A user whose last permit came late has no more time for another operation.
    assert!((9_900..=10_000).contains(&all.counts.unsent), "{} unsent", all.counts.unsent);
    assert_eq!(all.counts.due, all.counts.operations());
    assert!(all.distributions.all(Clock::Lag).value_at_quantile(0.5) < 5_000, "lag p50 in us");
}
