//! Each fault does what its documentation says, and the truth tells of it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::scenario::{Draw, Faults, LogNormal, SilentDrop, Simulator, Stall, Timed};
use crate::sim::body::Body;
use crate::sim::chance::Chance;
use crate::sim::desk::{Desk, ZERO, ms, window};
use crate::units::Share;

fn always() -> Draw {
    Draw { share: Share::ALL, seed: None }
}

/// A third of the requests.
fn third() -> Draw {
    Draw { share: Share::new(1.0 / 3.0).unwrap(), seed: None }
}

/// Nothing but these faults: no quota, and what is written can be read at once.
fn desk(faults: &Faults) -> Desk {
    Desk::new(&only(faults))
}

fn only(faults: &Faults) -> Simulator {
    let visible_after = LogNormal::always(ZERO);
    Simulator { quotas: Vec::new(), visible_after, conversations: 3, faults: *faults, ..Simulator::default() }
}

/// Sets one attribute; the status of the answer and its code.
fn set(desk: &mut Desk, key: &str, value: &str, at: u64) -> (u16, String) {
    let (path, body) = (desk.write_path(), json!({"attributes": {key: value}}).to_string());
    let reading = desk.send(("PATCH", &path), &body, ms(at));
    (reading.status, reading.code().1.to_owned())
}

/// The fields of the last line of the truth.
fn last(desk: &Desk, fields: &[&str]) -> Value {
    let line = desk.truth().pop().unwrap();
    fields.iter().map(|field| line[field].clone()).collect()
}

#[test]
fn without_faults_the_truth_names_none_and_the_instants_of_a_write() {
    let mut desk = desk(&Faults::default());
    assert_eq!(set(&mut desk, "a", "1", 7).0, 202);
    let Value::Object(line) = desk.truth().pop().unwrap() else { panic!("a line is an object") };
    let correlation_id = Chance::new(&desk.config).correlation_id(0);
    let expected = json!({
        "number": 0, "correlation_id": correlation_id, "arrived_us": 7_000, "judged_us": 7_000, "method": "PATCH", "operation": "attributes",
        "conversation": desk.known[0].conversation_id, "participant": desk.known[0].participant_id,
        "address": "127.0.0.1", "request_id": null, "token": "static", "client": "simulator", "quota": "admitted", "refused_by": null,
        "delay_us": 0, "faults": [], "end": "answered", "status": 202, "code": "", "answered_us": 7_000, "applied_us": 7_000,
        "reverted_us": null,
    });
    assert_eq!(Value::Object(line), expected);
}

#[test]
fn the_truth_names_a_request_as_its_client_does_as_far_as_64_characters() {
    let long = "x".repeat(70);
    for (sent, kept) in [("7-12", "7-12"), (&long, &long[..64])] {
        let mut desk = desk(&Faults::default());
        let (path, authorization) = (desk.read_path(), desk.authorization.clone());
        let headers = [("authorization", authorization.as_str()), ("x-request-id", sent)];
        desk.send_with(("GET", &path), &headers, &Body::Whole(Bytes::new()), ZERO);
        assert_eq!(last(&desk, &["request_id"]), json!([kept]));
    }
}

#[test]
fn a_dropped_write_is_answered_as_told_and_never_applied() {
    for (status, medium, expected, echo) in [
        (None, "", 202, Value::Null),
        (None, "calls/", 202, json!({"attributes": {"a": "1"}})),
        (Some(200), "", 200, Value::Null),
        (Some(202), "calls/", 202, json!({"attributes": {"a": "1"}})),
        (Some(204), "calls/", 204, Value::Null),
    ] {
        let mut desk = desk(&Faults { drop: SilentDrop { draw: always(), status }, ..Faults::default() });
        let path = desk.write_path().replace("conversations/", &format!("conversations/{medium}"));
        let reading = desk.send(("PATCH", &path), r#"{"attributes": {"a": "1"}}"#, ZERO);
        assert_eq!((reading.status, reading.body), (expected, echo), "{status:?} {medium}");
        let line = last(&desk, &["faults", "end", "status", "code", "applied_us"]);
        assert_eq!(line, json!([["drop"], "answered", expected, "", null]), "{status:?}");
        assert_eq!(desk.attributes(ms(60_000)), json!({}));
        assert_eq!(desk.api.truth().patches.accepted, 1);
    }
}

#[test]
fn a_reverted_write_is_undone_so_long_after_it_became_visible() {
    let faults = Faults { revert: Timed { draw: always(), time: ms(500) }, ..Faults::default() };
    let mut desk = desk(&faults);
    assert_eq!(set(&mut desk, "a", "1", 100).0, 202);
    let line = last(&desk, &["faults", "applied_us", "reverted_us"]);
    assert_eq!(line, json!([["revert"], 100_000, 600_000]));
    assert_eq!(desk.attributes(ms(599)), json!({"a": "1"}));
    assert_eq!(desk.attributes(ms(600)), json!({}));
}

#[test]
fn a_lost_update_replaces_the_map_by_what_its_writer_could_have_read() {
    let faults = Faults { lost_update: always(), ..Faults::default() };
    let visible_after = LogNormal::always(ms(200));
    let mut desk = Desk::new(&Simulator { visible_after, ..only(&faults) });
    set(&mut desk, "old", "1", 0);
    // Both writers could read `old` alone; the later one takes away what the first has written.
    set(&mut desk, "first", "1", 300);
    set(&mut desk, "second", "1", 400);
    assert_eq!(last(&desk, &["faults", "applied_us"]), json!([["lost_update"], 600_000]));
    assert_eq!(desk.attributes(ms(599)), json!({"first": "1", "old": "1"}));
    assert_eq!(desk.attributes(ms(600)), json!({"old": "1", "second": "1"}));
}

#[test]
fn an_applied_500_is_applied() {
    let mut desk = desk(&Faults { applied_500: always(), ..Faults::default() });
    assert_eq!(set(&mut desk, "a", "1", 5), (500, "internal.server.error".to_owned()));
    let line = last(&desk, &["faults", "status", "code", "applied_us"]);
    assert_eq!(line, json!([["applied_500"], 500, "internal.server.error", 5_000]));
    assert_eq!(desk.attributes(ms(5)), json!({"a": "1"}));
    assert_eq!((desk.api.truth().patches.failed, desk.api.truth().patches.accepted), (1, 0));
}

#[test]
fn an_applied_timeout_is_applied_and_its_504_is_withheld() {
    let timeout = Timed { draw: always(), time: ms(3_000) };
    let stall = Some(Stall { every: ms(10_000), length: ms(1_000) });
    for (at, stall, answered_us, faults) in [
        (5, None, 3_005_000, json!(["applied_timeout"])),
        // Withheld into the stall that begins at 10 s.
        (7_500, stall, 11_000_000, json!(["applied_timeout", "stall"])),
    ] {
        let mut desk = desk(&Faults { applied_timeout: timeout, stall, ..Faults::default() });
        assert_eq!(set(&mut desk, "a", "1", at), (504, "request.timeout".to_owned()));
        let line = last(&desk, &["faults", "status", "code", "applied_us", "answered_us"]);
        assert_eq!(line, json!([faults, 504, "request.timeout", at * 1_000, answered_us]));
        assert_eq!(desk.attributes(ms(at)), json!({"a": "1"}));
    }
}

#[test]
fn a_stale_read_shows_what_was_before_the_last_change() {
    let mut desk = desk(&Faults { stale_read: always(), ..Faults::default() });
    for (value, expected) in [("1", json!({})), ("2", json!({"a": "1"})), ("3", json!({"a": "2"}))] {
        set(&mut desk, "a", value, 1);
        assert_eq!(last(&desk, &["faults"]), json!([[]]), "a write is no read");
        assert_eq!(desk.attributes(ms(1)), expected);
        assert_eq!(last(&desk, &["faults", "status"]), json!([["stale_read"], 200]));
    }
    desk.send(("GET", "/api/v2/conversations/none"), "", ms(2));
    assert_eq!(last(&desk, &["faults", "status"]), json!([[], 404]), "there is nothing that could be stale");
}

#[test]
fn a_repeated_write_grows_the_counter_and_a_first_one_does_not() {
    let mut desk = desk(&Faults { duplicate: always(), ..Faults::default() });
    for (value, faults, counter) in [
        ("1", json!([]), Value::Null),
        ("1", json!(["duplicate"]), json!("1")),
        ("2", json!([]), json!("1")),
        ("1", json!(["duplicate"]), json!("2")),
    ] {
        set(&mut desk, "a", value, 1);
        assert_eq!(last(&desk, &["faults"]), json!([faults]));
        assert_eq!(desk.attributes(ms(1))["counter"], counter);
    }
}

#[test]
fn a_repetition_is_recognised_though_the_first_write_was_spared() {
    // The fault of the second write needs the memory of the first, for which none was drawn.
    let mut desk = desk(&Faults { duplicate: third(), ..Faults::default() });
    for _ in 0..90 {
        set(&mut desk, "a", "1", 1);
    }
    let truth = desk.truth();
    let counted = truth.iter().skip(1).filter(|line| line["faults"] == json!(["duplicate"])).count();
    assert!((10..50).contains(&counted), "{counted} of 89");
    assert_eq!(desk.attributes(ms(1))["counter"], counted.to_string());
}

#[test]
fn a_page_of_html_is_judged_by_no_token_and_no_quota() {
    let faults = Faults { html_503: always(), cut: always(), ..Faults::default() };
    let mut desk = Desk::new(&Simulator { quotas: window(1, ms(1_000)), ..only(&faults) });
    desk.authorization = "nobody".to_owned();
    for _ in 0..3 {
        let (path, body) = (desk.write_path(), r#"{"attributes": {"a": "1"}}"#);
        let reading = desk.send(("PATCH", &path), body, ZERO);
        assert_eq!((reading.status, reading.header("content-type")), (503, Some("text/html")));
        assert_eq!(reading.header("inin-correlation-id"), None, "it comes from in front of the API");
        let fields = ["faults", "token", "quota", "status", "code", "applied_us"];
        assert_eq!(last(&desk, &fields), json!([["html_503"], null, null, 503, "", null]));
    }
    assert_eq!(desk.api.truth().patches.failed, 3);
}

#[test]
fn a_reset_request_is_not_applied_but_counted_by_the_quota() {
    let faults = Faults { reset: always(), applied_500: always(), ..Faults::default() };
    let mut desk = Desk::new(&Simulator { quotas: window(1, ms(1_000)), ..only(&faults) });
    for quota in ["admitted", "refused"] {
        assert_eq!(set(&mut desk, "a", "1", 5).0, 0);
        let line = last(&desk, &["faults", "quota", "end", "status", "code", "answered_us", "applied_us"]);
        assert_eq!(line, json!([["reset"], quota, "reset", null, "", 5_000, null]));
    }
    assert_eq!(desk.api.truth().patches.reset, 2);
}

#[test]
fn a_token_that_expires_early_is_told_in_the_truth_of_its_login() {
    let expiry = |time| Faults { early_expiry: Timed { draw: always(), time: ms(time) }, ..Faults::default() };
    for (time, faults) in [(3_000, json!(["early_expiry"])), (86_400_000, json!([]))] {
        let mut desk = desk(&expiry(time));
        let login = desk.login(&super::right_credentials(), "grant_type=client_credentials", ms(0));
        assert_eq!(login.body["expires_in"], 86_400, "whatever its life is");
        assert_eq!(last(&desk, &["faults", "token", "client", "status"]), json!([faults, "login-1", "simulator", 200]));
        desk.authorization = format!("Bearer {}", login.body["access_token"].as_str().unwrap());
        assert_eq!(set(&mut desk, "a", "1", time - 1).0, 202);
        assert_eq!(set(&mut desk, "a", "1", time).0, 401);
        assert_eq!(last(&desk, &["faults", "token"]), json!([[], null]));
    }
}

#[test]
fn faults_of_writes_befall_nothing_that_is_refused_or_only_reads() {
    let timed = Timed { draw: always(), time: ms(10) };
    let mut desk = desk(&Faults {
        drop: SilentDrop { draw: always(), status: Some(204) },
        revert: timed,
        lost_update: always(),
        applied_500: always(),
        applied_timeout: timed,
        duplicate: always(),
        ..Faults::default()
    });
    let (write, read) = (desk.write_path(), desk.read_path());
    let sibling = write.replace("/attributes", "");
    for (method, path, body, status) in [
        ("PATCH", write.as_str(), "{", 400),
        ("PATCH", &write.replace(&desk.known[0].participant_id, "p"), r#"{"attributes": {}}"#, 404),
        ("PATCH", &sibling, r#"{"muted": true}"#, 202),
        ("GET", &read, "", 200),
        ("DELETE", &read, "", 405),
    ] {
        assert_eq!(desk.send((method, path), body, ZERO).status, status, "{method} {path}");
        assert_eq!(last(&desk, &["faults", "status"]), json!([[], status]), "{method} {path}");
    }
}

#[test]
fn of_faults_that_exclude_each_other_the_truth_names_the_one_that_happened() {
    let timed = Timed { draw: always(), time: ms(10) };
    let all = Faults {
        applied_500: always(),
        applied_timeout: timed,
        revert: timed,
        cut: always(),
        wrong_length: always(),
        slow_body: timed,
        ..Faults::default()
    };
    let dropped = Faults { drop: SilentDrop { draw: always(), status: Some(204) }, ..all };
    for (faults, named) in [(all, json!(["cut", "revert", "applied_500"])), (dropped, json!(["drop"]))] {
        let mut desk = desk(&faults);
        set(&mut desk, "a", "1", 0);
        assert_eq!(last(&desk, &["faults"]), json!([named]));
    }
}

#[test]
fn a_body_that_is_empty_cannot_be_slow() {
    let slow_body = Timed { draw: always(), time: ms(100) };
    let mut desk = desk(&Faults { slow_body, ..Faults::default() });
    set(&mut desk, "a", "1", 0);
    assert_eq!(last(&desk, &["faults"]), json!([[]]));
    desk.attributes(ZERO);
    assert_eq!(last(&desk, &["faults"]), json!([["slow_body"]]));
}

#[test]
fn faults_are_drawn_by_the_number_of_the_request_whatever_it_asks_for() {
    let faults = Faults { applied_500: third(), stale_read: third(), reset: third(), ..Faults::default() };
    let named = |desk: &Desk| -> Vec<_> {
        desk.truth().iter().map(|line| (line["number"].as_u64().unwrap(), line["faults"].clone())).collect()
    };
    let mut writes = desk(&faults);
    (0..60).for_each(|i| drop(set(&mut writes, "a", &i.to_string(), i)));
    let mut mixed = desk(&faults);
    let read = mixed.read_path();
    for i in 0..60 {
        if i % 2 == 0 {
            set(&mut mixed, "b", "x", i);
        } else {
            mixed.send(("GET", &read), "", ms(i));
        }
    }
    let (writes, mixed) = (named(&writes), named(&mixed));
    for (write, other) in writes.iter().zip(&mixed).step_by(2) {
        assert_eq!(write, other, "the same number, the same luck");
    }
    let resets = |lines: &[(u64, Value)]| {
        lines.iter().filter(|line| line.1 == json!(["reset"])).map(|line| line.0).collect::<Vec<_>>()
    };
    assert_eq!(resets(&writes), resets(&mixed), "a reset befalls reads and writes alike");
    assert!((10..32).contains(&resets(&writes).len()), "{:?}", resets(&writes));
}

#[test]
fn the_kinds_of_503_and_the_conflict_are_told_apart_and_nothing_is_applied() {
    let none = Faults::default();
    for (faults, name, status, code, quota) in [
        (Faults { html_503: always(), ..none }, "html_503", 503, "", Value::Null),
        (Faults { empty_503: always(), ..none }, "empty_503", 503, "", Value::Null),
        (Faults { json_503: always(), ..none }, "json_503", 503, "service.unavailable", json!("admitted")),
        (Faults { conflict_409: always(), ..none }, "conflict_409", 409, "conflict", json!("admitted")),
    ] {
        let mut desk = desk(&faults);
        desk.config.quotas = window(5, ms(1_000));
        let mut desk = Desk::new(&desk.config);
        assert_eq!(set(&mut desk, "a", "1", 0), (status, code.to_owned()), "{name}");
        let line = last(&desk, &["faults", "status", "code", "quota", "applied_us"]);
        assert_eq!(line, json!([[name], status, code, quota, null]), "{name}");
    }
}
