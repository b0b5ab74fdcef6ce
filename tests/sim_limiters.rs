//! Every model of a quota, end to end: what the server decided is what its definition says of the very arrivals that the
//! truth tells, and its answers mean it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use patchload::quota::{Admission, Arrival, Cost, Limiter, Model, Quota, Scope, Slow, State};
use patchload::scenario::{Faults, LogNormal, Simulator, Timed};
use patchload::sim::{Counts, Server};
use patchload::units::Rate;
use serde_json::Value;
use wire::{Connection, EMPTY, first_participant, plain, share, start, truth, until, write_path};

mod wire;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// One quota of the whole organisation, and nothing else in the way.
fn with(limiter: Limiter) -> Simulator {
    let quota = Quota { name: "one".to_owned(), limiter, scope: Scope::default(), cost: Cost::Request };
    Simulator { quotas: vec![quota], ..plain() }
}

/// Every model that decides by time, and every option.
fn limiters() -> Vec<Limiter> {
    let (window, steady, burst) = (rate("5/300ms"), rate("20/s"), 4.try_into().unwrap());
    let models = [
        Model::FirstRequestWindow { rate: window },
        Model::ClockWindow { rate: window },
        Model::SlidingLog { rate: window },
        Model::SlidingCounter { rate: window },
        Model::TokenBucket { rate: steady, burst },
        Model::Gcra { rate: steady, burst },
        Model::LeakyMeter { rate: steady, burst },
        Model::LeakyQueue { rate: steady, burst },
    ];
    let mut all: Vec<_> = models.into_iter().map(Limiter::new).collect();
    all.push(Limiter { counts_refused: true, ..Limiter::new(models[4]) });
    all.push(Limiter { penalty: ms(150), ..Limiter::new(models[0]) });
    all.push(Limiter { slow: Some(Slow { by: ms(5), most: ms(20) }), ..Limiter::new(models[2]) });
    all
}

/// Lines of the truth in the order in which quotas were asked.
fn judged(server: &Server) -> Vec<Value> {
    let mut lines = truth(server.address(), 0);
    lines.sort_by_key(|line| (line["judged_us"].as_u64(), line["number"].as_u64()));
    lines
}

/// Lets the definition decide on the arrivals of the truth; the admitted and the refused ones.
fn replay(limiter: &Limiter, server: &Server, lines: &[Value]) -> (usize, usize) {
    // Windows on the clock are those of the wall clock.
    let started = server.started().duration_since(UNIX_EPOCH).unwrap();
    let mut state: State = limiter.fresh();
    let mut refused = 0;
    for line in lines {
        let at = started + Duration::from_micros(line["judged_us"].as_u64().unwrap());
        let arrival = Arrival { at, cost: 1 };
        let (decision, status, delay) = match limiter.judge(&state, arrival) {
            Admission::Admitted { delay } => {
                limiter.note_admitted(&mut state, arrival);
                ("admitted", 202, delay)
            }
            Admission::Refused { .. } => {
                limiter.note_refused(&mut state, arrival, true);
                refused += 1;
                ("refused", 429, Duration::ZERO)
            }
        };
        let delay_us = u64::try_from(delay.as_nanos().div_ceil(1_000)).unwrap();
        let told = (line["quota"].as_str().unwrap(), line["status"].as_u64(), line["delay_us"].as_u64());
        assert_eq!(told, (decision, Some(status), Some(delay_us)), "{limiter}: {line}");
    }
    (lines.len() - refused, refused)
}

/// Sends bursts and single requests over one connection; the last answer that was a refusal, in seconds to wait.
fn drive(connection: &mut Connection, path: &str) -> Option<u64> {
    let mut retry_after = None;
    let pauses = [0; 12].into_iter().chain((0..50).map(|i| i * 7 % 25)).chain([0; 12]);
    for pause in pauses {
        thread::sleep(ms(pause));
        connection.send("PATCH", path, EMPTY).unwrap();
        let response = connection.response().unwrap();
        if response.status == 429 {
            let told = response.header("retry-after").unwrap().parse().unwrap();
            retry_after = Some(told);
        }
    }
    retry_after
}

#[test]
fn every_model_decides_by_its_definition_and_admits_again_after_the_time_it_tells() {
    thread::scope(|scope| {
        for limiter in limiters() {
            scope.spawn(move || {
                let config = with(limiter);
                let (server, path) = (start(&config, 1), write_path(&first_participant(&config)));
                let mut connection = Connection::open(&server);
                let retry_after = drive(&mut connection, &path);
                let (admitted, refused) = replay(&limiter, &server, &judged(&server));
                assert!(admitted >= 4, "{limiter}: {admitted} admitted");
                // A queue that holds each answer back is never full of requests that wait for each other's answers.
                let never_refuses = limiter.slow.is_some() || matches!(limiter.model, Model::LeakyQueue { .. });
                assert_eq!((refused == 0, retry_after.is_none()), (never_refuses, never_refuses), "{limiter}");
                thread::sleep(Duration::from_secs(retry_after.unwrap_or(0)));
                assert_eq!(connection.exchange("PATCH", &path, EMPTY).unwrap().0, 202, "{limiter}");
                replay(&limiter, &server, &judged(&server));
            });
        }
    });
}

#[test]
fn a_queue_delays_a_burst_and_refuses_what_does_not_fit() {
    let limiter = Limiter::new(Model::LeakyQueue { rate: rate("5/s"), burst: 3.try_into().unwrap() });
    let config = with(limiter);
    let (server, path, together) = (start(&config, 1), write_path(&first_participant(&config)), Barrier::new(6));
    let mut answers: Vec<(u16, Duration)> = thread::scope(|scope| {
        let senders: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(&server);
                    together.wait();
                    let sent = Instant::now();
                    (connection.exchange("PATCH", &path, EMPTY).unwrap().0, sent.elapsed())
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let lines = judged(&server);
    let (admitted, refused) = replay(&limiter, &server, &lines);
    assert_eq!((admitted, refused), (4, 2), "one leaves at once and three wait, if all come within 200 ms");
    answers.retain(|(status, _)| *status == 202);
    answers.sort();
    let delays = lines.iter().filter(|line| line["quota"] == "admitted").map(|line| line["delay_us"].as_u64().unwrap());
    for ((_, took), delay_us) in answers.into_iter().zip(delays) {
        let delay = Duration::from_micros(delay_us);
        assert!(took >= delay && took < delay + Duration::from_secs(2), "{took:?} for {delay:?}");
    }
}

/// Two requests in flight at most, each answered after so long.
fn concurrency(latency: Duration) -> Simulator {
    let limiter = Limiter::new(Model::Concurrency { limit: 2.try_into().unwrap() });
    Simulator { latency: LogNormal::always(latency), ..with(limiter) }
}

#[test]
fn a_concurrency_limit_refuses_while_as_many_are_in_flight_and_admits_after_them() {
    let config = concurrency(ms(300));
    let (server, path) = (start(&config, 1), write_path(&first_participant(&config)));
    let mut third = Connection::open(&server);
    for _ in 0..2 {
        let before = server.truth().patches.accepted;
        let mut both = [0, 1].map(|_| Connection::open(&server));
        for connection in &mut both {
            connection.send("PATCH", &path, EMPTY).unwrap();
        }
        until("both are admitted", || server.truth().patches.accepted == before + 2);
        third.send("PATCH", &path, EMPTY).unwrap();
        let refused = third.response().unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        for connection in &mut both {
            assert_eq!(connection.response().unwrap().status, 202);
        }
        assert_eq!(third.exchange("PATCH", &path, EMPTY).unwrap().0, 202);
    }
    let refused: Vec<_> = judged(&server).into_iter().filter(|line| line["quota"] == "refused").collect();
    assert!(refused.len() == 2 && refused.iter().all(|line| line["refused_by"] == "one"), "{refused:?}");
}

#[test]
fn a_client_that_hangs_up_is_no_longer_in_flight() {
    let config = concurrency(Duration::from_mins(1));
    let (server, path) = (start(&config, 1), write_path(&first_participant(&config)));
    let [mut first, mut second] = [0, 1].map(|_| Connection::open(&server));
    first.send("PATCH", &path, EMPTY).unwrap();
    second.send("PATCH", &path, EMPTY).unwrap();
    until("both are admitted", || server.truth().patches.accepted == 2);
    // No answer is read, because each takes a minute, a refusal too.
    let mut third = Connection::open(&server);
    third.send("PATCH", &path, EMPTY).unwrap();
    until("the third is refused", || server.truth().patches.throttled == 1);
    drop((first, second));
    until("one is admitted", || {
        let mut other = Connection::open(&server);
        other.send("PATCH", &path, EMPTY).unwrap();
        let is_decided = |patches: Counts| patches.accepted + patches.throttled == patches.received;
        until("it is decided", || is_decided(server.truth().patches));
        server.truth().patches.accepted == 3
    });
}

#[test]
fn an_answer_is_in_flight_until_its_body_has_left() {
    let limiter = Limiter::new(Model::Concurrency { limit: 1.try_into().unwrap() });
    let slow_body = Timed { draw: share(1.0), time: ms(500) };
    let config = Simulator { faults: Faults { slow_body, ..Faults::default() }, ..with(limiter) };
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let (read, write) = (format!("/api/v2/conversations/{}", participant.conversation_id), write_path(&participant));
    let mut reader = Connection::open(&server);
    reader.send("GET", &read, "").unwrap();
    until("the answer has begun", || server.truth().gets.accepted == 1);
    // Not a read: the body of a refusal would be slow as well, and so is that of no write.
    let mut writer = Connection::open(&server);
    writer.send("PATCH", &write, EMPTY).unwrap();
    until("it is refused", || server.truth().patches.throttled == 1);
    assert_eq!(reader.response().unwrap().broken, None);
    assert_eq!(writer.response().unwrap().status, 429);
    assert_eq!(writer.exchange("PATCH", &write, EMPTY).unwrap().0, 202);
}
