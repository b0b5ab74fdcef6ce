use std::path::Path;

use super::*;
use crate::scenario::{Caution, CheckPlan, Operation, Overrides, Sampled};

/// A scenario whose `[checks]` are these, with more behind them.
fn load(checks: &str) -> Scenario {
    let text = format!(
        r#"
name = "checks"
seed = 7

[target]
simulator = {{ conversations = 20 }}

[data.participants]
from = "simulator"

[[variant]]
name = "attributes"
path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
body = '{{"attributes": {{"ref": "{{{{ unique }}}}", "k{{{{ user }}}}": "v{{{{ unique }}}}"}}}}'
expect = [202]
weight = 3

[[variant]]
name = "typed"
path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
body = '{{"attributes": {{"tier": "gold"}}}}'
expect = [202]

[read]
path = "/api/v2/conversations/{{{{ conversation_id }}}}"
attributes = "$.participants[?@.id=='{{{{ participant_id }}}}'].attributes"

[load]
stages = [{{ for = "10s", users = 50 }}]

{checks}
"#
    );
    Scenario::parse(Path::new("checks.toml"), text.as_bytes(), &|_| None, &Overrides::default()).unwrap()
}

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

#[test]
fn what_is_left_out_has_its_default() {
    let scenario =
        load("[checks]\ntrack = \"ref\"\nvisibility = { share = \"10%\" }\nidempotency = { share = \"5%\" }");
    let checks = scenario.checks.unwrap();
    assert_eq!((checks.limit_share, checks.ledger, checks.history), (share("20%"), 500_000, false));
    assert!(!checks.lost_updates);
    assert_eq!(checks.visibility, Some(Visibility { share: share("10%"), ..Visibility::USUAL }));
    let idempotency = Idempotency {
        share: share("5%"),
        modes: vec![Mode::Replay],
        concurrent: 3,
        settle: Duration::from_secs(2),
        volatile: Vec::new(),
    };
    assert_eq!(checks.idempotency, Some(idempotency));
}

#[test]
fn every_option_is_read() {
    let scenario = load(
        r#"
[checks]
track = "k{{ user }}"
limit_share = "50%"
ledger = 1_000
history = true
[checks.idempotency]
share = "100%"
modes = ["keyed", "retry"]
concurrent = 4
settle = "3s"
volatile = ["/contextId", "", "/a~1b/0"]
[checks.visibility]
share = "0.5%"
within = "20s"
poll = { first = "2s", factor = 1, most = "3s" }
recheck = "1s"
[checks.lost_updates]
enabled = true
"#,
    );
    let checks = scenario.checks.as_ref().unwrap();
    assert_eq!((checks.limit_share, checks.ledger, checks.history), (share("50%"), 1_000, true));
    assert!(checks.lost_updates);
    let seconds = Duration::from_secs;
    let idempotency = Idempotency {
        share: Share::ALL,
        modes: vec![Mode::Keyed, Mode::Retry],
        concurrent: 4,
        settle: seconds(3),
        volatile: ["/contextId", "", "/a~1b/0"].map(str::to_owned).to_vec(),
    };
    assert_eq!(checks.idempotency, Some(idempotency));
    let visibility = checks.visibility.unwrap();
    assert_eq!((visibility.share, visibility.within, visibility.recheck), (share("0.5%"), seconds(20), seconds(1)));
    assert_eq!((visibility.first, visibility.most), (seconds(2), seconds(3)));
    let operation = Operation { user: 12, ..scenario.first_operation(0) };
    assert_eq!(checks.key(&scenario, &operation).unwrap(), "k12");
}

#[test]
fn lost_updates_may_be_off_where_something_else_is_checked() {
    let off = "[checks]\ntrack = \"ref\"\nlost_updates = { enabled = false }\nvisibility = { share = \"5%\" }";
    assert!(!load(off).checks.unwrap().lost_updates);
    assert!(load("").checks.is_none());
}

#[test]
fn a_variant_that_does_not_bear_the_attribute_is_named_and_not_checked() {
    let scenario = load("[checks]\ntrack = \"ref\"\nvisibility = { share = \"100%\" }");
    let checks = scenario.checks.as_ref().unwrap();
    assert_eq!([0, 1].map(|variant| checks.is_tracked(variant)), [true, false]);
    assert_eq!(scenario.cautions(), [Caution::NotChecked { variant: "typed".to_owned() }]);
    assert_eq!(checks.sampled(7, &scenario.first_operation(1)), Sampled::default());
    assert!(checks.sampled(7, &scenario.first_operation(0)).visibility);
}

#[test]
fn what_an_operation_wrote_is_read_back_from_any_of_its_values() {
    for track in ["ref", "k{{ user }}"] {
        let scenario = load(&format!("[checks]\ntrack = \"{track}\"\nvisibility = {{ share = \"100%\" }}"));
        let checks = scenario.checks.as_ref().unwrap();
        for number in [0, 7, 12, 999, 123_456_789] {
            let operation = Operation { variant: 0, ..scenario.operation_numbered(number) };
            for operation in [operation, Checks::extra(&operation)] {
                let body = scenario.variants[0].render_body(&scenario, &operation).unwrap().unwrap();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let value = &body["attributes"][checks.key(&scenario, &operation).unwrap()];
                assert_eq!(checks.number_in(&scenario, value.as_str().unwrap()), Some(operation.number), "{value}");
            }
        }
    }
}

#[test]
fn rows_of_one_resource_share_their_first_row() {
    let mut scenario = load("");
    let rows = u32::try_from(scenario.rows()).unwrap();
    assert_eq!(scenario.resources(), (0..rows).collect::<Vec<_>>(), "each row of the simulator is a participant");
    let twice = &scenario.data[0].rows;
    let mut again = crate::scenario::Rows::new(twice.columns().to_vec());
    for row in [3, 1, 3, 3, 0, 1] {
        again.push(twice.row(row));
    }
    scenario.data[0].rows = again;
    assert_eq!(scenario.resources(), [0, 1, 0, 0, 4, 1]);
    scenario.read = None;
    assert_eq!(scenario.resources(), [0, 1, 2, 3, 4, 5]);
    scenario.data.clear();
    assert_eq!(scenario.resources(), [0]);
}

const BOTH: &str = r#"
[checks]
track = "ref"
visibility = { share = "10%", within = "1s", poll = { first = "250ms", factor = 1, most = "250ms" } }
idempotency = { share = "100%", modes = ["replay", "keyed"], settle = "500ms" }
lost_updates = { enabled = true }
"#;

#[test]
fn the_plan_says_what_the_checks_may_send() {
    // Four looks until the bound, three that confirm, five of the recheck; a repetition reads once, four times and twice.
    let of = |operations| load(BOTH).check_plan(operations).unwrap();
    let (looks, reads) = (4 + 3 + 5, 1 + 4 + 2);
    let expected = CheckPlan {
        operations: Some(10_000),
        reads: (1_000 + 4 * 31 + 4) * looks + 10_000 * reads,
        writes: 10_000 * 3,
        by_limit: None,
        resources: 40,
    };
    assert_eq!(of(Some(10_000)), expected);
    let unbounded = of(None);
    assert_eq!((unbounded.operations, unbounded.writes), (None, 3_000));
    let plan = load(&format!("{BOTH}\n[limit]\nrate = \"100/s\"")).plan().to_string();
    assert!(
        plan.contains(
            "checks       at most 8,735 reads and 3,003 writes beside the load, 850 in all by the limit\n\
             audit        each of 40 resources is read before the run and after it"
        ),
        "{plan}"
    );
    assert!(load(BOTH).plan().to_string().contains("\nchecks       for each 1,000 operations at most 8,"));
    assert!(plan.lines().all(|line| line.chars().count() <= 100), "{plan}");
}

#[test]
fn a_budget_has_room_for_the_checks_of_the_attempts_that_it_leaves() {
    let plain = load("[limit]\nbudget = 1_000");
    assert_eq!((plain.attempts_in_budget(), plain.checks_in_budget()), (Some(1_000 - plain.requests_aside()), Some(0)));
    let scenario = load(&format!("{BOTH}\n[limit]\nbudget = 1_000"));
    assert_eq!(scenario.requests_aside(), plain.requests_aside() + 40 * 4);
    let (attempts, checks) = (scenario.attempts_in_budget().unwrap(), scenario.checks_in_budget().unwrap());
    assert_eq!(scenario.requests_aside() + attempts + checks, 1_000);
    let needed = |attempts| {
        let told = scenario.check_plan(Some(attempts)).unwrap();
        told.reads + told.writes
    };
    assert!(needed(attempts) <= checks && attempts + 1 + needed(attempts + 1) > attempts + checks, "{attempts}");
}
