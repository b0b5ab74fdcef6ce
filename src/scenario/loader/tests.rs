//! The loader as a whole: what it makes of right scenarios, and that nothing makes it panic.

use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scenario::{
    Auth, Caution, Connections, Endpoint, Ends, Idempotency, Limit, LimitKey, QuotaUse, Rendered, Role, Schedule,
    Simulator, Span, curl, curl_of, population,
};
use crate::units::Rate;

const SCENARIO: &str = r#"
name = "all"
seed = 7

[target]
base_url = "http://127.0.0.1:8080/base/"
timeout = "2s"

[target.auth]
kind = "bearer"
tokens = ["${FIRST}", "literal-token"]
weights = [1, 3]

[data.people]
file = "people.csv"

[[variant]]
name = "patch"
path = "/people/{{ id }}/attributes?of={{ note }}"
body = '{"attributes": {"note": "{{ note }}", "n": {{ user }}, "key": "${KEY}"}}'
headers = { X-Api-Key = "literal-key", X-Env-Token = "${FIRST}", X-Note = "a ${KEY} $${KEY}" }
expect = [202, 204]
throttled_status = [503]
weight = 2

[[variant]]
name = "put"
method = "PUT"
path = "/people/{{ id }}"
headers = { Content-Type = "text/plain" }
body = "{{ note }}"
expect = [200]

[load]
stages = [{ for = "10s", to = 40 }, { for = "20s", users = 10 }]
think_time = { min = "1s", max = "2s" }
iterations = 9
connections = "shared"

[limit]
rate = "120/min"
burst = 5
per = "token"
"#;

const PEOPLE: &str = "\u{feff}id,note\n\np 1,\"say \"\"hi\"\"\"\nü2,\"two\nlines\"\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "FIRST" => Some("token-of-the-environment".to_owned()),
        "KEY" => Some("key-of-the-environment".to_owned()),
        _ => None,
    }
}

fn load_with(scenario: &str, overrides: &Overrides) -> Result<Scenario, LoadError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("people.csv"), PEOPLE).unwrap();
    Scenario::parse(&directory.path().join("all.toml"), scenario.as_bytes(), &environment, overrides)
}

fn load(scenario: &str) -> Scenario {
    load_with(scenario, &Overrides::default()).unwrap()
}

/// The messages without the path.
fn mistakes(scenario: &str) -> Vec<String> {
    match load_with(scenario, &Overrides::default()) {
        Err(LoadError::Mistakes(mistakes)) => mistakes.into_iter().map(|mistake| mistake.text).collect(),
        other => panic!("{other:?}"),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn everything_in_the_file_is_in_the_scenario() {
    let scenario = load(SCENARIO);
    assert_eq!((scenario.name.as_str(), scenario.seed), ("all", 7));
    let Auth::Bearer { tokens } = &scenario.target.auth else { panic!("{:?}", scenario.target.auth) };
    assert_eq!(tokens[0].reveal(), "token-of-the-environment");
    assert_eq!(scenario.target.tokens.users_of_each(8), [2, 6]);
    assert_eq!((scenario.target.timeout, scenario.target.give_up), (seconds(2), seconds(10)));
    let load = &scenario.load;
    assert_eq!((load.length(), load.max_users()), (seconds(30), 40));
    let Schedule::Users(closed) = &load.schedule else { panic!("the closed model") };
    assert_eq!(closed.think_time, Span { min: seconds(1), max: seconds(2) });
    assert_eq!((closed.iterations, load.connections, load.drain), (Some(9), Connections::Shared, seconds(3)));
    let limit = scenario.limit.unwrap();
    assert_eq!((limit.rate.to_string().as_str(), limit.burst.get(), limit.per), ("120/min", 5, LimitKey::Token));
    let [patch, put] = scenario.variants.as_slice() else { panic!("{:?}", scenario.variants) };
    assert_eq!((patch.method.as_str(), put.method.as_str(), patch.weight.get()), ("PATCH", "PUT", 2));
    assert_eq!((patch.expect.as_slice(), patch.throttled_status.as_slice()), ([202, 204].as_slice(), [503].as_slice()));
}

#[test]
fn thresholds_are_read_in_every_way_of_writing_a_metric_and_show_no_value_of_the_environment() {
    let thresholds = r#"
[thresholds]
failure_rate = ["< 1%", "< 50% for 10s abort"]
"response.p99.9" = "< 1s"
service.p99 = "< 300ms"
broken = "= 0"
"variant.put.lag.max" = "< 20ms"
variant.patch.service.p99.99 = "< 3s"
"#;
    let found = |text: &str| -> Vec<String> { load(text).thresholds.iter().map(ToString::to_string).collect() };
    assert_eq!(
        found(&format!("{SCENARIO}{thresholds}")),
        [
            "failure_rate < 1%",
            "failure_rate < 50% for 10s abort",
            "response.p99.9 < 1s",
            "service.p99 < 300ms",
            "broken = 0",
            "variant.put.lag.max < 20ms",
            "variant.patch.service.p99.99 < 3s"
        ]
    );
    assert!(found(SCENARIO).is_empty());
    let bound = |name: &str| (name == "MOST").then(|| "2%".to_owned()).or_else(|| environment(name));
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("people.csv"), PEOPLE).unwrap();
    let text = format!("{SCENARIO}[thresholds]\nfailure_rate = \"< ${{MOST}}\"");
    let path = directory.path().join("all.toml");
    let scenario = Scenario::parse(&path, text.as_bytes(), &bound, &Overrides::default()).unwrap();
    let [threshold] = scenario.thresholds.as_slice() else { panic!("{:?}", scenario.thresholds) };
    assert!((threshold.bound() - 0.02).abs() < 1e-12);
    assert_eq!(threshold.to_string(), "failure_rate < ${MOST}");
}

#[test]
fn a_request_is_escaped_by_place_and_knows_its_type() {
    let scenario = load(SCENARIO);
    let render = |variant: usize, row| -> Rendered<'_> {
        let operation = crate::scenario::Operation { row, ..scenario.first_operation(variant) };
        scenario.variants[variant].render(&scenario, &operation).unwrap()
    };
    let patch = render(0, 0);
    assert_eq!(patch.path, "/people/p%201/attributes?of=say%20%22hi%22");
    let body: serde_json::Value = serde_json::from_slice(patch.body.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&body["attributes"]["note"], &body["attributes"]["key"]),
        (&"say \"hi\"".into(), &"key-of-the-environment".into())
    );
    assert!(patch.headers.contains(&("X-Note", "a key-of-the-environment ${KEY}".into())));
    assert!(patch.headers.contains(&("Content-Type", "application/json".into())));
    let put = render(1, 1);
    assert_eq!(put.path, "/people/%C3%BC2");
    assert_eq!(
        (put.headers, put.body.as_deref()),
        (vec![("Content-Type", "text/plain".into())], Some(b"two\nlines".as_slice()))
    );
}

#[test]
fn secrets_and_the_environment_are_in_no_record() {
    let scenario = load(SCENARIO);
    let source = scenario.source.to_string();
    let shown =
        [source.clone(), format!("{scenario:?}"), curl(&scenario, 0), curl(&scenario, 1), scenario.plan().to_string()];
    for text in shown {
        for secret in ["literal-token", "literal-key", "token-of-the-environment", "key-of-the-environment"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert_eq!(scenario.source["target"]["auth"]["tokens"], serde_json::json!(["${FIRST}", "***"]));
    assert_eq!(scenario.source["variant"][0]["headers"]["X-Api-Key"], "***");
    assert_eq!(scenario.source["variant"][0]["headers"]["X-Env-Token"], "${FIRST}");
    assert_eq!(scenario.source["load"]["stages"][0]["to"], 40);
    assert_eq!(scenario.source.get("overrides"), None);
}

#[test]
fn a_header_that_is_added_to_a_curl_command_is_shown_as_it_is_and_secrets_beside_it_are_not() {
    let scenario = load(SCENARIO);
    let header = Some((Idempotency::KEY_HEADER, "key-of-7"));
    let shown = curl_of(&scenario, &scenario.first_operation(0), header);
    assert!(shown.contains("-H 'idempotency-key: key-of-7'"), "{shown}");
    assert!(shown.contains("-H 'X-Api-Key: ***'"), "{shown}");
}

#[test]
fn a_curl_command_can_be_pasted_into_a_shell() {
    let scenario = SCENARIO.replace("text/plain", "text/it's");
    assert_eq!(
        curl(&load(&scenario), 1),
        "curl -X PUT 'http://127.0.0.1:8080/base/people/p%201' \\\n  \
         -H \"Authorization: Bearer $TOKEN\" \\\n  \
         -H 'Content-Type: text/it'\\''s' \\\n  \
         --data-raw 'say \"hi\"'"
    );
}

#[test]
fn the_command_line_replaces_stages_and_rate() {
    let rate: Rate = "9/s".parse().unwrap();
    let all = Overrides { users: Some(3), duration: Some(seconds(90)), rate: Some(rate), seed: Some(1) };
    let scenario = load_with(SCENARIO, &all).unwrap();
    assert_eq!((scenario.load.max_users(), scenario.load.length()), (3, seconds(90)));
    assert_eq!(scenario.limit, Some(Limit { rate, ..load(SCENARIO).limit.unwrap() }));
    assert_eq!(scenario.seed, 1);
    let record = serde_json::json!({"users": 3, "duration": "1m 30s", "rate": "9/s", "seed": 1});
    assert_eq!(scenario.source["overrides"], record);

    let scenario = load_with(SCENARIO, &Overrides { users: Some(3), ..Overrides::default() }).unwrap();
    assert_eq!((scenario.load.max_users(), scenario.load.length()), (3, seconds(30)));
    let scenario = load_with(SCENARIO, &Overrides { duration: Some(seconds(1)), ..Overrides::default() }).unwrap();
    assert_eq!((scenario.load.max_users(), scenario.load.length()), (40, seconds(1)));

    let unlimited = SCENARIO.split("[limit]").next().unwrap();
    let scenario = load_with(unlimited, &Overrides { rate: Some(rate), ..Overrides::default() }).unwrap();
    assert_eq!(scenario.limit.map(|limit| (limit.rate, limit.per)), Some((rate, LimitKey::Run)));
    for wrong in [
        Overrides { users: Some(0), ..Overrides::default() },
        Overrides { duration: Some(Duration::ZERO), ..Overrides::default() },
    ] {
        let error = load_with(SCENARIO, &wrong).unwrap_err().to_string();
        assert!(error.starts_with("command line: "), "{error}");
    }
}

#[test]
fn a_value_of_the_environment_is_text_and_never_a_template() {
    let environment = |name: &str| (name == "KEY").then(|| "{{ user }}".to_owned());
    let scenario = "name = \"x\"\n[target]\nsimulator = \"documented\"\n[load]\nstages = [{ for = \"1s\", users = 1 }]\n\
                    [[variant]]\nname = \"v\"\npath = \"/${KEY}\"\nexpect = [202]\n";
    let error = Scenario::parse(Path::new("x.toml"), scenario.as_bytes(), &environment, &Overrides::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("holds the marks of a template") && !error.contains("user"), "{error}");
}

#[test]
fn a_filter_that_fails_on_a_late_row_is_found() {
    let scenario =
        SCENARIO.replace("body = \"{{ note }}\"", "body = \"{{ (note | first | replace('s', '1') | int) }}\"");
    let found = mistakes(&scenario);
    assert!(matches!(found.as_slice(), [text] if text.contains("data row 2 ")), "{found:?}");
}

#[test]
fn a_placeholder_outside_of_a_json_text_is_tried_on_all_rows() {
    let people = "id,n\n1,10\n2,20\n3,abc\n4,long-but-fine\n".replace("long-but-fine", "1000000000");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("people.csv"), people).unwrap();
    let scenario = SCENARIO.replace("{{ note }}", "{{ n }}").replace("\"note\": \"{{ n }}\"", "\"note\": {{ n }}");
    let path = directory.path().join("all.toml");
    let error = Scenario::parse(&path, scenario.as_bytes(), &environment, &Overrides::default()).unwrap_err();
    assert!(
        error.to_string().contains("`variant[0].body` with data row 3 and the environment gives no JSON"),
        "{error}"
    );
}

#[test]
fn the_rows_of_the_simulator_are_its_population() {
    let scenario = "name = \"x\"\n[target.simulator]\nseed = 9\nconversations = 3\n[data.p]\nfrom = \"simulator\"\nrole = \"agent\"\n\
                    [load]\nstages = [{ for = \"1s\", users = 1 }]\n[[variant]]\nname = \"v\"\npath = \"/{{ participant_id }}\"\nexpect = [202]\n";
    let rows = load(scenario).data.remove(0).rows;
    let config = Simulator { seed: 9, conversations: 3, ..Simulator::default() };
    let expected: Vec<_> = population(&config).filter(|p| p.role == Role::Agent).map(|p| p.participant_id).collect();
    assert_eq!((0..rows.len()).map(|row| rows.cell(row, 1).to_owned()).collect::<Vec<_>>(), expected);
}

#[test]
fn only_the_participant_itself_calls_for_caution() {
    for (path, is_cautioned) in [
        ("/conversations/1/participants/{{ id }}", true),
        ("/conversations/calls/1/participants/2/?x=1", true),
        ("/conversations/1/participants/{{ id }}/attributes", false),
        ("/participants", false),
        ("/people/{{ id }}", false),
    ] {
        let scenario = load(&SCENARIO.replace("/people/{{ id }}\"", &format!("{path}\"")));
        let expected =
            if is_cautioned { vec![Caution::ChangesParticipant { variant: "put".to_owned() }] } else { vec![] };
        assert_eq!(scenario.cautions(), expected, "{path}");
    }
}

#[test]
fn text_that_is_not_utf8_is_a_mistake_with_a_place() {
    let error = Scenario::parse(Path::new("x.toml"), b"a = 1\n\xc3\xbc\xff", &environment, &Overrides::default());
    assert_eq!(error.unwrap_err().to_string(), "x.toml:2:2: the text is not UTF-8; save the file in UTF-8");
}

#[test]
fn the_scenarios_that_come_along_are_right_and_keep_their_promises() {
    let plan = |name: &str| {
        let path = format!("scenarios/{name}.toml");
        Scenario::load(Path::new(&path), &|_| None, &Overrides::default()).unwrap().plan()
    };
    // One of them is for an organisation of the reader's own.
    let participants = tempfile::NamedTempFile::new().unwrap();
    fs::write(participants.path(), "conversation_id,participant_id\nc-1,p-1\nc-1,p-2\nc-2,p-3\n").unwrap();
    let of_reader = |name: &str| match name {
        "GENESYS_REGION" => Some("mypurecloud.de".to_owned()),
        "GENESYS_PARTICIPANTS" => Some(participants.path().display().to_string()),
        _ => name.starts_with("GENESYS_").then(|| format!("the value of {name}")),
    };
    for entry in fs::read_dir("scenarios").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let scenario = Scenario::load(&path, &of_reader, &Overrides::default()).unwrap();
            // Some of the payloads that are compared go to the participant itself, which is what they are warned of.
            let may_warn = path.file_stem().is_some_and(|name| name == "payload-variants");
            let surprises = scenario
                .cautions()
                .into_iter()
                .filter(|caution| !(may_warn && matches!(caution, Caution::ChangesParticipant { .. })));
            assert_eq!(surprises.collect::<Vec<_>>(), [], "{}", path.display());
        }
    }
    let own = Scenario::load(Path::new("scenarios/genesys-cloud.toml"), &of_reader, &Overrides::default()).unwrap();
    let Endpoint::Url(url) = &own.target.endpoint else { panic!("it is for a server") };
    assert_eq!(url.as_str(), "https://api.mypurecloud.de/");
    let budget = own.plan().budget.unwrap();
    assert_eq!((budget.requests, budget.ends_the_run), (3_000, Ends::No));
    assert!(own.retry.is_none() && own.snapshot.is_some() && own.care.window.is_some());
    let quickstart = plan("quickstart");
    assert_eq!((quickstart.users, quickstart.length, quickstart.tokens), (50, seconds(20), 10));
    assert!(quickstart.quotas[0].share.unwrap() < 1.0);
    let crowd = plan("500-users");
    assert_eq!((crowd.users, crowd.length, crowd.most_requests), (500, seconds(30), Some(1_801)));
    let [quota] = crowd.quotas.as_slice() else { panic!("{:?}", crowd.quotas) };
    assert_eq!(quota.admitted, Some(1_200));
    assert!((1.49..1.52).contains(&quota.share.unwrap()));
}

/// The tables of a scenario that comes along, each with its heading, and what stands before them.
fn tables(name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("scenarios/{name}.toml")).unwrap();
    let mut tables = vec![String::new()];
    for line in text.lines() {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        let table = tables.last_mut().unwrap();
        table.push_str(line);
        table.push('\n');
    }
    tables
}

#[test]
fn the_payloads_can_be_sent_to_an_organisation_as_their_file_says() {
    let exchanged = ["target", "target.auth", "data.participants", "limit", "stop", "read", "snapshot"];
    let is_exchanged = |table: &&String| exchanged.iter().any(|name| table.starts_with(&format!("[{name}]")));
    let (payloads, own) = (tables("payload-variants"), tables("genesys-cloud"));
    let kept = payloads.iter().filter(|table| !is_exchanged(table));
    let scenario: String = kept.chain(own.iter().filter(is_exchanged)).map(String::as_str).collect();
    let participants = tempfile::NamedTempFile::new().unwrap();
    fs::write(participants.path(), "conversation_id,participant_id,role,type\nc-1,p-1,customer,contact\n").unwrap();
    let environment = |name: &str| match name {
        "GENESYS_REGION" => Some("mypurecloud.de".to_owned()),
        "GENESYS_PARTICIPANTS" => Some(participants.path().display().to_string()),
        _ => Some(format!("the value of {name}")),
    };
    let path = Path::new("scenarios/own.toml");
    let scenario = Scenario::parse(path, scenario.as_bytes(), &environment, &Overrides::default()).unwrap();
    assert!(matches!(scenario.target.endpoint, Endpoint::Url(_)) && scenario.snapshot.is_some());
    assert!(scenario.variants.len() > 12);
}

#[test]
fn the_plan_says_what_will_be_sent_and_what_the_quota_admits() {
    let scenario = fs::read_to_string("scenarios/500-users.toml").unwrap();
    assert_eq!(
        load(&scenario).plan().to_string(),
        "target       the embedded simulator\n\
         users        500\n\
         length       30.0s\n\
         connections  each user its own\n\
         tokens       4\n\
         limit        60/s for the run, burst 1\n\
         requests     at most 1,801\n\
         quota        300/min for each token, 1,200 in this run; the plan uses up to 150%, so expect 429"
    );
    // 30 s at 2/s and a burst of 5, for two tokens; 9 iterations of 40 users are more.
    assert_eq!(load(SCENARIO).plan().most_requests, Some(130));
    assert_eq!(load(&SCENARIO.replace("iterations = 9", "iterations = 2")).plan().most_requests, Some(80));
    let unlimited = load(scenario.split("[limit]").next().unwrap()).plan();
    assert_eq!((unlimited.most_requests, unlimited.quotas[0].share), (None, None));
}

#[test]
fn the_plan_compares_itself_with_each_quota_as_far_as_that_is_known() {
    let quotas = r#"simulator = { quota = [
        { model = "fixed-window", rate = "300/min", per = "client" },
        { name = "spread", model = "gcra", rate = "1/s", burst = 1 },
        { model = "sliding-log", rate = "10/s", per = ["token", "resource"] },
        { model = "fixed-window", rate = "1000/s", cost = "bytes" },
        { model = "concurrency", limit = 4, per = "organisation" },
        { model = "token-bucket", rate = "10/s", slow = { by = "5ms", most = "1s" } },
    ] }"#;
    let scenario = fs::read_to_string("scenarios/500-users.toml").unwrap();
    let simulator = scenario.lines().find(|line| line.starts_with("simulator =")).unwrap();
    let plan = load(&scenario.replace(simulator, quotas)).plan();
    let lines: Vec<_> = plan.quotas.iter().map(QuotaUse::to_string).collect();
    assert_eq!(
        lines,
        [
            "fixed-window: 300/min fixed-window, per client, 300 in this run; the plan uses up to 600%, so expect 429",
            "spread: 1/s gcra, burst 1, per token, 120 in this run; the plan uses up to 1501%, so expect 429",
            "sliding-log: 10/s sliding-log, per token+resource",
            "fixed-window-2: 1000/s fixed-window, per token, cost in bytes",
            "concurrency: concurrency 4, per organisation",
            "token-bucket: 10/s token-bucket, burst 10, slowed by 5ms up to 1s, per token",
        ]
    );
}

/// A scenario that needs no other file, so that mutations can be tried without any.
const WHOLE: &str = include_str!("../../../scenarios/500-users.toml");

fn never_panics(bytes: &[u8]) {
    match Scenario::parse(Path::new("x.toml"), bytes, &|_| None, &Overrides::default()) {
        Ok(scenario) => {
            let _ = scenario.plan().to_string();
            let _ = (0..scenario.variants.len()).map(|i| curl(&scenario, i)).collect::<Vec<_>>();
        }
        Err(LoadError::Mistakes(mistakes)) => assert!(!mistakes.is_empty()),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        never_panics(&bytes);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[a-z\\[\\]{}=\"'.,#$0-9\n\t ü-]{0,200}") {
        never_panics(text.as_bytes());
    }

    #[test]
    fn a_mutated_scenario_never_panics(
        changes in proptest::collection::vec(
            (0..WHOLE.len(), 0..12_usize, prop_oneof!["[\"'{}\\[\\]=.,$%|/\n ]{0,3}", "\\PC{0,3}", "-?[0-9]{1,3}"]),
            1..6,
        ),
    ) {
        // The comments at the top hide most changes; what follows them is the scenario.
        let text = &WHOLE[WHOLE.find("\nname").unwrap()..];
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, insertion) in changes {
            let at = at % bytes.len().max(1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at.min(end)..end, insertion.into_bytes());
        }
        never_panics(&bytes);
    }
}
