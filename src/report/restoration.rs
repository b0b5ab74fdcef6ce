//! What became of the attributes after a run, as text.

use std::fmt::Write as _;
use std::path::Path;

use crate::measure::{Restoration, RestoreEnd};
use crate::units::format::count;

/// So many rows are named; `run.json` names more.
const MOST_SHOWN: usize = 10;

/// What became of the attributes after a run, in lines; `folder` is that of the run, where `patchload restore` can try again.
#[must_use]
pub fn restoration(restoration: &Restoration, folder: Option<&Path>) -> String {
    let Restoration { rows, restored, as_before, not_restored, failures, requests, end } = restoration;
    let left = if *end == RestoreEnd::Left { "left in the middle; of " } else { "" };
    let mut text = format!(
        "restore  {left}{} rows read before the run: {} restored, {} already as before, {} could not be restored ({} requests)\n",
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
    if let Some(folder) = folder.filter(|_| *not_restored > 0) {
        let _ = writeln!(text, "         `patchload restore {}` tries again", folder.display());
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
        let text = restoration(&restored, Some(Path::new("results/a")));
        let first =
            "20 rows read before the run: 3 restored, 5 already as before, 12 could not be restored (43 requests)";
        assert!(
            text.contains(first) && text.contains("row 4 (/c): status 404") && text.contains("and 2 more"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 13);
        assert!(text.ends_with("`patchload restore results/a` tries again\n"), "{text}");
        assert!(!restoration(&restored, None).contains("patchload restore"), "there is nobody to try it with");
        let good = Restoration { not_restored: 0, failures: Vec::new(), ..restored };
        assert_eq!(restoration(&good, Some(Path::new("results/a"))).lines().count(), 1);
    }
}
