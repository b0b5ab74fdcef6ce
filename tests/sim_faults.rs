//! Faults of the wire: what a client sees of them, and that what can go on does.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use patchload::scenario::{Faults, Participant, SilentDrop, Simulator, Timed};
use patchload::sim::Server;
use serde_json::{Value, json};
use wire::{Connection, EMPTY, first_participant, plain, share, start, truth, write_path};

mod wire;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A server that does nothing right.
fn faulty(faults: &Faults) -> (Server, Participant) {
    let config = Simulator { faults: *faults, ..plain() };
    (start(&config, 1), first_participant(&config))
}

fn timed(time: u64) -> Timed {
    Timed { draw: share(1.0), time: ms(time) }
}

fn read_path(participant: &Participant) -> String {
    format!("/api/v2/conversations/{}", participant.conversation_id)
}

/// Faults, end and status of each request.
fn told(server: &Server) -> Vec<Value> {
    let lines = truth(server.address(), 0);
    lines.iter().map(|line| json!([line["faults"], line["end"], line["status"]])).collect()
}

#[test]
fn a_cut_answer_has_its_head_and_a_part_of_its_body_before_the_reset() {
    let (server, participant) = faulty(&Faults { cut: share(1.0), ..Faults::default() });
    let whole = {
        let (server, participant) = faulty(&Faults::default());
        Connection::open(&server).exchange("GET", &read_path(&participant), "").unwrap().1
    };
    let mut connection = Connection::open(&server);
    connection.send("GET", &read_path(&participant), "").unwrap();
    let response = connection.response().unwrap();
    assert_eq!((response.status, response.broken), (200, Some(ErrorKind::ConnectionReset)));
    assert_eq!(response.header("content-length"), Some(whole.len().to_string().as_str()));
    assert_eq!(response.body.len(), whole.len() / 2);

    let mut connection = Connection::open(&server);
    connection.send("PATCH", &write_path(&participant), r#"{"attributes": {"a": "1"}}"#).unwrap();
    let response = connection.response().unwrap();
    assert_eq!((response.status, response.broken), (202, Some(ErrorKind::ConnectionReset)), "also without a body");
    assert_eq!(response.body, b"");
    assert_eq!(told(&server), [json!([["cut"], "cut", 200]), json!([["cut"], "cut", 202])]);
    assert!(truth(server.address(), 1)[0]["applied_us"].is_u64(), "what is cut is applied all the same");
}

#[test]
fn a_slow_body_takes_its_time_and_arrives_whole() {
    let (server, participant) = faulty(&Faults { slow_body: timed(300), ..Faults::default() });
    let mut connection = Connection::open(&server);
    for _ in 0..2 {
        let sent = Instant::now();
        connection.send("GET", &read_path(&participant), "").unwrap();
        let response = connection.response().unwrap();
        assert_eq!((response.status, response.broken), (200, None));
        assert!(response.json()["participants"].is_array());
        let took = sent.elapsed();
        assert!(took >= ms(300) && took < ms(3_000), "{took:?}");
    }
    let sent = Instant::now();
    assert_eq!(connection.exchange("PATCH", &write_path(&participant), EMPTY).unwrap().0, 202);
    assert!(sent.elapsed() < ms(300), "an empty body takes no time: {:?}", sent.elapsed());
    let slow = json!([["slow_body"], "answered", 200]);
    assert_eq!(told(&server), [slow.clone(), slow, json!([[], "answered", 202])]);
}

#[test]
fn a_wrong_length_is_longer_than_the_body_and_the_connection_ends() {
    let (server, participant) = faulty(&Faults { wrong_length: share(1.0), ..Faults::default() });
    for (method, path, body) in
        [("GET", read_path(&participant), ""), ("PATCH", write_path(&participant), r#"{"attributes": {"a": "1"}}"#)]
    {
        let mut connection = Connection::open(&server);
        connection.send(method, &path, body).unwrap();
        let response = connection.response().unwrap();
        assert_eq!(response.broken, Some(ErrorKind::UnexpectedEof), "an orderly end, not a reset");
        let length: usize = response.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, response.body.len() + 64);
        assert_eq!(response.body.is_empty(), method == "PATCH");
    }
    let wrong = |status| json!([["wrong_length"], "answered", status]);
    assert_eq!(told(&server), [wrong(200), wrong(202)]);
}

#[test]
fn a_page_of_html_comes_from_in_front_of_the_api_and_the_connection_goes_on() {
    let (server, participant) = faulty(&Faults { html_503: share(1.0), ..Faults::default() });
    let mut connection = Connection::open(&server);
    connection.token = "nobody".to_owned();
    for _ in 0..2 {
        connection.send("PATCH", &write_path(&participant), EMPTY).unwrap();
        let response = connection.response().unwrap();
        assert_eq!((response.status, response.header("content-type")), (503, Some("text/html")));
        assert_eq!(response.header("inin-correlation-id"), None);
        assert!(response.body.starts_with(b"<html>"));
    }
    assert_eq!(told(&server), vec![json!([["html_503"], "answered", 503]); 2]);
}

#[test]
fn a_body_that_does_not_come_in_time_is_answered_with_408() {
    let config = Simulator { body_timeout: ms(200), ..plain() };
    let (server, participant) = (start(&config, 1), first_participant(&config));
    let mut connection = Connection::open(&server);
    let head = connection.head("PATCH", &write_path(&participant), EMPTY.len());
    let sent = Instant::now();
    connection.stream.write_all((head + &EMPTY[..EMPTY.len() - 1]).as_bytes()).unwrap();
    let response = connection.response().unwrap();
    assert!(sent.elapsed() >= ms(200), "{:?}", sent.elapsed());
    assert_eq!((response.status, &response.json()["code"]), (408, &json!("client.timeout")));
    let line = &truth(server.address(), 0)[0];
    let (arrived, judged) = (line["arrived_us"].as_u64().unwrap(), line["judged_us"].as_u64().unwrap());
    assert!(judged >= arrived + 200_000, "{line}");
    assert_eq!((&line["code"], server.truth().patches.rejected), (&json!("client.timeout"), 1));
}

#[test]
fn an_applied_timeout_is_answered_late_after_it_was_applied_and_the_connection_goes_on() {
    let (server, participant) = faulty(&Faults { applied_timeout: timed(300), ..Faults::default() });
    let mut connection = Connection::open(&server);
    for value in ["1", "2"] {
        let body = json!({"attributes": {"a": value}});
        let sent = Instant::now();
        connection.send("PATCH", &write_path(&participant), &body.to_string()).unwrap();
        wire::until("it is decided", || server.truth().patches.failed.to_string() == value);
        let read = Connection::open(&server).exchange("GET", &read_path(&participant), "").unwrap().1;
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["participants"][0]["attributes"], body["attributes"]);
        let response = connection.response().unwrap();
        assert_eq!((response.status, &response.json()["code"]), (504, &json!("request.timeout")));
        assert!(sent.elapsed() >= ms(300), "{:?}", sent.elapsed());
    }
}

#[test]
fn an_answer_of_204_has_no_body_and_the_connection_goes_on() {
    let drop = SilentDrop { draw: share(1.0), status: Some(204) };
    let all = Faults { drop, cut: share(1.0), wrong_length: share(1.0), slow_body: timed(300), ..Faults::default() };
    let (server, participant) = faulty(&all);
    let path = write_path(&participant).replace("conversations/", "conversations/calls/");
    let mut connection = Connection::open(&server);
    for _ in 0..2 {
        connection.send("PATCH", &path, EMPTY).unwrap();
        let response = connection.response().unwrap();
        assert_eq!((response.status, response.header("content-length"), response.broken), (204, None, None));
    }
    // Had there been a byte of a body, it would stand before this head.
    assert_eq!(told(&server), vec![json!([["drop"], "answered", 204]); 2]);
}
