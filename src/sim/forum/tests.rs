//! What the threads tell, row by row, without a socket.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::scenario::{Dialect, Life, LogNormal, Participant, READ_ONLY_TOKEN, STATIC_TOKEN, Simulator, Span};
use crate::sim::body::Body;
use crate::sim::desk::{Desk, Reading, ZERO, ms, window};
use crate::units::{Duration, Share};

/// The code of a body with a field that is missing, wrong or too much.
const BODY: &str = "invalid_request_body";

const JSON: (&str, &str) = ("content-type", "application/json");

/// Without quota and delay, for tests of anything else.
fn config() -> Simulator {
    let visible_after = LogNormal::always(ZERO);
    Simulator { dialect: Dialect::Forum, quotas: Vec::new(), conversations: 3, visible_after, ..Simulator::default() }
}

fn forum() -> Desk {
    Desk::new(&config())
}

/// A path with `C` and `P` for the ids of the first participant, a customer.
fn path(desk: &Desk, pattern: &str) -> String {
    let Participant { conversation_id, participant_id, .. } = &desk.known[0];
    format!("/api/v2/{pattern}")
        .replace("/C", &format!("/{conversation_id}"))
        .replace("/P", &format!("/{participant_id}"))
}

const ALONE: &str = "conversations/participants/P";
const LIVE: &str = "conversations/C/participants/P";
const WEB: &str = "conversations/web/C/participants/P";
const INTERACTION: &str = "interactions/C/participants/P";
const TYPED: &str = "conversations/interactions/C/participants/P";
const VOICE: &str = "conversations/voice/conversations/C/participants/P";
const CALLS: &str = "conversations/calls/C/participants/P";

fn patch(desk: &mut Desk, pattern: &str, body: &Value, at: Duration) -> Reading {
    let path = path(desk, pattern);
    desk.send(("PATCH", &path), &body.to_string(), at)
}

/// A PATCH with headers of its own beside the token.
fn patch_with(desk: &mut Desk, pattern: &str, header: Option<(&str, &str)>, body: &Value) -> Reading {
    let authorization = desk.authorization.clone();
    let headers: Vec<_> = [("authorization", authorization.as_str())].into_iter().chain(header).collect();
    let body = Body::Whole(Bytes::from(body.to_string()));
    let path = path(desk, pattern);
    desk.send_with(("PATCH", &path), &headers, &body, ZERO)
}

/// The participant as a read shows it.
fn shown(desk: &mut Desk, at: Duration) -> Value {
    let read = desk.send(("GET", &desk.read_path()), "", at);
    assert_eq!(read.status, 200);
    read.body["participants"][0].clone()
}

/// The participant as a read shows it, with other attributes.
fn edited(desk: &mut Desk, attributes: &Value, at: Duration) -> Value {
    let mut object = shown(desk, at);
    object["attributes"] = attributes.clone();
    object
}

/// Status, code, and the field that the first entry of `errors` names.
fn fault(reading: &Reading) -> (u16, &str, &str) {
    let (status, code) = reading.code();
    (status, code, reading.body["errors"][0]["field"].as_str().unwrap_or_default())
}

fn always(time: u64) -> Span {
    Span { min: ms(time), max: ms(time) }
}

/// A draft for 2 s, alerting for 3 s, connected for 10 s, and known 1 s after it was connected.
fn living() -> Desk {
    let share = Share::new(1.0).unwrap();
    let (draft, alerting, connected) = (always(2_000), always(3_000), Some(always(10_000)));
    let life = Some(Life { share, draft, alerting, connected, known_after: ms(1_000) });
    Desk::new(&Simulator { life, ..config() })
}

#[test]
fn thread_a_refuses_the_flat_map_and_takes_the_wrapped_one() {
    for pattern in [LIVE, ALONE] {
        let mut desk = forum();
        let flat = patch(&mut desk, pattern, &json!({"attributes": {"a": "1"}}), ZERO);
        assert_eq!(fault(&flat), (400, "validation_failure", "participantData"), "{pattern}");
        let half = patch(&mut desk, pattern, &json!({"participantData": {"a": "1"}}), ZERO);
        assert_eq!(fault(&half), (400, "validation_failure", "participantData.customAttributes"), "{pattern}");
        assert_eq!(desk.attributes(ZERO), json!({}));
        let wrapped = json!({"participantData": {"customAttributes": {"a": "1"}}});
        assert_eq!(patch(&mut desk, pattern, &wrapped, ZERO).status, 200, "{pattern}");
        assert_eq!(desk.attributes(ZERO), json!({"a": "1"}), "{pattern}");
    }
}

#[test]
fn thread_a_has_a_request_id_to_quote_to_support() {
    let mut desk = forum();
    let refused = patch(&mut desk, LIVE, &json!({"attributes": {}}), ZERO);
    let id = refused.header("x-request-id").unwrap();
    assert_eq!((id.len(), &refused.body["contextId"]), (36, &json!(id)));
    assert_eq!(refused.header("inin-correlation-id"), None);
    let other = patch(&mut desk, LIVE, &json!({"attributes": {}}), ZERO);
    assert_ne!(other.header("x-request-id"), Some(id));
}

#[test]
fn thread_b_names_the_type_that_is_missing_or_wrong() {
    let mut desk = forum();
    let attributes = json!({"a": "1"});
    for (body, field) in [
        (json!({"attributes": attributes}), "type"),
        (json!({"participantAttributes": attributes}), "type"),
        (json!({"type": null, "participantAttributes": attributes}), "type"),
        (json!({"type": "customer", "participantAttributes": attributes}), "type"),
        (json!({"type": "agent", "participantAttributes": attributes}), "type"),
        (json!({"type": "contact", "attributes": attributes}), "participantAttributes"),
        (json!({"type": "contact", "participantAttributes": {"a": 1}}), "participantAttributes.a"),
    ] {
        assert_eq!(fault(&patch(&mut desk, WEB, &body, ZERO)), (400, BODY, field), "{body}");
    }
    let wrapped = json!({"data": {"type": "contact", "attributes": attributes}});
    let patched = patch_with(&mut desk, WEB, Some(("content-type", "application/json-patch+json")), &wrapped);
    assert_eq!(fault(&patched), (400, BODY, "type"));
    assert_eq!(desk.attributes(ZERO), json!({}));
    let typed = json!({"type": "contact", "participantAttributes": attributes});
    assert_eq!(patch(&mut desk, WEB, &typed, ZERO).status, 200);
    assert_eq!(desk.attributes(ZERO), attributes);
}

#[test]
fn thread_b_judges_the_type_by_what_the_participant_is_and_not_by_the_data_row() {
    let mut desk = Desk::new(&Simulator { mismatched_roles: Share::new(1.0).unwrap(), ..config() });
    let body = |kind| json!({"type": kind, "participantAttributes": {"a": "1"}});
    let of_row = desk.known[0].role.type_name();
    assert_eq!(fault(&patch(&mut desk, WEB, &body(of_row), ZERO)), (400, BODY, "type"));
    let actual = desk.known[0].actual.type_name();
    assert_eq!(patch(&mut desk, WEB, &body(actual), ZERO).status, 200);
}

#[test]
fn threads_b_and_c_refuse_a_full_object_that_is_out_of_step() {
    for pattern in [WEB, TYPED] {
        let mut desk = forum();
        let first = edited(&mut desk, &json!({"a": "1"}), ZERO);
        assert_eq!(patch(&mut desk, pattern, &first, ZERO).status, 200, "{pattern}: in step");
        assert_eq!(patch(&mut desk, pattern, &first, ZERO).code(), (409, "conflict"), "{pattern}: a stale version");
        let mut next = edited(&mut desk, &json!({"a": "2"}), ZERO);
        assert_eq!((&first["version"], &next["version"]), (&json!(1), &json!(2)));
        next["state"] = json!("alerting");
        assert_eq!(patch(&mut desk, pattern, &next, ZERO).code(), (409, "conflict"), "{pattern}: another state");
        next["state"] = json!("connected");
        next["version"] = json!("2");
        assert_eq!(patch(&mut desk, pattern, &next, ZERO).status, 200, "{pattern}: in step again");
        assert_eq!(desk.attributes(ZERO), json!({"a": "2"}));
        next["state"] = json!("elsewhere");
        assert_eq!(fault(&patch(&mut desk, pattern, &next, ZERO)), (400, BODY, "state"), "{pattern}");
    }
}

#[test]
fn threads_b_and_e_forbid_a_token_that_may_only_read() {
    let mut desk = forum();
    desk.authorization = format!("Bearer {READ_ONLY_TOKEN}");
    for (pattern, body) in
        [(WEB, json!({"type": "contact", "participantAttributes": {}})), (CALLS, json!({"attributes": {}}))]
    {
        assert_eq!(patch(&mut desk, pattern, &body, ZERO).code(), (403, "missing.permissions"), "{pattern}");
    }
    assert_eq!(desk.attributes(ZERO), json!({}));
}

#[test]
fn thread_c_answers_200_on_its_first_path_and_changes_nothing() {
    let mut desk = forum();
    let before = shown(&mut desk, ZERO);
    let full = edited(&mut desk, &json!({"a": "1"}), ZERO);
    for body in [json!({"a": "1"}), json!({"attributes": {"a": "1"}}), json!({"attributes": {"a": 1}}), full] {
        assert_eq!(patch(&mut desk, INTERACTION, &body, ZERO).status, 200, "{body}");
    }
    assert_eq!(shown(&mut desk, ms(60_000)), before, "not even the version");
    let writes = desk.truth().into_iter().filter(|line| line["method"] == "PATCH");
    assert!(writes.map(|line| line["applied_us"].clone()).all(|applied| applied == Value::Null));
}

#[test]
fn thread_c_wants_a_content_type_on_both_paths() {
    for pattern in [INTERACTION, TYPED] {
        let mut desk = forum();
        let body = json!({"type": "contact", "attributes": {"a": "1"}});
        for missing in [None, Some(("content-type", "")), Some(("content-type", " "))] {
            let refused = patch_with(&mut desk, pattern, missing, &body);
            assert_eq!(refused.code(), (400, "missing_content_type"), "{pattern} {missing:?}");
        }
        assert_eq!(patch_with(&mut desk, pattern, Some(JSON), &body).status, 200, "{pattern}");
    }
}

#[test]
fn thread_c_takes_the_typed_object_on_its_second_path_alone() {
    let mut desk = forum();
    let flat = json!({"attributes": {"a": "1"}});
    assert_eq!(fault(&patch(&mut desk, TYPED, &flat, ZERO)), (400, BODY, "type"));
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    assert_eq!(patch(&mut desk, INTERACTION, &typed, ZERO).status, 200);
    assert_eq!(desk.attributes(ZERO), json!({}));
    assert_eq!(patch(&mut desk, TYPED, &typed, ZERO).status, 200);
    assert_eq!(desk.attributes(ZERO), json!({"a": "1"}));
}

#[test]
fn thread_c_refuses_a_static_token_once_it_has_expired() {
    let mut desk = Desk::new(&Simulator { static_token_life: Some(ms(5_000)), ..config() });
    assert_eq!(desk.authorization, format!("Bearer {STATIC_TOKEN}"));
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    assert_eq!(patch(&mut desk, TYPED, &typed, ms(4_999)).status, 200);
    assert_eq!(patch(&mut desk, TYPED, &typed, ms(5_000)).code(), (401, "bad.credentials"));
}

#[test]
fn thread_c_throttles_at_scale() {
    let mut desk = Desk::new(&Simulator { quotas: window(2, ms(1_000)), ..config() });
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    let statuses = [0, 1, 2, 1_000].map(|at| patch(&mut desk, TYPED, &typed, ms(at)).status);
    assert_eq!(statuses, [200, 200, 429, 200]);
}

#[test]
fn thread_c_shows_a_change_200_ms_after_its_answer() {
    let mut desk = Desk::new(&Simulator { visible_after: LogNormal::always(ms(200)), ..config() });
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    assert_eq!(patch(&mut desk, TYPED, &typed, ZERO).status, 200);
    assert_eq!([199, 200].map(|at| desk.attributes(ms(at))), [json!({}), json!({"a": "1"})]);
}

#[test]
fn thread_c_does_not_know_a_draft_until_it_is_active_and_a_read_makes_it_so() {
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    let write = |desk: &mut Desk, at| patch(desk, TYPED, &typed, ms(at)).status;
    let mut alone = living();
    assert_eq!([0, 1_999, 2_000].map(|at| write(&mut alone, at)), [404, 404, 200]);
    let mut read = living();
    assert_eq!(shown(&mut read, ZERO)["state"], "draft");
    assert_eq!(write(&mut read, 0), 200);
}

#[test]
fn thread_c_refuses_what_comes_after_the_participant_has_left() {
    let typed = json!({"type": "contact", "attributes": {"a": "1"}});
    let mut desk = living();
    assert_eq!(patch(&mut desk, TYPED, &typed, ms(14_999)).status, 200);
    assert_eq!(patch(&mut desk, TYPED, &typed, ms(15_000)).code(), (409, "conflict"));
}

#[test]
fn thread_d_answers_204_and_what_is_not_whole_goes_again_or_never_comes() {
    for header in [JSON, ("if-match", "\"1\"")] {
        let (mut fleeting, mut never) = (0, 0);
        let mut desk = forum();
        for step in 0..40 {
            let at = ms(step * 10_000);
            let body = json!({"type": "contact", "attributes": {"a": step.to_string()}});
            let authorization = desk.authorization.clone();
            let headers = [("authorization", authorization.as_str()), header];
            let body = Body::Whole(Bytes::from(body.to_string()));
            let answer = desk.send_with(("PATCH", &path(&desk, VOICE)), &headers, &body, at);
            assert_eq!((answer.status, answer.body), (204, Value::Null));
            match desk.attributes(at) {
                none if none == json!({}) => never += 1,
                _ => fleeting += 1,
            }
            assert_eq!(desk.attributes(at + ms(999)) == json!({}), desk.attributes(at) == json!({}));
            assert_eq!(desk.attributes(at + ms(1_000)), json!({}), "{header:?} {step}");
        }
        assert!(fleeting >= 10 && never >= 10, "{fleeting} showed up, {never} did not");
    }
}

#[test]
fn thread_d_keeps_what_comes_with_every_field() {
    for missing in SHOWN {
        let mut desk = forum();
        let mut object = edited(&mut desk, &json!({"a": "1"}), ZERO);
        assert_eq!(patch(&mut desk, VOICE, &object, ZERO).status, 204);
        assert_eq!(desk.attributes(ms(60_000)), json!({"a": "1"}));
        object["attributes"] = json!({"a": "2"});
        object.as_object_mut().unwrap().remove(missing);
        let status = if missing == "attributes" { 400 } else { 204 };
        assert_eq!(patch(&mut desk, VOICE, &object, ms(60_000)).status, status, "{missing}");
        assert_eq!(desk.attributes(ms(120_000)), json!({"a": "1"}), "{missing}");
    }
}

#[test]
fn thread_e_puts_the_whole_object_in_the_place_of_the_old_one() {
    let mut desk = forum();
    assert_eq!(patch(&mut desk, CALLS, &json!({"attributes": {"a": "1", "b": "1"}}), ZERO).status, 200);
    let whole = json!({"id": desk.known[0].participant_id, "routing": {}, "attributes": {"b": "2"}});
    let put = |desk: &mut Desk, body: &Value| desk.send(("PUT", &path(desk, CALLS)), &body.to_string(), ZERO);
    for missing in ["id", "routing"] {
        let mut partial = whole.clone();
        partial.as_object_mut().unwrap().remove(missing);
        assert_eq!(fault(&put(&mut desk, &partial)), (400, BODY, missing));
    }
    assert_eq!(desk.attributes(ZERO), json!({"a": "1", "b": "1"}), "nothing of them is applied");
    assert_eq!(put(&mut desk, &whole).status, 200);
    assert_eq!(desk.attributes(ZERO), json!({"b": "2"}));
    let mut read = shown(&mut desk, ZERO);
    assert_eq!(fault(&put(&mut desk, &read)), (400, BODY, "routing"));
    read["routing"] = json!({"queue": "sales"});
    assert_eq!(put(&mut desk, &read).status, 200, "what a read shows may come back");
    read.as_object_mut().unwrap().remove("attributes");
    assert_eq!(put(&mut desk, &read).status, 200);
    assert_eq!(desk.attributes(ZERO), json!({}), "an object without attributes replaces them by none");
}

#[test]
fn thread_e_refuses_nested_values_extra_keys_and_another_name_of_the_map() {
    let mut desk = forum();
    for (body, field) in [
        (json!({"attributes": {"a": {"b": "c"}}}), "attributes.a"),
        (json!({"attributes": {"a": ["b"]}}), "attributes.a"),
        (json!({"attributes": {"a": "1"}, "note": "x"}), "note"),
        (json!({"custom_attributes": {"a": "1"}}), "custom_attributes"),
        (json!({}), "attributes"),
    ] {
        assert_eq!(fault(&patch(&mut desk, CALLS, &body, ZERO)), (400, BODY, field), "{body}");
    }
    let extra = json!({"id": "x", "routing": {}, "note": "x", "attributes": {}});
    let refused = desk.send(("PUT", &path(&desk, CALLS)), &extra.to_string(), ZERO);
    assert_eq!(fault(&refused), (400, BODY, "note"));
    assert_eq!(desk.attributes(ZERO), json!({}));
}

#[test]
fn thread_e_does_not_know_a_participant_for_a_while_after_the_call_connects() {
    let body = json!({"attributes": {"a": "1"}});
    let code = "conversation.error.not.conversation.participant";
    let mut desk = living();
    assert_eq!([2_000, 5_000, 5_999].map(|at| patch(&mut desk, CALLS, &body, ms(at)).status), [404; 3]);
    assert_eq!(patch(&mut desk, CALLS, &body, ms(5_999)).code(), (404, code));
    assert_eq!(patch(&mut desk, CALLS, &body, ms(6_000)).status, 200);
    let typed = json!({"type": "contact", "attributes": {}});
    assert_eq!(patch(&mut living(), TYPED, &typed, ms(5_000)).status, 200, "other threads do not tell of it");
    let share = Share::NONE;
    let life = Life { share, draft: always(0), alerting: always(0), connected: None, known_after: ms(1_000) };
    let mut old = Desk::new(&Simulator { life: Some(life), ..config() });
    assert_eq!(patch(&mut old, CALLS, &body, ZERO).status, 200, "one that is connected from the start is known");
}

#[test]
fn a_body_that_is_no_object_is_malformed_on_every_path() {
    let mut desk = forum();
    for pattern in [LIVE, ALONE, WEB, INTERACTION, TYPED, VOICE, CALLS] {
        for body in ["", "[]", "\"a\"", "{"] {
            let path = path(&desk, pattern);
            assert_eq!(desk.send(("PATCH", &path), body, ZERO).code(), (400, "bad.request"), "{pattern} {body}");
        }
    }
}
