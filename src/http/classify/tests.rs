//! What is made of bodies and headers, also of those that nobody would send.

use std::sync::LazyLock;

use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::http::veil::LENGTH;
use crate::scenario::{Hidden, Holds};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

fn said(status: u16, body: &Value, headers: &HeaderMap) -> Answer {
    let body = body.to_string();
    answer(Outcome::Rejected, Reply { status, headers, body: body.as_bytes(), veil: veil() }, &[])
}

fn code_of_problem_with(body: &Value) -> String {
    said(400, body, &headers(&[("content-type", "application/problem+json; charset=utf-8")])).code
}

/// One that hides nothing.
fn veil() -> Veil<'static> {
    static NOTHING: LazyLock<Hidden> = LazyLock::new(Hidden::default);
    Veil::new(&NOTHING, None)
}

fn rule(name: &str) -> Rule {
    Rule { name: name.to_owned(), status: None, holds: None, text: None, class: None }
}

#[test]
fn the_code_of_a_problem_is_the_last_segment_of_its_type_and_else_its_title() {
    for (body, code) in [
        (json!({ "type": "https://example.com/probs/out-of-credit", "title": "No credit" }), "out-of-credit"),
        (json!({ "type": "https://example.com/probs/out-of-credit/?lang=en" }), "out-of-credit"),
        (json!({ "type": "urn:problem:credit", "title": "No credit" }), "urn:problem:credit"),
        (json!({ "type": "about:blank", "title": "Not Found" }), "Not Found"),
        (json!({ "title": "Not Found", "status": 404 }), "Not Found"),
        (json!({ "type": "about:blank", "code": "no.credit", "title": "Not Found" }), "no.credit"),
        (json!({ "type": "/", "title": "Odd" }), "Odd"),
        (json!({ "errors": [{ "code": "nested" }] }), "nested"),
        (json!([]), ""),
    ] {
        assert_eq!(code_of_problem_with(&body), code, "{body}");
    }
}

#[test]
fn a_type_means_something_else_in_a_body_that_is_no_problem() {
    let body = json!({ "type": "https://example.com/contact", "code": "bad.request" });
    assert_eq!(said(400, &body, &headers(&[("content-type", "application/json")])).code, "bad.request");
}

#[test]
fn the_message_of_a_problem_is_its_detail() {
    let body = json!({ "type": "https://example.com/a", "title": "No credit", "detail": "30 is less than 50" });
    let answer = said(403, &body, &headers(&[("content-type", PROBLEM)]));
    assert_eq!(answer.message.as_deref(), Some("30 is less than 50"));
}

#[test]
fn the_field_is_that_of_the_first_entry_that_names_one() {
    let none = HeaderMap::new();
    for (body, field) in [
        (json!({ "errors": [], "details": [{ "errorCode": "invalid.value", "fieldName": "tier" }] }), Some("tier")),
        (json!({ "errors": [{ "errorCode": "a" }, { "fieldName": "type" }] }), Some("type")),
        (json!({ "errors": [{ "detail": "must be positive", "pointer": "#/age" }] }), Some("#/age")),
        (json!({ "errors": { "Name": ["The Name field is required."] } }), Some("Name")),
        (json!({ "errors": "fieldName" }), None),
        (json!({ "code": "bad.request" }), None),
    ] {
        assert_eq!(said(400, &body, &none).field.as_deref(), field, "{body}");
    }
}

#[test]
fn a_429_names_its_limit_and_keeps_its_code() {
    let limit = json!({ "key": "token.rate.per.minute", "namespace": "platform.api", "value": 300 });
    let body = json!({ "code": "too.many.requests.retry.after", "limit": limit });
    let answer = said(429, &body, &HeaderMap::new());
    assert_eq!(answer.limit.as_deref(), Some("token.rate.per.minute of platform.api"));
    assert_eq!(answer.code, "too.many.requests.retry.after");
    assert_eq!(said(429, &json!({ "limit": 300 }), &HeaderMap::new()).limit, None);
}

#[test]
fn the_first_rule_that_an_answer_meets_names_it() {
    let holds = |equals: &str| Holds { pointer: "/errors/0/fieldName".to_owned(), equals: Some(json!(equals)) };
    let rules = [
        Rule { holds: Some(holds("role")), ..rule("missing-role") },
        Rule { holds: Some(holds("type")), ..rule("missing-type") },
        Rule { text: Some("Busy".to_owned()), class: Some(Class::Throttled), ..rule("busy") },
        Rule { status: Some(400), ..rule("any") },
    ];
    let none = HeaderMap::new();
    let named = |status, body: &str| {
        let answer =
            answer(Outcome::Rejected, Reply { status, headers: &none, body: body.as_bytes(), veil: veil() }, &rules);
        (answer.code, answer.outcome)
    };
    assert_eq!(named(400, r#"{"errors":[{"fieldName":"type"}]}"#), ("missing-type".to_owned(), Outcome::Rejected));
    assert_eq!(named(403, "<html>Busy</html>"), ("busy".to_owned(), Outcome::Throttled));
    assert_eq!(named(400, "{}"), ("any".to_owned(), Outcome::Rejected));
    assert_eq!(named(403, r#"{"code":"own"}"#), ("own".to_owned(), Outcome::Rejected));
}

#[test]
fn a_rule_makes_a_failure_of_a_success_and_a_success_of_a_failure() {
    let none = HeaderMap::new();
    let told = |outcome, status, body: &'static [u8], rules: &[Rule]| {
        let answer = answer(outcome, Reply { status, headers: &none, body, veil: veil() }, rules);
        (answer.outcome, answer.status, answer.code)
    };
    let error = [Rule { text: Some("\"ok\":false".to_owned()), class: Some(Class::Rejected), ..rule("not-ok") }];
    assert!(may_turn(&error, 200));
    let not_ok = (Outcome::Rejected, Some(200), "not-ok".to_owned());
    assert_eq!(told(Outcome::Accepted, 200, br#"{"ok":false}"#, &error), not_ok);
    let ok = (Outcome::Accepted, Some(200), String::new());
    assert_eq!(told(Outcome::Accepted, 200, br#"{"ok":true}"#, &error), ok);
    let gone = [Rule { status: Some(404), class: Some(Class::Accepted), ..rule("gone-already") }];
    assert!(!may_turn(&gone, 404));
    assert_eq!(told(Outcome::Rejected, 404, b"", &gone), (Outcome::Accepted, Some(404), String::new()));
}

/// Any JSON, with the keys that mean something more often than others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        "[a-z:/?#]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        proptest::sample::select(vec![
            "code",
            "error",
            "errors",
            "details",
            "errorCode",
            "fieldName",
            "type",
            "title",
            "detail",
            "limit",
            "key",
            "namespace",
            "contextId",
            "message",
            "pointer",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= LENGTH && !text.chars().any(char::is_control)
}

proptest! {
    #[test]
    fn no_body_and_no_header_makes_it_panic_and_all_it_tells_is_short(
        status in 100..=599_u16,
        json in any_json(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..260), 5),
        is_problem: bool,
    ) {
        let names = ["retry-after", "date", "inin-correlation-id", "x-request-id", "content-type"];
        let mut headers: HeaderMap = names
            .into_iter()
            .zip(&values)
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)))
            .collect();
        if is_problem {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        }
        let holds = Holds { pointer: "/errors/0/fieldName".to_owned(), equals: Some(json!("type")) };
        let rules = [
            Rule { holds: Some(holds), ..rule("type") },
            Rule { text: Some("a".to_owned()), class: Some(Class::Failed), ..rule("a") },
        ];
        let json = json.to_string();
        let half = &json.as_bytes()[..cut.index(json.len() + 1)];
        for body in [json.as_bytes(), half, &bytes] {
            for outcome in Outcome::ALL {
                let told = answer(outcome, Reply { status, headers: &headers, body, veil: veil() }, &rules);
                prop_assert!(is_short(&told.code), "{told:?}");
                for text in [&told.message, &told.correlation_id, &told.field, &told.limit].into_iter().flatten() {
                    prop_assert!(is_short(text), "{told:?}");
                }
            }
        }
    }
}
