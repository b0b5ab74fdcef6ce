//! Who may do what: tokens, clients, the sibling PATCH, the organisation's limits, and what comes too late.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{basic, open, right_credentials};
use crate::quota::{Cost, Limiter, Model, Quota, Scope};
use crate::scenario::{CLIENT_SECRET, READ_ONLY_TOKEN, Simulator};
use crate::sim::body::Body;
use crate::sim::desk::{Desk, ZERO, ms, window};

const GRANT: &str = "grant_type=client_credentials";

#[test]
fn a_read_only_token_reads_and_does_not_write() {
    let mut desk = open();
    desk.authorization = format!("Bearer {READ_ONLY_TOKEN}");
    let (read, write) = (desk.read_path(), desk.write_path());
    for path in [write.as_str(), &write.replace("/attributes", "")] {
        let reading = desk.send(("PATCH", path), "{", ZERO);
        assert_eq!(reading.code(), (403, "missing.permissions"), "{path}");
    }
    assert_eq!(desk.send(("GET", &read), "", ZERO).status, 200);
    let truth = desk.truth();
    assert_eq!((&truth[0]["token"], &truth[0]["quota"]), (&json!("read-only"), &json!("admitted")));
}

#[test]
fn the_sibling_patch_hangs_up_the_call_and_takes_no_attributes() {
    let mut desk = open();
    let (read, sibling) = (desk.read_path(), desk.write_path().replace("/attributes", ""));
    let mut send = |body: &str, at| desk.send(("PATCH", &sibling), body, ms(at)).code().0;
    assert_eq!(send(r#"{"attributes": {"a": "1"}, "state": "connected", "muted": true, "wrapup": {}}"#, 1_000), 202);
    assert_eq!(send(r#"{"state": null, "held": null}"#, 1_500), 202);
    let before = desk.send(("GET", &read), "", ms(1_999)).body;
    assert_eq!((before.get("endTime"), &before["participants"][0]["attributes"]), (None, &json!({})));
    let medium = sibling.replace("conversations/", "conversations/calls/");
    for at in [2_000, 3_000] {
        assert_eq!(desk.send(("PATCH", &medium), r#"{"state": "disconnected"}"#, ms(at)).status, 202);
    }
    let after = desk.send(("GET", &read), "", ms(4_000)).body;
    assert_eq!(after["endTime"], "1970-01-01T00:00:02.000Z", "the call ends once");
    assert_eq!(desk.truth()[0]["operation"], "participant");
}

#[test]
fn the_sibling_patch_refuses_values_of_another_kind() {
    for (body, field) in [
        (r#"{"state": 1}"#, "state"),
        (r#"{"state": {}}"#, "state"),
        (r#"{"recording": "yes"}"#, "recording"),
        (r#"{"muted": 1}"#, "muted"),
        (r#"{"confined": []}"#, "confined"),
        (r#"{"held": "true", "state": "disconnected"}"#, "held"),
        (r#"{"wrapupSkipped": {}}"#, "wrapupSkipped"),
        (r#"{"wrapup": "code"}"#, "wrapup"),
    ] {
        let mut desk = open();
        let (read, sibling) = (desk.read_path(), desk.write_path().replace("/attributes", ""));
        let reading = desk.send(("PATCH", &sibling), body, ZERO);
        assert_eq!(reading.code(), (400, "invalid.value"), "{body}");
        assert_eq!(reading.body["details"], json!([{"errorCode": "invalid.value", "fieldName": field}]), "{body}");
        assert_eq!(desk.send(("GET", &read), "", ms(1)).body.get("endTime"), None, "{body}");
    }
    let mut desk = open();
    let sibling = desk.write_path().replace("/attributes", "");
    let nobody = sibling.replace(&desk.known[0].participant_id, "p");
    assert_eq!(desk.send(("PATCH", &sibling), "[]", ZERO).code(), (400, "bad.request"));
    let code = "conversation.error.not.conversation.participant";
    assert_eq!(desk.send(("PATCH", &nobody), "{}", ZERO).code(), (404, code));
}

#[test]
fn the_organisations_limits_are_those_of_the_configuration() {
    let limits = |quotas: Vec<Quota>, namespace: &str| {
        let mut desk = Desk::new(&Simulator { quotas, ..Simulator::default() });
        let path = format!("/api/v2/organizations/limits/namespaces/{namespace}");
        let reading = desk.send(("GET", &path), "", ZERO);
        (reading.status, reading.body)
    };
    let limit = |key: &str, value: u64| json!({"key": key, "namespace": "platform.api", "value": value});
    let rest = [limit("org.app.user.rate.per.minute", 3_000), limit("request.bytes.max", 512_000)];
    let of_token = |value| {
        let keys = ["client.credentials.token.rate.per.minute", "token.rate.per.minute"];
        keys.map(|key| limit(key, value)).into_iter().chain(rest.clone()).collect::<Vec<_>>()
    };
    let default = Simulator::default().quotas;
    assert_eq!(limits(default.clone(), "platform.api"), (200, json!({"entities": of_token(300)})));
    assert_eq!(limits(window(7, ms(2_000)), "platform.api"), (200, json!({"entities": of_token(210)})));
    assert_eq!(limits(Vec::new(), "platform.api"), (200, json!({"entities": rest})));
    let limiter = Limiter::new(Model::Concurrency { limit: 3.try_into().unwrap() });
    let concurrency = Quota { limiter, ..default[0].clone() };
    assert_eq!(limits(vec![concurrency], "platform.api"), (200, json!({"entities": rest})));
    assert_eq!(limits(default.clone(), "conversation"), (200, json!({"entities": []})));
    for namespace in ["billing", "", "platform.api/"] {
        let (status, body) = limits(default.clone(), namespace);
        assert_eq!((status, &body["code"]), (404, &json!("not.found")), "{namespace}");
    }
}

#[test]
fn the_organisations_limits_need_a_token_but_no_permission() {
    let mut desk = open();
    let path = "/api/v2/organizations/limits/namespaces/platform.api";
    desk.authorization = format!("Bearer {READ_ONLY_TOKEN}");
    assert_eq!(desk.send(("GET", path), "", ZERO).status, 200);
    desk.authorization = "Bearer nobody".to_owned();
    assert_eq!(desk.send(("GET", path), "", ZERO).status, 401);
}

#[test]
fn too_many_logins_are_throttled_in_the_shape_of_the_login() {
    let logins = Some("2/min".parse().unwrap());
    let mut desk = Desk::new(&Simulator { logins, clients: 2, ..Simulator::default() });
    let second = basic("simulator-2", CLIENT_SECRET);
    let mut login = |authorization: &str, at| {
        let reading = desk.login(authorization, GRANT, ms(at));
        (reading.status, reading.body["error"].clone(), reading.body["description"].clone())
    };
    let first = right_credentials();
    assert_eq!([1_000, 2_000].map(|at| login(&first, at).0), [200, 200]);
    let (status, error, description) = login(&first, 60_999);
    assert_eq!((status, &error), (400, &json!("invalid_request")));
    assert!(description.as_str().unwrap().starts_with("rate limit exceeded"), "{description}");
    assert_eq!(login(&second, 60_999).0, 200, "another client has logins of its own");
    assert_eq!(login(&first, 61_000).0, 200);
    let tokens: Vec<_> = desk.truth().iter().map(|line| (line["token"].clone(), line["client"].clone())).collect();
    let named = |name: &str, client: &str| (json!(name), json!(client));
    let expected = [
        named("login-1", "simulator"),
        named("login-2", "simulator"),
        (Value::Null, Value::Null),
        named("login-3", "simulator-2"),
        named("login-4", "simulator"),
    ];
    assert_eq!(tokens, expected);
    assert_eq!(desk.truth()[2]["code"], "invalid_request");
    assert_eq!(desk.api.truth().logins.rejected, 1);
}

#[test]
fn only_the_clients_of_the_configuration_log_in() {
    for (clients, name, status) in [
        (1, "simulator", 200),
        (1, "simulator-2", 401),
        (3, "simulator-3", 200),
        (3, "simulator-4", 401),
        (3, "simulator-1", 401),
        (3, "simulator-0", 401),
        (3, "simulator-", 401),
        (3, "simulator-x", 401),
        (3, "simulator-99999999999", 401),
        (3, "Simulator", 401),
    ] {
        let mut desk = Desk::new(&Simulator { clients, ..Simulator::default() });
        assert_eq!(desk.login(&basic(name, CLIENT_SECRET), GRANT, ZERO).status, status, "{name} of {clients}");
    }
}

#[test]
fn tokens_of_one_client_share_the_quota_of_the_client() {
    let limiter = Limiter::new(Model::FirstRequestWindow { rate: "2/s".parse().unwrap() });
    let scope = Scope { client: true, ..Scope::default() };
    let quotas = vec![Quota { name: "client".to_owned(), limiter, scope, cost: Cost::Request }];
    let mut desk = Desk::new(&Simulator { quotas, clients: 2, ..Simulator::default() });
    let mut token = |name: &str| {
        let login = desk.login(&basic(name, CLIENT_SECRET), GRANT, ZERO);
        format!("Bearer {}", login.body["access_token"].as_str().unwrap())
    };
    let tokens = ["simulator", "simulator", "simulator-2"].map(&mut token);
    let read = desk.read_path();
    let mut status = |token: usize| {
        desk.authorization.clone_from(&tokens[token]);
        desk.send(("GET", &read), "", ms(1)).status
    };
    assert_eq!([0, 1, 1, 0, 2].map(&mut status), [200, 200, 429, 429, 200]);
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_refused_with_408() {
    let mut desk = open();
    let path = desk.write_path();
    let authorization = desk.authorization.clone();
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let reading = desk.send_with(("PATCH", &path), &headers, &Body::Late, ms(10_000));
    assert_eq!(reading.code(), (408, "client.timeout"));
    let line = desk.truth().pop().unwrap();
    assert_eq!(
        (&line["status"], &line["code"], &line["quota"]),
        (&json!(408), &json!("client.timeout"), &json!("admitted"))
    );
    let whole = Body::Whole(Bytes::from_static(br#"{"attributes": {}}"#));
    assert_eq!(desk.send_with(("PATCH", &path), &headers, &whole, ms(10_001)).status, 202);
}
