//! The rules of the documented API, without a socket.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::scenario::{CLIENT_ID, CLIENT_SECRET};
use crate::sim::body::Body;
use crate::sim::desk::{Desk, ZERO, ms, window};
use crate::sim::refusal::MAX_BODY;

mod access;
mod faults;
mod quotas;

/// Without a quota, for tests of anything else.
fn open() -> Desk {
    Desk::new(&Simulator { quotas: Vec::new(), conversations: 3, ..Simulator::default() })
}

#[test]
fn a_write_is_accepted_with_an_empty_body_and_its_medium_echoes_the_attributes() {
    let mut desk = open();
    let body = r#" {"other": [1, {"a": null}], "attributes": {"tier": "gold", "na\u00efve": "\"q\""}} "#;
    let reading = desk.send(("PATCH", &desk.write_path()), body, ZERO);
    assert_eq!((reading.status, reading.body), (202, Value::Null));
    assert_eq!(reading.headers.get("content-type"), None);
    for medium in ["calls", "callbacks", "emails", "messages"] {
        let path = desk.write_path().replace("conversations/", &format!("conversations/{medium}/"));
        let reading = desk.send(("PATCH", &path), body, ZERO);
        assert_eq!(reading.status, 202);
        assert_eq!(reading.body, json!({"attributes": {"tier": "gold", "naïve": "\"q\""}}));
        assert_eq!(reading.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_body_that_is_no_flat_map_of_texts_is_refused_with_its_code() {
    let null = "conversation.error.participant.attribute.null";
    for (body, code, field) in [
        ("", "bad.request", None),
        ("{", "bad.request", None),
        ("[]", "bad.request", None),
        (r#"[{"a": "b"}]"#, "bad.request", None),
        (r#"{"attributes": {"a": "b"}} x"#, "bad.request", None),
        (r#"{"attributes": {"a": "b",}}"#, "bad.request", None),
        ("\"attributes\"", "bad.request", None),
        ("{}", null, Some("attributes")),
        (r#"{"data": {"attributes": {"a": "b"}}}"#, null, Some("attributes")),
        (r#"{"attributes": null}"#, null, Some("attributes")),
        (r#"{"attributes": {"a": "b", "c": null}}"#, null, Some("attributes.c")),
        (r#"{"attributes": "a"}"#, "invalid.value", Some("attributes")),
        (r#"{"attributes": [{"a": "b"}]}"#, "invalid.value", Some("attributes")),
        (r#"{"attributes": {"a": 1}}"#, "invalid.value", Some("attributes.a")),
        (r#"{"attributes": {"a": -1.5}}"#, "invalid.value", Some("attributes.a")),
        (r#"{"attributes": {"a": true}}"#, "invalid.value", Some("attributes.a")),
        (r#"{"attributes": {"a": ["b"], "c": null}}"#, "invalid.value", Some("attributes.a")),
        (r#"{"attributes": {"a": {"b": "c"}}}"#, "invalid.value", Some("attributes.a")),
    ] {
        let mut desk = open();
        let reading = desk.send(("PATCH", &desk.write_path()), body, ZERO);
        assert_eq!(reading.code(), (400, code), "{body}");
        let details = field.map(|field| json!({"errorCode": code, "fieldName": field}));
        assert_eq!(reading.body["details"], json!(details.into_iter().collect::<Vec<_>>()), "{body}");
        assert_eq!(desk.attributes(ms(60_000)), json!({}), "nothing of {body} is applied");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut desk = open();
    let path = desk.write_path();
    let [customer, other] = [0, 2].map(|i| desk.known[i].clone());
    let stranger = "00000000-0000-4000-8000-000000000000";
    let not_participant = "conversation.error.not.conversation.participant";
    for (method, path, status, code, entity) in [
        ("PATCH", path.replace(&customer.conversation_id, stranger), 404, "not.found", Some(stranger)),
        ("PATCH", path.replace(&customer.participant_id, stranger), 404, not_participant, Some(stranger)),
        ("PATCH", path.replace(&customer.participant_id, "p"), 404, not_participant, Some("p")),
        (
            "PATCH",
            path.replace(&customer.participant_id, &other.participant_id),
            404,
            not_participant,
            Some(other.participant_id.as_str()),
        ),
        ("GET", format!("/api/v2/conversations/{stranger}"), 404, "not.found", Some(stranger)),
        ("PATCH", path.replace("/attributes", "/wrapup"), 404, "not.found", None),
        ("GET", "/".to_owned(), 404, "not.found", None),
        ("PUT", path.clone(), 405, "method.not.allowed", None),
    ] {
        let reading = desk.send((method, &path), r#"{"attributes": {}}"#, ZERO);
        assert_eq!(reading.code(), (status, code), "{method} {path}");
        assert_eq!(reading.body["entityId"].as_str(), entity, "{method} {path}");
    }
}

#[test]
fn the_first_fault_in_the_documented_order_is_the_answer() {
    let mut desk = Desk::new(&Simulator { quotas: window(3, ms(1_000)), ..Simulator::default() });
    let path = desk.write_path().replace(&desk.known[0].participant_id.clone(), "nobody");
    let token = desk.authorization.clone();
    let text = [("authorization", token.as_str()), ("content-type", "text/plain")];
    let json = [("authorization", token.as_str()), ("Content-Type", "Application/JSON; charset=utf-8")];
    let malformed = Body::Whole(Bytes::from_static(b"{"));
    for (headers, body, code) in [
        (&text[1..], Body::TooLarge { bytes: 600_000 }, (401, "authentication.required")),
        (&text, Body::TooLarge { bytes: 600_000 }, (415, "unsupported.media.type")),
        (&json, Body::TooLarge { bytes: 600_000 }, (413, "request.entity.too.large")),
        (&json, malformed.clone(), (400, "bad.request")),
        (&text, Body::TooLarge { bytes: 600_000 }, (429, "too.many.requests.retry.after")),
    ] {
        assert_eq!(desk.send_with(("PATCH", &path), headers, &body, ZERO).code(), code);
    }
    assert_eq!(desk.send_with(("PATCH", &path), &json[..1], &malformed, ms(1_000)).code().0, 415, "without a type");
}

#[test]
fn no_token_and_a_wrong_token_are_told_apart() {
    let mut desk = open();
    let unknown = "Bearer 00000000-0000-4000-8000-000000000000";
    let basic = desk.authorization.replace("Bearer", "Basic");
    for (header, code) in [
        (None, "authentication.required"),
        (Some("Bearer"), "bad.credentials"),
        (Some("Bearer "), "bad.credentials"),
        (Some("Bearer x"), "bad.credentials"),
        (Some(unknown), "bad.credentials"),
        (Some(basic.as_str()), "bad.credentials"),
    ] {
        let headers: Vec<_> = header.map(|header| ("authorization", header)).into_iter().collect();
        let path = desk.read_path();
        let reading = desk.send_with(("GET", &path), &headers, &Body::Whole(Bytes::new()), ZERO);
        assert_eq!(reading.code(), (401, code), "{header:?}");
    }
}

#[test]
fn three_hundred_are_accepted_and_the_next_from_the_instant_that_the_refusal_names() {
    let mut desk = Desk::new(&Simulator::default());
    let path = desk.write_path();
    let mut status = |at| desk.send(("PATCH", &path), r#"{"attributes": {}}"#, at);
    for i in 0..300 {
        assert_eq!(status(ms(5_000 + i * 10)).status, 202);
    }
    let refused = status(ms(22_001));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("43")));
    let context = refused.header("inin-correlation-id").unwrap();
    let text = format!(
        "{{\"message\":\"Rate limit exceeded the maximum. Retry the request in [43] seconds\",\
         \"code\":\"too.many.requests.retry.after\",\"status\":429,\"contextId\":\"{context}\",\
         \"details\":[],\"errors\":[]}}"
    );
    assert_eq!(refused.body, serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(Refusal::Throttled { retry_after_s: Some(43) }.render(Id::parse(context).unwrap()).1, text.as_bytes());
    assert_eq!(status(ms(64_999)).header("retry-after"), Some("1"));
    assert_eq!(status(ms(65_000)).status, 202);
    let counts = desk.api.truth().patches;
    assert_eq!((counts.received, counts.accepted, counts.throttled), (303, 301, 2));
}

#[test]
fn each_token_has_a_quota_of_its_own_and_reads_count_too() {
    let mut desk = Desk::new(&Simulator { quotas: window(1, ms(1_000)), ..Simulator::default() });
    let (read, write) = (desk.read_path(), desk.write_path());
    assert_eq!(desk.send(("GET", &read), "", ZERO).status, 200);
    assert_eq!(desk.send(("PATCH", &write), "{}", ZERO).status, 429);
    let login = desk.login(&basic(CLIENT_ID, CLIENT_SECRET), "grant_type=client_credentials", ms(1));
    desk.authorization = format!("Bearer {}", login.body["access_token"].as_str().unwrap());
    assert_eq!(desk.send(("GET", &read), "", ms(2)).status, 200);
}

fn basic(client_id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{secret}")))
}

fn right_credentials() -> String {
    basic(CLIENT_ID, CLIENT_SECRET)
}

#[test]
fn a_login_gives_a_token_for_its_life() {
    let mut desk = Desk::new(&Simulator { token_life: Duration::from_mins(5), ..Simulator::default() });
    let reading = desk.login(&basic(CLIENT_ID, CLIENT_SECRET), "scope=x&grant_type=client_credentials", ms(1_000));
    let token = reading.body["access_token"].as_str().unwrap();
    assert_eq!(reading.body, json!({"access_token": token, "token_type": "bearer", "expires_in": 300}));
    desk.authorization = format!("Bearer {token}");
    let read = desk.read_path();
    assert_eq!(desk.send(("GET", &read), "", ms(300_999)).status, 200);
    assert_eq!(desk.send(("GET", &read), "", ms(301_000)).code(), (401, "bad.credentials"));
    assert_eq!(desk.api.truth().logins.accepted, 1);
}

#[test]
fn a_login_is_refused_in_its_own_shape() {
    let right = basic(CLIENT_ID, CLIENT_SECRET);
    let grant = "grant_type=client_credentials";
    for (authorization, form, status, error) in [
        (basic(CLIENT_ID, "wrong"), grant, 401, "invalid_client"),
        (basic("nobody", CLIENT_SECRET), grant, 401, "invalid_client"),
        ("Basic !".to_owned(), grant, 401, "invalid_client"),
        ("Bearer x".to_owned(), grant, 401, "invalid_client"),
        (right.clone(), "grant_type=password", 400, "unsupported_grant_type"),
        (right.clone(), "", 400, "invalid_request"),
    ] {
        let reading = open().login(&authorization, form, ZERO);
        let description = reading.body["description"].as_str().unwrap();
        assert_eq!(reading.status, status, "{authorization} {form}");
        let whole = json!({"error": error, "description": description, "error_description": description});
        assert_eq!(reading.body, whole, "{authorization} {form}");
    }
}

#[test]
fn every_answer_has_a_correlation_id_of_its_own_and_error_bodies_repeat_it() {
    let mut desk = open();
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in [("GET", "/"), ("PATCH", &desk.write_path()), ("GET", &desk.read_path()), ("POST", "/x")] {
        let reading = desk.send((method, path), "{}", ZERO);
        let id = reading.header("inin-correlation-id").unwrap().to_owned();
        if reading.status >= 400 {
            assert_eq!(reading.body["contextId"], id.as_str());
            assert_eq!(reading.body["status"], reading.status);
            assert!(reading.body["message"].is_string() && reading.body["errors"].is_array());
        }
        assert!(seen.insert(id));
    }
}

#[test]
fn a_message_with_parameters_is_filled_in() {
    let mut desk = open();
    let reading = desk.send(("GET", "/api/v2/conversations/c"), "", ZERO);
    assert_eq!(reading.body["message"], "The conversation c does not exist.");
    assert_eq!(reading.body["messageWithParams"], "The {entityName} {entityId} does not exist.");
    assert_eq!(reading.body["messageParams"], json!({"entityId": "c", "entityName": "conversation"}));
}

#[test]
fn a_read_shows_a_write_from_the_visibility_delay_after_its_answer() {
    let mut desk = open();
    let path = desk.write_path();
    desk.send(("PATCH", &path), r#"{"attributes": {"a": "1", "b": "1"}}"#, ms(1_000));
    desk.send(("PATCH", &path), r#"{"attributes": {"b": "2", "b": "3"}}"#, ms(1_100));
    for (at, expected) in [
        (1_199, json!({})),
        (1_200, json!({"a": "1", "b": "1"})),
        (1_299, json!({"a": "1", "b": "1"})),
        (1_300, json!({"a": "1", "b": "3"})),
    ] {
        assert_eq!(desk.attributes(ms(at)), expected, "{at}");
    }
}

#[test]
fn a_read_shows_the_whole_conversation() {
    let mut desk = open();
    let reading = desk.send(("GET", &desk.read_path()), "", ZERO);
    let participant = |i: usize| &desk.known[i].participant_id;
    let expected = json!({
        "id": desk.known[0].conversation_id,
        "startTime": "1970-01-01T00:00:00.000Z",
        "participants": [
            {"id": participant(0), "purpose": "customer", "attributes": {}},
            {"id": participant(1), "purpose": "agent", "attributes": {}},
        ],
    });
    assert_eq!(reading.body, expected);
}

#[test]
fn a_body_of_the_largest_size_is_taken() {
    let mut desk = open();
    let path = desk.write_path();
    let frame = r#"{"attributes": {"a": ""}}"#;
    let body = frame.replace("\"\"", &format!("\"{}\"", "x".repeat(MAX_BODY - frame.len())));
    assert_eq!(body.len(), MAX_BODY);
    assert_eq!(desk.send(("PATCH", &path), &body, ZERO).status, 202);
}

#[test]
fn every_request_received_has_one_answer_in_the_account() {
    let mut desk = Desk::new(&Simulator::default());
    let (read, write) = (desk.read_path(), desk.write_path());
    for i in 0..400 {
        desk.send(("PATCH", &write), if i % 3 == 0 { "{" } else { r#"{"attributes": {}}"# }, ms(i));
        desk.send(("GET", &read), "", ms(i));
        desk.send(("DELETE", &read), "", ms(i));
    }
    let truth = desk.api.truth();
    for counts in [truth.patches, truth.gets, truth.others] {
        assert_eq!(counts.received, 400);
        assert_eq!(counts.accepted + counts.throttled + counts.rejected + counts.reset, 400);
    }
    assert_eq!((truth.patches.accepted, truth.patches.rejected, truth.gets.accepted), (100, 50, 150));
    assert_eq!(truth.others.rejected, 400);
}
