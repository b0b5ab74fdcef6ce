//! What became of the attributes after a run, as text.

use std::fmt::Write as _;

use crate::measure::Restoration;
use crate::units::format::count;

/// So many rows are named; `run.json` names more.
const MOST_SHOWN: usize = 10;

/// What became of the attributes after a run.
#[must_use]
pub fn restoration(restoration: &Restoration) -> String {
    let Restoration { rows, restored, as_before, not_restored, failures, requests } = restoration;
    let mut text = format!(
        "restore  {} rows read before the run: {} restored, {} already as before, {} could not be restored ({} requests)\n",
        count(*rows),
        count(*restored),
        count(*as_before),
        count(*not_restored),
        count(*requests)
    );
    for failure in failures.iter().take(MOST_SHOWN) {
        let _ = writeln!(text, "         row {} ({}): {}", failure.row, failure.path, failure.reason);
    }
    let more = usize::try_from(*not_restored).unwrap_or(usize::MAX).saturating_sub(MOST_SHOWN.min(failures.len()));
    if more > 0 {
        let _ = writeln!(text, "         and {} more; `snapshot` in run.json names some", count(more as u64));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Kept;

    #[test]
    fn ten_rows_are_named_and_the_rest_is_counted() {
        let mut restored = Restoration { rows: 20, restored: 3, as_before: 5, requests: 43, ..Restoration::default() };
        let kept = Kept { row: 4, path: "/c".to_owned(), query: String::new(), attributes: serde_json::Value::Null };
        (0..12).for_each(|_| restored.fail(&kept, "status 404".to_owned()));
        let text = restoration(&restored);
        let first =
            "20 rows read before the run: 3 restored, 5 already as before, 12 could not be restored (43 requests)";
        assert!(
            text.contains(first) && text.contains("row 4 (/c): status 404") && text.contains("and 2 more"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 12);
    }
}
