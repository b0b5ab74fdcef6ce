//! A server that keeps its word gives no finding, however late writes are seen, whatever is refused, broken and sent again.
//!
//! With `SILENCE_CHECKED=100000` so many operations are checked; `tests/long.sh` sets it.

use std::collections::BTreeMap;
use std::fs;

use crate::command::{Place, patchload, text, writing};
use crate::rows;

/// Operations per second of the 500 users.
const RATE: u64 = 700;

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap_or(0)
}

#[test]
fn a_server_that_keeps_its_word_gives_no_finding_with_late_writes_refusals_timeouts_resets_and_retries() {
    let checked = std::env::var("SILENCE_CHECKED").map_or(2_000_u64, |count| count.parse().unwrap());
    let place = Place::new();
    // A tenth of the operations is not checked, a tenth is unclear or refused to the end, and those that wait hold users up.
    let seconds = (checked + checked * 2 / 5).div_ceil(RATE) + 2;
    let think_ms = 500 * 1000 / RATE - 10;
    let scenario = place.write(
        "scenario.toml",
        &format!(
            r#"
            name = "silence"
            [target]
            timeout = "1s"
            [target.simulator]
            conversations = {conversations}
            latency = {{ median = "5ms", p99 = "20ms" }}
            # One of ten million writes takes more than 0.8 s to be seen.
            visible_after = {{ median = "400ms", p99 = "540ms" }}
            # The reset and what is cut off say nothing; 429 and 503 are sent again; what is stuck times out and is applied.
            faults = {{ reset = "1%", cut = "1%", json_503 = "1%", applied_timeout = {{ share = "1%", for = "1500ms" }} }}
            [[target.simulator.quota]]
            name = "burst"
            model = "token-bucket"
            rate = "{quota}/s"
            burst = 2_000
            per = "organisation"
            cost = "bytes"
            {writing}
            # Not checked, and beside those that are.
            [[variant]]
            name = "status"
            path = "/api/v2/conversations/{{{{ conversation_id }}}}/participants/{{{{ participant_id }}}}/attributes"
            body = '{{"attributes": {{"status": "{{{{ random(1, 9) }}}}"}}}}'
            expect = [202]
            [retry]
            on = [429, 503, "timeout"]
            max = 3
            backoff = {{ first = "200ms", factor = 2.0, most = "1s", jitter = true }}
            [load]
            spread = "300ms"
            stages = [{{ for = "{seconds}s", users = 500 }}]
            think_time = "{think_ms}ms"
            [limit]
            rate = "20000/s"
            burst = 20
            [checks]
            track = "k{{{{ user }}}}"
            limit_share = "50%"
            [checks.visibility]
            share = "100%"
            within = "1s"
            poll = {{ first = "300ms", factor = 1.2, most = "400ms" }}
            recheck = "1s"
            [checks.idempotency]
            share = "5%"
            modes = ["replay", "concurrent", "retry"]
            settle = "1s"
            [checks.lost_updates]
            enabled = true
            "#,
            writing = writing("k{{ user }}", "random").replace("expect = [202]", "expect = [202]\nweight = 9"),
            conversations = 300 + checked / 25,
            // A read costs 1, a write some 35.
            quota = RATE * 36,
        ),
    );
    let output = patchload(&["run", &scenario, "--out", &place.results(), "--accept-invalid"]).output().unwrap();
    let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.code() != Some(2), "{said}");
    let file = |name: &str| rows(&fs::read_to_string(place.run().join(name)).unwrap_or_else(|_| panic!("{said}")));
    let findings = file("consistency.csv");
    let of = |check: &str| findings.iter().find(|row| row["check"] == check).unwrap();
    let looked_for = of("indeterminate");
    let concluded = number(looked_for, "checked") - number(looked_for, "found");
    let summary = file("summary.csv");
    let attempts = |column: &str| number(&summary[0], column);
    println!("{concluded} operations concluded, {} not; {summary:#?}", number(looked_for, "found"));
    for row in findings.iter().filter(|row| !["visible", "indeterminate"].contains(&row["check"].as_str())) {
        println!("{}: {} of {}", row["check"], row["found"], row["checked"]);
        assert_eq!(number(row, "found"), 0, "{}", row["sample"]);
    }
    for row in file("idempotency.csv") {
        println!("{}: {} of {}, {} inconclusive", row["mode"], row["violations"], row["pairs"], row["inconclusive"]);
        assert_eq!(number(&row, "violations"), 0, "{}", row["sample"]);
        assert!(number(&row, "pairs") > 0, "{row:?}");
    }
    assert!(concluded >= checked, "{concluded} of {checked}\n{said}");
    for outcome in ["throttled", "failed", "broken"] {
        assert!(attempts(outcome) * 200 > attempts("operations"), "{outcome}: {summary:?}");
    }
    assert!(attempts("attempts") > attempts("operations"), "{summary:?}");
    let visible = of("visible");
    assert_eq!(number(visible, "found"), number(visible, "checked"), "{said}");
}
