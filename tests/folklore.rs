//! The five threads: each scenario is run as it stands, and each symptom that its thread tells of is found in the reports
//! under its name, as often as the simulator's own account says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use patchload::engine::Stop;
use patchload::scenario::{Endpoint, Overrides, Scenario, population};
use patchload::sim::Server;
use runs::{Row, sum};
use serde_json::Value;

const THREADS: [&str; 5] = ["thread-a", "thread-b", "thread-c", "thread-d", "thread-e"];

const NOT_PARTICIPANT: &str = "conversation.error.not.conversation.participant";

/// A thread's scenario after its run.
struct Story {
    scenario: Arc<Scenario>,
    summary: Vec<Row>,
    failures: Vec<Row>,
    /// What the server did with each write, a line each.
    truth: Vec<Value>,
}

/// All runs at once: each is mostly waiting for its limit.
static STORIES: LazyLock<BTreeMap<&str, Story>> = LazyLock::new(|| {
    let tell = |name| Story::of(name, &Overrides::default(), |_, _| {});
    thread::scope(|scope| {
        let runs = THREADS.map(|name| (name, scope.spawn(move || tell(name))));
        runs.into_iter().map(|(name, run)| (name, run.join().unwrap())).collect()
    })
});

/// The scenario of this name.
fn load(name: &str, overrides: &Overrides) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("toml");
    Scenario::load(&path, &|_| None, overrides).unwrap()
}

fn story(letter: char) -> &'static Story {
    &STORIES[format!("thread-{letter}").as_str()]
}

impl Story {
    /// Runs the scenario of this name; `before` may do something to its server first.
    fn of(name: &str, overrides: &Overrides, before: impl FnOnce(&Scenario, &Server)) -> Self {
        Self::run(load(name, overrides), before)
    }

    fn run(scenario: Scenario, before: impl FnOnce(&Scenario, &Server)) -> Self {
        let scenario = Arc::new(scenario);
        let (root, server) = (tempfile::tempdir().unwrap(), runs::server(&scenario));
        before(&scenario, &server);
        runs::run(&scenario, server.address(), root.path(), &Stop::default());
        let lines = get(&server, &["/_sim/truth".to_owned()]).remove(0);
        let truth = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        Self {
            summary: runs::rows(root.path(), "summary.csv"),
            failures: runs::rows(root.path(), "failures.csv"),
            truth: truth.filter(|line| line["operation"].as_str().unwrap().starts_with("thread-")).collect(),
            scenario,
        }
    }

    /// A column of whole numbers of a variant's summary.
    fn total(&self, variant: &str, column: &str) -> u64 {
        sum(self.summary.iter().filter(|row| row["variant"] == variant), column)
    }

    /// The one row of `failures.csv` with this variant, outcome, status and code; it has an id to quote to support.
    fn failure(&self, variant: &str, outcome: &str, status: &str, code: &str) -> &Row {
        let wanted = [("variant", variant), ("outcome", outcome), ("status", status), ("code", code)];
        let is_wanted = |row: &&Row| wanted.iter().all(|(column, value)| row[*column] == *value);
        let found: Vec<_> = self.failures.iter().filter(is_wanted).collect();
        let [row] = found[..] else { panic!("{wanted:?} is not in {:#?}", self.failures) };
        assert_eq!(row["correlation_id"].len(), 36, "{row:?}");
        row
    }

    /// The 400s of a variant that names a wrong field.
    fn wrong_body(&self, variant: &str) -> &Row {
        self.failure(variant, "rejected", "400", "invalid_request_body")
    }

    /// The lines of the truth with this operation and status.
    fn truth(&self, operation: &str, status: u16) -> impl Iterator<Item = &Value> {
        self.truth.iter().filter(move |line| line["operation"] == operation && line["status"] == status)
    }

    /// Requests by operation, status and code, as the reports have them.
    fn reported(&self) -> BTreeMap<[String; 3], u64> {
        let mut counts = BTreeMap::new();
        for variant in &self.scenario.variants {
            let [status] = variant.expect[..] else { panic!("one status, or the reports do not say which it was") };
            let operation = operation(&self.scenario.name, &variant.name);
            let mut add = |status: &str, code: &str, count: u64| {
                *counts.entry([operation, status, code].map(str::to_owned)).or_default() += count;
            };
            add(&status.to_string(), "", self.total(&variant.name, "accepted"));
            for row in self.failures.iter().filter(|row| row["variant"] == variant.name) {
                add(&row["status"], &row["code"], sum([row], "count"));
            }
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// The same, as the server has them.
    fn counted(&self) -> BTreeMap<[String; 3], u64> {
        let mut counts = BTreeMap::new();
        for line in &self.truth {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let key = [text("operation"), line["status"].to_string(), text("code")];
            *counts.entry(key).or_default() += 1;
        }
        counts
    }
}

/// The server's name for what a variant does.
fn operation(thread: &str, variant: &str) -> &'static str {
    match (thread, variant) {
        ("thread-a", _) => "thread-a-live",
        ("thread-b", _) => "thread-b-web",
        ("thread-c", "flat") => "thread-c-interaction",
        ("thread-c", _) => "thread-c-typed",
        ("thread-d", _) => "thread-d-voice",
        _ => "thread-e-sdk",
    }
}

/// The bodies of these paths, one after the other.
fn get(server: &Server, paths: &[String]) -> Vec<String> {
    let client = client::client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = async |path: &String| {
        let url = format!("http://{}{path}", server.address());
        let response = client.get(url).bearer_auth(server.token()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    paths.iter().map(|path| runtime.block_on(body(path))).collect()
}

/// A number of the reports.
fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

#[test]
fn the_reports_of_every_thread_agree_with_the_server_exactly() {
    for name in THREADS {
        let story = &STORIES[name];
        assert_eq!(story.reported(), story.counted(), "{name}");
        assert!(story.counted().values().sum::<u64>() > 300, "{name}");
    }
}

#[test]
fn thread_a_the_flat_map_fails_its_validation_and_the_wrapped_one_succeeds() {
    let story = story('a');
    let row = story.failure("flat", "rejected", "400", "validation_failure");
    assert_eq!(sum([row], "count"), story.total("flat", "attempts"));
    assert!(row["message"].contains("participantData"), "{row:?}");
    assert_eq!(story.total("wrapped", "accepted"), story.total("wrapped", "attempts"));
    assert!(story.truth("thread-a-live", 200).all(|line| line["applied_us"].is_u64()));
}

#[test]
fn thread_b_twelve_percent_of_typed_writes_fail_because_the_type_does_not_match() {
    let story = story('b');
    let row = story.wrong_body("typed");
    assert!(row["message"].contains("type"), "{row:?}");
    let interval = number(row, "share_low")..=number(row, "share_high");
    assert!(interval.contains(&0.12), "{row:?}");
    assert!(interval.end() - interval.start() < 0.08, "{row:?}: narrow enough to say something");
    // The server's account: as many such answers, and no participant with another type was ever written to.
    let refused: Vec<_> =
        story.truth("thread-b-web", 400).filter(|line| line["code"] == "invalid_request_body").collect();
    let variants = ["attributes", "json-patch", "typed", "full"].map(|variant| story.wrong_body(variant));
    assert_eq!(u64::try_from(refused.len()).unwrap(), sum(variants, "count"));
    let Endpoint::Simulator(config) = &story.scenario.target.endpoint else { panic!("the simulator") };
    let mismatched: Vec<_> = population(config).filter(|known| known.role != known.actual).collect();
    assert_eq!(mismatched.len(), 240, "12 % of 2,000");
    let accepted = story.truth("thread-b-web", 200).map(|line| line["participant"].as_str().unwrap());
    let accepted: BTreeSet<_> = accepted.collect();
    assert!(mismatched.iter().all(|known| !accepted.contains(known.participant_id.as_str())));
}

#[test]
fn thread_b_the_typed_writes_alone_fail_as_often_as_the_server_says() {
    let mut scenario = load("thread-b", &Overrides { duration: Some(Duration::from_secs(10)), ..Overrides::default() });
    scenario.variants.retain(|variant| variant.name == "typed");
    let story = Story::run(scenario, |scenario, _| assert_eq!(scenario.load.max_users(), 500));
    let row = story.wrong_body("typed");
    let refused: Vec<_> =
        story.truth("thread-b-web", 400).filter(|line| line["code"] == "invalid_request_body").collect();
    assert_eq!(sum([row], "count"), u64::try_from(refused.len()).unwrap());
    assert!(refused.len() > 150, "{}", refused.len());
    assert!((number(row, "share_low")..=number(row, "share_high")).contains(&0.12), "{row:?}");
    let quoted = refused.iter().filter(|line| line["correlation_id"] == *row["correlation_id"]);
    assert_eq!(quoted.count(), 1, "the id to quote to support is that of one such answer");
}

#[test]
fn thread_b_a_missing_type_fails_always() {
    let story = story('b');
    for variant in ["attributes", "json-patch"] {
        let row = story.wrong_body(variant);
        assert!(row["message"].contains("type is missing"), "{row:?}");
        let forbidden = story.failure(variant, "rejected", "403", "missing.permissions");
        assert_eq!(sum([row, forbidden], "count"), story.total(variant, "attempts"));
    }
}

#[test]
fn thread_b_a_full_object_out_of_step_conflicts() {
    let story = story('b');
    let row = story.failure("full", "rejected", "409", "conflict");
    assert!(row["message"].contains("version"), "{row:?}");
    assert!(story.total("full", "accepted") > 0, "the first one to write is in step");
}

#[test]
fn thread_b_a_token_that_may_only_read_is_forbidden_to_write() {
    let story = story('b');
    for variant in &story.scenario.variants {
        story.failure(&variant.name, "rejected", "403", "missing.permissions");
    }
    assert!(story.truth("thread-b-web", 403).all(|line| line["token"] == "read-only"));
}

#[test]
fn thread_c_200_and_nothing_changes() {
    let story = story('c');
    let row = story.failure("flat", "unexpected", "200", "");
    assert_eq!(story.total("flat", "accepted"), 0);
    let ignored: Vec<_> = story.truth("thread-c-interaction", 200).collect();
    assert_eq!(u64::try_from(ignored.len()).unwrap(), sum([row], "count"));
    assert!(ignored.iter().all(|line| line["applied_us"].is_null()));
}

#[test]
fn thread_c_400_without_a_content_type() {
    let story = story('c');
    story.failure("no-content-type", "rejected", "400", "missing_content_type");
    assert_eq!(story.total("no-content-type", "accepted"), 0);
}

#[test]
fn thread_c_401_from_when_the_static_token_expires() {
    for variant in ["flat", "typed", "no-content-type", "full"] {
        let row = story('c').failure(variant, "rejected", "401", "bad.credentials");
        // The token counts from the server's start, which is a little before that of the run.
        assert!((13.0..=15.0).contains(&number(row, "first_s")) && number(row, "last_s") >= 17.0, "{row:?}");
    }
}

#[test]
fn thread_c_409_when_the_participant_has_left_or_the_version_is_stale() {
    let story = story('c');
    let left = story.failure("typed", "rejected", "409", "conflict");
    assert!(left["message"].contains("has left"), "{left:?}");
    // Of a full object either can be the reason; there are so many more of them because it is most often the version.
    let stale = story.failure("full", "rejected", "409", "conflict");
    let share = |row| number(row, "share");
    assert!(share(stale) > 1.5 * share(left), "{stale:?} {left:?}");
}

#[test]
fn thread_c_429_at_scale() {
    let story = story('c');
    let throttled = story.failure("typed", "throttled", "429", "too.many.requests.retry.after");
    assert!(number(throttled, "first_s") >= 4.0, "{throttled:?}");
    assert_eq!(story.total("typed", "throttled"), sum([throttled], "count"));
}

#[test]
fn thread_c_a_change_is_seen_about_200_ms_after_its_answer() {
    let delay = |line: &Value| line["applied_us"].as_u64().unwrap() - line["answered_us"].as_u64().unwrap();
    let mut delays: Vec<_> = story('c').truth("thread-c-typed", 200).map(delay).collect();
    delays.sort_unstable();
    let median = delays[delays.len() / 2];
    assert!((170_000..230_000).contains(&median), "{median} us");
}

#[test]
fn thread_c_drafts_are_not_found_until_they_are_active() {
    for variant in ["flat", "typed", "full"] {
        let row = story('c').failure(variant, "rejected", "404", NOT_PARTICIPANT);
        assert!(number(row, "first_s") < 2.0 && number(row, "last_s") <= 8.0, "{row:?}");
    }
}

#[test]
fn thread_c_a_read_before_the_write_avoids_the_404() {
    let overrides = Overrides { duration: Some(Duration::from_secs(3)), ..Overrides::default() };
    let story = Story::of("thread-c", &overrides, |scenario, server| {
        let Endpoint::Simulator(config) = &scenario.target.endpoint else { panic!("the simulator") };
        let path = |id: String| format!("/api/v2/conversations/interactions/{id}");
        let paths: Vec<_> = population(config).step_by(2).map(|known| path(known.conversation_id)).collect();
        let drafts = get(server, &paths).iter().filter(|body| body.contains(r#""state":"draft""#)).count();
        assert!(drafts > 30, "{drafts} of 100");
    });
    assert!(story.failures.iter().all(|row| row["status"] != "404"), "{:#?}", story.failures);
    assert!(story.total("typed", "accepted") > 20, "{:#?}", story.summary);
}

#[test]
fn thread_d_204_and_the_attribute_disappears_or_never_shows_up() {
    let story = story('d');
    let rows = ["merged", "if-match"].map(|variant| story.failure(variant, "unexpected", "204", ""));
    for row in rows {
        assert_eq!(sum([row], "count"), story.total(&row["variant"], "attempts"));
    }
    let writes = || story.truth("thread-d-voice", 204);
    let never = writes().filter(|line| line["applied_us"].is_null()).count();
    let briefly: Vec<_> = writes().filter(|line| line["reverted_us"].is_u64()).collect();
    assert_eq!(u64::try_from(never + briefly.len()).unwrap(), sum(rows, "count"));
    assert!(never > 50 && briefly.len() > 50, "{never} never, {} briefly", briefly.len());
    let seen = |line: &Value| line["reverted_us"].as_u64().unwrap() - line["applied_us"].as_u64().unwrap();
    assert!(briefly.into_iter().all(|line| seen(line) == 1_000_000));
}

#[test]
fn thread_d_only_the_whole_object_stays() {
    let story = story('d');
    assert_eq!(story.total("full", "accepted"), story.total("full", "attempts"));
    let stays = |line: &&Value| line["applied_us"].is_u64() && line["reverted_us"].is_null();
    let kept = story.truth("thread-d-voice", 204).filter(stays).count();
    assert_eq!(u64::try_from(kept).unwrap(), story.total("full", "accepted"));
}

#[test]
fn thread_e_each_wrong_payload_is_refused_for_its_field() {
    let story = story('e');
    for (variant, field) in [
        ("put-partial", "field id is missing"),
        ("put-no-routing", "field routing is missing"),
        ("custom-attributes", "field custom_attributes"),
        ("nested", "field attributes.customer"),
        ("extra-key", "field source"),
    ] {
        let row = story.wrong_body(variant);
        assert!(row["message"].contains(field), "{row:?}");
        let forbidden = story.failure(variant, "rejected", "403", "missing.permissions");
        assert_eq!(sum([row, forbidden], "count"), story.total(variant, "attempts"), "{variant}");
    }
    assert!(story.total("put-whole", "accepted") > 0 && story.total("attributes", "accepted") > 0);
}

#[test]
fn thread_e_a_missing_scope_is_forbidden_in_every_variant() {
    let story = story('e');
    for variant in &story.scenario.variants {
        story.failure(&variant.name, "rejected", "403", "missing.permissions");
    }
    assert!(story.truth("thread-e-sdk", 403).all(|line| line["token"] == "read-only"));
}

#[test]
fn thread_e_a_participant_is_not_known_for_a_while_after_the_call_connects() {
    for variant in ["put-whole", "attributes"] {
        let row = story('e').failure(variant, "rejected", "404", NOT_PARTICIPANT);
        // Connected 2 s after the start, and known 4 s later.
        assert!(number(row, "first_s") < 2.0 && (3.0..=6.0).contains(&number(row, "last_s")), "{row:?}");
    }
}
