//! The simulator over real sockets: what only the wire can show. Its rules are tested beside them, without one.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod client;
mod wire;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use client::client;
use patchload::scenario::{CLIENT_ID, CLIENT_SECRET, Faults, LogNormal, Participant, Simulator, Stall, population};
use patchload::sim::{self, Server};
use serde_json::{Value, json};
use wire::{Connection, first_participant, plain, share, start, write_path};

/// The attributes of the first participant.
fn attributes(server: &Server, participant: &Participant) -> Value {
    let path = format!("/api/v2/conversations/{}", participant.conversation_id);
    loop {
        // A read may be reset as well.
        if let Ok((status, body)) = Connection::open(server).exchange("GET", &path, "") {
            assert_eq!(status, 200);
            let body: Value = serde_json::from_str(&body).unwrap();
            return body["participants"][0]["attributes"].clone();
        }
    }
}

#[tokio::test]
async fn a_client_logs_in_writes_and_reads_back_after_the_delay() {
    let config = Simulator { visible_after: LogNormal::always(Duration::from_millis(150)), ..plain() };
    let (server, client, participant) = (start(&config, 1), client(), first_participant(&config));
    let base = format!("http://{}", server.address());
    let login = client
        .post(format!("{base}/oauth/token"))
        .basic_auth(CLIENT_ID, Some(CLIENT_SECRET))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let login: Value = serde_json::from_str(&login.send().await.unwrap().text().await.unwrap()).unwrap();
    let token = login["access_token"].as_str().unwrap();
    assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("bearer"), &json!(86_400)));

    let write = client
        .patch(base.clone() + &write_path(&participant))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(r#"{"attributes": {"tier": "gold"}}"#);
    let sent = Instant::now();
    let answer = write.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["ININ-Correlation-Id"].len(), 36);
    assert_eq!(answer.text().await.unwrap(), "");

    let read = || async {
        let url = format!("{base}/api/v2/conversations/{}", participant.conversation_id);
        let body = client.get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        body["participants"][0]["attributes"].clone()
    };
    while read().await != json!({"tier": "gold"}) {
        assert!(sent.elapsed() < Duration::from_secs(10), "never visible");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(sent.elapsed() >= config.visible_after.median, "visible after {:?}", sent.elapsed());
    let truth = server.truth();
    assert_eq!((truth.logins.accepted, truth.patches.accepted, truth.patches.received), (1, 1, 1));
    assert_eq!(truth.gets.accepted, truth.gets.received);
}

#[test]
fn a_write_without_delay_is_read_right_after_its_answer() {
    // The latency makes answers late and later ones earlier; a read must see the write all the same.
    let latency = LogNormal { median: Duration::from_micros(300), p99: Duration::from_millis(2) };
    let config = Simulator { latency, ..plain() };
    let (server, participant) = (start(&config, 2), first_participant(&config));
    let mut connection = Connection::open(&server);
    for i in 0..30 {
        let body = json!({"attributes": {"i": i.to_string()}});
        assert_eq!(connection.exchange("PATCH", &write_path(&participant), &body.to_string()).unwrap().0, 202);
        assert_eq!(attributes(&server, &participant), body["attributes"]);
    }
}

#[test]
fn every_attempt_of_every_connection_is_in_the_account() {
    let config = plain();
    let mut server = start(&config, 2);
    thread::scope(|scope| {
        for participant in population(&config).take(8) {
            let mut connection = Connection::open(&server);
            scope.spawn(move || {
                for i in 0..50 {
                    let body = json!({"attributes": {"i": i.to_string()}}).to_string();
                    assert_eq!(connection.exchange("PATCH", &write_path(&participant), &body).unwrap().0, 202);
                }
            });
        }
    });
    server.stop();
    let truth = server.truth();
    assert_eq!((truth.connections, truth.patches.received, truth.patches.accepted), (8, 400, 400));
    #[cfg(target_os = "linux")]
    assert!(server.busy().iter().all(|cpu| !cpu.is_zero()), "{:?}", server.busy());
    assert_eq!(server.busy().len(), 2);
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_reset_request_is_counted_and_not_applied() {
    let config = Simulator { faults: Faults { reset: share(0.5), ..Faults::default() }, ..plain() };
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let (mut expected, mut resets) = (serde_json::Map::new(), 0);
    for i in 0..60 {
        let key = format!("key-{i}");
        let body = json!({"attributes": {key.as_str(): "set"}}).to_string();
        match Connection::open(&server).exchange("PATCH", &write_path(&participant), &body) {
            Ok((status, _)) => {
                assert_eq!(status, 202);
                expected.insert(key, json!("set"));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "a reset, not an orderly end");
                resets += 1;
            }
        }
    }
    assert_eq!(attributes(&server, &participant), Value::Object(expected));
    let patches = server.truth().patches;
    assert_eq!((patches.received, patches.reset, patches.accepted), (60, resets, 60 - resets));
    assert!((10..=50).contains(&resets), "{resets} of 60 with a share of a half");
}

#[test]
fn a_body_that_is_too_large_is_answered_and_not_cut_off() {
    let config = plain();
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let body = json!({"attributes": {"a": "x".repeat(600_000)}}).to_string();
    let mut connection = Connection::open(&server);
    let (status, body) = connection.exchange("PATCH", &write_path(&participant), &body).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["code"].as_str()), (413, Some("request.entity.too.large")));
    assert_eq!(connection.exchange("PATCH", &write_path(&participant), r#"{"attributes": {}}"#).unwrap().0, 202);
}

#[test]
fn a_write_whose_client_hangs_up_is_applied_all_the_same() {
    let median = Duration::from_millis(100);
    let config = Simulator { latency: LogNormal { median, p99: median }, ..plain() };
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let mut connection = Connection::open(&server);
    connection.send("PATCH", &write_path(&participant), r#"{"attributes": {"a": "1"}}"#).unwrap();
    while server.truth().patches.accepted == 0 {
        thread::yield_now();
    }
    drop(connection);
    thread::sleep(2 * median);
    assert_eq!(attributes(&server, &participant), json!({"a": "1"}));
    assert_eq!(server.truth().patches.received, 1);
}

#[test]
fn a_request_that_never_came_whole_is_received_and_not_answered() {
    let config = plain();
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let mut connection = Connection::open(&server);
    let head = format!(
        "PATCH {} HTTP/1.1\r\nhost: simulator\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        write_path(&participant),
        server.token(),
    );
    connection.stream.write_all(head.as_bytes()).unwrap();
    while server.truth().patches.received == 0 {
        thread::yield_now();
    }
    drop(connection);
    assert_eq!(attributes(&server, &participant), json!({}));
    let patches = server.truth().patches;
    assert_eq!((patches.received, patches.accepted + patches.rejected + patches.reset), (1, 0));
}

#[test]
fn the_mean_latency_is_the_one_asked_for_though_the_timer_is_coarse() {
    let median = Duration::from_micros(2_500);
    let config = Simulator { latency: LogNormal { median, p99: median }, ..plain() };
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let mut connection = Connection::open(&server);
    let started = Instant::now();
    for _ in 0..200 {
        connection.exchange("PATCH", &write_path(&participant), r#"{"attributes": {}}"#).unwrap();
    }
    let mean = started.elapsed() / 200;
    // Below: at most one timer step of 200 waits is owed at the end. Above: the way there and back on a busy machine.
    assert!(mean >= Duration::from_micros(2_490), "{mean:?}");
    assert!(mean < Duration::from_millis(10), "{mean:?}");
}

#[test]
fn a_stall_holds_answers_back_until_its_end() {
    let stall = Stall { every: Duration::from_secs(100), length: Duration::from_secs(1) };
    let config = Simulator { faults: Faults { stall: Some(stall), ..Faults::default() }, ..plain() };
    let before = Instant::now();
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let mut connection = Connection::open(&server);
    connection.exchange("PATCH", &write_path(&participant), r#"{"attributes": {}}"#).unwrap();
    assert!(before.elapsed() >= stall.length, "{:?}", before.elapsed());
    connection.exchange("PATCH", &write_path(&participant), r#"{"attributes": {}}"#).unwrap();
    let patches = server.truth().patches;
    assert_eq!((patches.stalled, patches.accepted), (1, 2));
}

#[test]
fn an_address_in_use_is_an_error_with_a_remedy() {
    let server = start(&plain(), 1);
    let error = sim::start(&plain(), server.address(), NonZeroUsize::MIN).unwrap_err().to_string();
    assert!(error.contains(&server.address().to_string()) && error.contains("port 0"), "{error}");
}

#[test]
fn the_same_address_can_be_used_again_right_after_a_stop() {
    let mut server = start(&plain(), 2);
    let address = server.address();
    // The server closes first, so its side of the connection lingers on the port.
    let _connection = TcpStream::connect(address).unwrap();
    while server.truth().connections == 0 {
        thread::yield_now();
    }
    server.stop();
    server.stop();
    sim::start(&plain(), address, NonZeroUsize::MIN).unwrap();
}
