//! What requests, answers and the truth have to do with quotas; the quotas themselves are tested beside them.

use serde_json::{Value, json};

use crate::quota::{Cost, Limiter, Model, Quota, Scope};
use crate::scenario::{Factor, QuotaHeaders, RetryAfter, Signals, Simulator};
use crate::sim::desk::{Desk, ZERO, ms};

const EMPTY: &str = r#"{"attributes": {}}"#;

fn quota(name: &str, rate: &str) -> Quota {
    let limiter = Limiter::new(Model::FirstRequestWindow { rate: rate.parse().unwrap() });
    Quota { name: name.to_owned(), limiter, scope: Scope::default(), cost: Cost::Request }
}

fn desk(quotas: Vec<Quota>, signals: Signals) -> Desk {
    Desk::new(&Simulator { quotas, signals, conversations: 3, ..Simulator::default() })
}

#[test]
fn the_truth_names_the_quota_that_refused() {
    let mut desk = desk(vec![quota("second", "2/s"), quota("minute", "3/min")], Signals::default());
    let path = desk.write_path();
    for at in [0, 1, 2, 1_000, 1_001] {
        desk.send(("PATCH", &path), EMPTY, ms(at));
    }
    desk.send(("PATCH", "/api/v2/unknown"), EMPTY, ms(1_002));
    let decisions: Vec<Value> =
        desk.truth().iter().map(|line| json!([line["quota"], line["refused_by"], line["status"]])).collect();
    let expected = json!([
        ["admitted", null, 202],
        ["admitted", null, 202],
        ["refused", "second", 429],
        ["admitted", null, 202],
        ["refused", "minute", 429],
        [null, null, 404],
    ]);
    assert_eq!(Value::Array(decisions), expected);
}

#[test]
fn a_queue_holds_the_answer_and_the_effect_back() {
    let model = Model::LeakyQueue { rate: "3/s".parse().unwrap(), burst: 5.try_into().unwrap() };
    let mut desk = desk(vec![Quota { limiter: Limiter::new(model), ..quota("queue", "1/s") }], Signals::default());
    let path = desk.write_path();
    desk.send(("PATCH", &path), EMPTY, ms(1));
    desk.send(("PATCH", &path), EMPTY, ms(1));
    let line = desk.truth().pop().unwrap();
    let found = json!([line["quota"], line["delay_us"], line["answered_us"], line["applied_us"]]);
    // A third of a second is no whole number of microseconds; 200 ms after its answer it is visible.
    assert_eq!(found, json!(["admitted", 333_334, 334_334, 534_334]));
}

#[test]
fn attributes_and_bytes_of_the_body_are_what_it_costs() {
    let body = r#"{"attributes": {"a": "1", "b": "2", "c": "3"}}"#;
    for (cost, limit) in [(Cost::Attributes, 3), (Cost::Bytes, body.len())] {
        let rate = format!("{}/min", limit * 2);
        let mut desk = desk(vec![Quota { cost, ..quota("cost", &rate) }], Signals::default());
        let path = desk.write_path();
        let statuses = [0, 0, 0].map(|_| desk.send(("PATCH", &path), body, ZERO).status);
        assert_eq!(statuses, [202, 202, 429], "{}", cost.name());
    }
}

#[test]
fn what_cannot_be_read_costs_one() {
    let mut desk = desk(vec![Quota { cost: Cost::Attributes, ..quota("cost", "2/min") }], Signals::default());
    let path = desk.write_path();
    assert_eq!([0, 0, 0].map(|_| desk.send(("PATCH", &path), "{", ZERO).status), [400, 400, 429]);
}

#[test]
fn conversations_have_quotas_of_their_own_and_requests_without_one_share_theirs() {
    let scope = Scope { resource: true, ..Scope::default() };
    let mut desk = desk(vec![Quota { scope, ..quota("resource", "1/min") }], Signals::default());
    let (write, read) = (desk.write_path(), desk.read_path());
    let other = format!("/api/v2/conversations/{}", desk.known[2].conversation_id);
    let limits = "/api/v2/organizations/limits/namespaces/conversation";
    let mut status = |method, path: &str| desk.send((method, path), EMPTY, ZERO).status;
    assert_eq!([status("PATCH", &write), status("GET", &read), status("GET", &other)], [202, 429, 200]);
    assert_eq!([status("GET", limits), status("GET", limits)], [200, 429]);
}

#[test]
fn retry_after_and_message_tell_the_same_or_nothing() {
    for (retry_after, factor, header, message) in [
        (RetryAfter::Seconds, 1.0, Some("60"), ". Retry the request in [60] seconds"),
        (RetryAfter::Seconds, 0.25, Some("15"), ". Retry the request in [15] seconds"),
        (RetryAfter::Date, 1.0, Some("Thu, 01 Jan 1970 00:01:01 GMT"), ". Retry the request in [60] seconds"),
        (RetryAfter::Missing, 1.0, None, ""),
    ] {
        let signals = Signals { retry_after, retry_after_factor: Factor(factor), ..Signals::default() };
        let mut desk = desk(vec![quota("minute", "1/min")], signals);
        let path = desk.write_path();
        desk.send(("PATCH", &path), EMPTY, ms(500));
        let refused = desk.send(("PATCH", &path), EMPTY, ms(501));
        assert_eq!((refused.status, refused.header("retry-after")), (429, header), "{retry_after:?}");
        assert_eq!(refused.body["message"], format!("Rate limit exceeded the maximum{message}"));
    }
}

#[test]
fn a_refusal_that_time_does_not_end_tells_to_wait_a_second() {
    let limiter = Limiter::new(Model::Concurrency { limit: 1.try_into().unwrap() });
    let mut desk = desk(vec![Quota { limiter, ..quota("one", "1/s") }], Signals::default());
    let path = desk.write_path();
    // The desk reports no answer as done.
    assert_eq!(desk.send(("PATCH", &path), EMPTY, ZERO).status, 202);
    let refused = desk.send(("PATCH", &path), EMPTY, ms(1));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
}

#[test]
fn every_answer_that_a_quota_was_asked_for_tells_what_is_left() {
    let signals = Signals { headers: QuotaHeaders::XRateLimit, ..Signals::default() };
    let mut desk = desk(vec![quota("minute", "2/min")], signals);
    let (read, write) = (desk.read_path(), desk.write_path());
    let mut send = |method, path: &str, body| {
        let reading = desk.send((method, path), body, ms(1_000));
        let header = |name| reading.header(name).map(str::to_owned);
        (reading.status, header("x-ratelimit-remaining"), header("x-ratelimit-reset"))
    };
    let left = |remaining: &str| (Some(remaining.to_owned()), Some("60".to_owned()));
    for (method, path, body, status, (remaining, reset)) in [
        ("PATCH", write.as_str(), "{", 400, left("1")),
        ("GET", &read, "", 200, left("0")),
        ("GET", &read, "", 429, left("0")),
        ("GET", "/nothing", "", 404, (None, None)),
    ] {
        assert_eq!(send(method, path, body), (status, remaining, reset), "{method} {path}");
    }
}
