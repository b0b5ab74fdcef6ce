//! What made-up checks found, for tests of what is written and read.

use patchload::measure::{Check, Checks, Effort, Findings, Merge, Mode, Repetitions, VariantChecks, Violation};

/// Findings of two variants: much is wrong with the first, nothing with the second.
pub(crate) fn checks() -> Checks {
    Checks {
        variants: vec![wrong(), right()],
        merge: Some(Merge::WholeMap),
        effort: Effort { reads: 23_456, writes: 1_234, not_sampled: 17, ledger: 500_000, beyond_ledger: 2_500 },
    }
}

fn wrong() -> VariantChecks {
    let mut checks = VariantChecks::default();
    let curl = |body: &str| {
        format!(
            "curl -X PATCH \"$SIMULATOR\"'/api/v2/x' \\\n  -H \"Authorization: Bearer $TOKEN\" \\\n  --data-raw '{body}'"
        )
    };
    checks.repetitions[Mode::Replay.index()] = Repetitions {
        pairs: 102,
        same_status: 102,
        same_response: 101,
        same_state: 100,
        violations: 3,
        inconclusive: 4,
        sample: Some(Violation {
            text: "operation 4,711: the state differs in `/count`: 1 after once, 2 after twice".to_owned(),
            requests: vec![curl(r#"{"ref":"42-1099511632487"}"#), curl(r#"{"ref":"42-1099511632487"}"#)],
        }),
    };
    checks.repetitions[Mode::Retry.index()] = Repetitions { inconclusive: 6, ..Repetitions::default() };
    let found = [
        (Check::Visible, 1_000, 971, ""),
        (Check::NeverVisible, 1_000, 18, "operation 17: 202 at 3.20s, and 19 looks until 13.4s did not show it"),
        (Check::Reverted, 971, 11, "operation 99: seen at 4.10s, gone at 9.20s\u{1b}[31m, and nobody wrote it since"),
        (Check::Lost, 400, 2, "operation 5: gone after operation 8 wrote another key"),
        (Check::Phantom, 1_100, 1, "operation 55: 500 at 7.00s, and its value was seen at 17.1s"),
        (Check::StaleRead, 9_000, 90, "operation 12: a look at 5.00s showed operation 3, which it had replaced"),
        (Check::UntouchedChanged, 2_000, 0, ""),
        (Check::Indeterminate, 1_100, 100, "operation 7: the answer did not come"),
    ];
    for (check, checked, found, sample) in found {
        let sample = (!sample.is_empty()).then(|| sample.to_owned());
        checks.findings[check.index()] = Findings { checked, found, sample };
    }
    for i in 0..971 {
        checks.visible.record(40_000 + i * 1_700).expect("a second or two is within a day");
        checks.resolution.record(50_000 + i * 90).expect("a second or two is within a day");
    }
    checks
}

fn right() -> VariantChecks {
    let mut checks = VariantChecks::default();
    checks.repetitions[Mode::Concurrent.index()] =
        Repetitions { pairs: 20, same_status: 20, same_response: 20, same_state: 20, ..Repetitions::default() };
    for (check, checked, found) in [(Check::Visible, 500, 500), (Check::NeverVisible, 500, 0)] {
        checks.findings[check.index()] = Findings { checked, found, sample: None };
    }
    checks
}
