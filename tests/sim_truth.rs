//! The truth: the same for the same seed, bounded, and served without being in the way.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use patchload::scenario::{Faults, Participant, SilentDrop, Simulator, Timed, population};
use patchload::sim::Server;
use serde_json::Value;
use wire::{Connection, EMPTY, plain, share, start, truth, write_path};

mod wire;

/// All faults that are drawn, each for one request in twenty or five, with times that are over soon.
fn all_faults() -> Faults {
    let timed = |ms| Timed { draw: share(0.05), time: Duration::from_millis(ms) };
    Faults {
        reset: share(0.05),
        cut: share(0.05),
        stall: None,
        drop: SilentDrop { draw: share(0.05), status: Some(204) },
        revert: timed(1),
        lost_update: share(0.05),
        applied_500: share(0.05),
        applied_timeout: timed(2),
        stale_read: share(0.2),
        duplicate: share(0.2),
        slow_body: timed(2),
        html_503: share(0.05),
        empty_503: share(0.02),
        json_503: share(0.02),
        conflict_409: share(0.02),
        wrong_length: share(0.05),
        early_expiry: timed(1),
    }
}

/// The requests of a run, each a method, a path and a body; some are wrong, and some repeat others.
fn requests(config: &Simulator) -> Vec<(&'static str, String, String)> {
    let participants: Vec<Participant> = population(config).take(4).collect();
    let request = |i: usize| {
        let participant = &participants[i % participants.len()];
        let path = write_path(participant);
        match i % 7 {
            0 => ("GET", format!("/api/v2/conversations/{}", participant.conversation_id), String::new()),
            1 => ("PATCH", path, "{".to_owned()),
            2 => ("PATCH", path.replace("/attributes", ""), r#"{"muted": true}"#.to_owned()),
            3 => ("PATCH", path.replace("conversations/", "conversations/calls/"), EMPTY.to_owned()),
            4 => ("GET", "/nothing".to_owned(), String::new()),
            _ => ("PATCH", path, format!(r#"{{"attributes": {{"a": "{}"}}}}"#, i / 100)),
        }
    };
    (0..400).map(request).collect()
}

/// Sends all requests one after the other, over a new connection where a fault has ended the last one.
fn run(config: &Simulator) -> (Vec<Value>, String) {
    let server = start(config, 1);
    let mut connection = Connection::open(&server);
    for (method, path, body) in requests(config) {
        connection.send(method, &path, &body).unwrap();
        if connection.response().is_ok_and(|response| response.broken.is_none()) {
            continue;
        }
        connection = Connection::open(&server);
    }
    let shown = Connection::open(&server).exchange("GET", "/_sim/config", "").unwrap().1;
    (truth(server.address(), 0), shown)
}

/// A line without the values of its times: what is left of them is whether there is one.
fn timeless(mut line: Value) -> Value {
    for (_, value) in line.as_object_mut().unwrap().iter_mut().filter(|(name, _)| name.ends_with("_us")) {
        *value = (!value.is_null()).into();
    }
    line
}

#[test]
fn two_runs_with_one_seed_have_one_truth_but_for_its_times() {
    let config = Simulator { seed: 77, faults: all_faults(), ..plain() };
    let ((first, shown), (second, shown_again)) = (run(&config), run(&config));
    let (first, second): (Vec<_>, Vec<_>) =
        (first.into_iter().map(timeless).collect(), second.into_iter().map(timeless).collect());
    assert_eq!(first.len(), 400);
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a, b);
    }
    assert_eq!((&shown, second.len()), (&shown_again, 400));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown, config.shown());

    let named: BTreeSet<_> =
        first.iter().flat_map(|line| line["faults"].as_array().unwrap()).map(|name| name.as_str().unwrap()).collect();
    let expected = "applied_500 applied_timeout conflict_409 cut drop duplicate empty_503 html_503 json_503 lost_update \
                    reset revert slow_body stale_read wrong_length";
    assert_eq!(named.into_iter().collect::<Vec<_>>().join(" "), expected, "every drawn fault but those of logins");
    let other = run(&Simulator { seed: 78, ..config }).0;
    assert!(first.iter().zip(other.into_iter().map(timeless)).any(|(a, b)| a["faults"] != b["faults"]));
}

/// Sends so many requests for nothing, a hundred at a time.
fn fill(server: &Server, count: usize) {
    let mut connection = Connection::open(server);
    let hundred = connection.head("GET", "/nothing", 0).repeat(100);
    assert_eq!(count % 100, 0);
    for _ in 0..count / 100 {
        std::io::Write::write_all(&mut connection.stream, hundred.as_bytes()).unwrap();
        for _ in 0..100 {
            assert_eq!(connection.response().unwrap().status, 404);
        }
    }
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["number"].as_u64().unwrap()).collect()
}

#[test]
fn the_truth_keeps_as_many_requests_as_it_is_told_to_and_shows_the_gap() {
    let server = start(&Simulator { truth: 100, ..plain() }, 1);
    fill(&server, 1_000);
    let numbers_from = |from| numbers(&truth(server.address(), from));
    assert_eq!(numbers_from(0), (900..1_000).collect::<Vec<_>>());
    assert_eq!(numbers_from(899), (900..1_000).collect::<Vec<_>>());
    assert_eq!(numbers_from(950), (950..1_000).collect::<Vec<_>>());
    assert_eq!(numbers_from(999), [999]);
    assert_eq!((numbers_from(1_000), numbers_from(u64::MAX)), (vec![], vec![]));
    assert_eq!(server.truth().gets.received, 1_000, "looking at the truth is no part of it");
}

#[test]
fn a_truth_that_is_off_says_so_and_the_account_goes_on() {
    let server = start(&Simulator { truth: 0, ..plain() }, 1);
    fill(&server, 300);
    let (status, text) = Connection::to(server.address()).exchange("GET", "/_sim/truth", "").unwrap();
    assert!(status == 404 && text.contains("`truth` is 0"), "{status} {text}");
    assert_eq!(server.truth().gets.rejected, 300);
}

#[test]
fn others_are_answered_while_the_truth_is_downloaded() {
    const LINES: usize = 100_000;
    let config = plain();
    let server = start(&config, 1);
    fill(&server, LINES);
    let path = write_path(&population(&config).next().unwrap());
    let (address, is_over) = (server.address(), AtomicBool::new(false));
    let (lines, (count, slowest)) = thread::scope(|scope| {
        let download = scope.spawn(|| {
            let (_, text) = Connection::to(address).exchange("GET", "/_sim/truth", "").unwrap();
            is_over.store(true, Ordering::Relaxed);
            text.lines().count()
        });
        let (mut connection, mut count, mut slowest) = (Connection::to(address), 0, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) {
            let sent = Instant::now();
            assert_eq!(connection.exchange("PATCH", &path, EMPTY).unwrap().0, 202);
            (count, slowest) = (count + 1, slowest.max(sent.elapsed()));
        }
        (download.join().unwrap(), (count, slowest))
    });
    println!("{count} answers during the download of {lines} lines, the slowest after {slowest:?}");
    // Each PATCH during the download takes the place of the oldest line.
    assert!(lines > LINES - count && lines <= LINES + count, "{lines} lines");
    assert!(count >= 20, "{count} answers, the slowest after {slowest:?}");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[test]
fn a_look_that_asks_for_nothing_that_there_is_is_told_so_and_is_no_request() {
    let server = start(&plain(), 1);
    for (path, status, word) in [
        ("/_sim/else", 404, "/_sim/config"),
        ("/_sim/", 404, "/_sim/truth"),
        ("/_sim/truth?from=abc", 400, "?from=500"),
        ("/_sim/truth?form=1", 400, "?from=500"),
    ] {
        let (found, text) = Connection::to(server.address()).exchange("GET", path, "").unwrap();
        assert!(found == status && text.contains(word), "{path}: {found} {text}");
    }
    assert_eq!(truth(server.address(), 0), [] as [Value; 0]);
}
