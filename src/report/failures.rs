//! What was not accepted, as text.

use std::fmt::Write as _;

use super::table::Side::{Left, Right};
use super::table::Table;
use super::text::{MOST_COLUMNS, UNKNOWN, estimate, packed};
use crate::measure::{Failure, FailureKey, Run, VariantTotals};
use crate::results::Rates;
use crate::units::format::count;

/// How many kinds of failures are shown at most.
const MOST_SHOWN: usize = 20;

/// So far what the target said is moved to the right of what it is said of.
const INDENT: &str = "    ";

/// Each kind of failure in two lines or three: how often it was seen, and what the target said. One line would be too long for
/// most terminals, and a code that is cut short tells nobody anything.
pub(super) fn failures(run: &Run, all: &VariantTotals) -> String {
    let mut rows: Vec<_> = run.totals.failures.iter().collect();
    if rows.is_empty() {
        return nothing_failed(all);
    }
    let several = run.header.variants.len() > 1;
    // A stable sort: rows of one count stay in the order of variant, outcome, status and code.
    rows.sort_by_key(|(_, failure)| std::cmp::Reverse(failure.count));
    let shown = &rows[..rows.len().min(MOST_SHOWN)];
    let rates = Rates::of_variants(&run.totals);
    let mut table = Table::new([
        (if several { "variant" } else { "" }, Left),
        ("outcome", Left),
        ("status", Right),
        ("count", Right),
        ("share (95 %)", Right),
    ]);
    for (key, failure) in shown {
        let attempts = run.totals.variants[key.variant].counts.attempts();
        table.row([
            if several { run.header.variants[key.variant].clone() } else { String::new() },
            key.outcome.to_string(),
            key.status.map_or_else(|| UNKNOWN.to_owned(), |status| status.to_string()),
            count(failure.count),
            estimate(rates[key.variant].share(failure.count, attempts)),
        ]);
    }
    let (mut text, lines) = (String::new(), table.lines());
    let (head, figures) = lines.split_once('\n').unwrap_or_default();
    let _ = writeln!(text, "{head}");
    for (figures, (key, failure)) in figures.lines().zip(shown) {
        let _ = writeln!(text, "{figures}");
        for said in said(key, failure) {
            let _ = writeln!(text, "{INDENT}{said}");
        }
    }
    if rows.len() > shown.len() {
        let _ = writeln!(text, "failures.csv lists {} more.", rows.len() - shown.len());
    }
    let of = if several { "the variant's attempts" } else { "all attempts" };
    let _ = writeln!(
        text,
        "What was not accepted, as shares of {of}. Below each: the code, the field that\n\
         the answer names, and the correlation id of one example."
    );
    text
}

fn nothing_failed(all: &VariantTotals) -> String {
    let attempts = all.counts.attempts();
    match (attempts, all.counts.started) {
        (0, 0) => "No attempt was made.\n".to_owned(),
        (0, started) => format!("{} operations had started, and none was finished.\n", count(started)),
        _ => format!("Every attempt was accepted, {} in all.\n", count(attempts)),
    }
}

/// What the target said, in lines; none where it said nothing.
fn said(key: &FailureKey, failure: &Failure) -> Vec<String> {
    let code = (!key.code.is_empty()).then(|| key.code.clone());
    let field = failure.field.as_ref().map(|field| format!("field {field}"));
    let id = failure.correlation_ids.first().map(|id| format!("id {id}"));
    packed([code, field, id].into_iter().flatten().map(|part| ("  ", part)), MOST_COLUMNS - INDENT.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Outcome;

    #[test]
    fn what_a_target_said_fits_its_lines_whatever_it_said() {
        let said = |code: &str, field: Option<&str>, id: Option<&str>| {
            let key = FailureKey { variant: 0, outcome: Outcome::Rejected, status: Some(400), code: code.to_owned() };
            let correlation_ids = id.map(str::to_owned).into_iter().collect();
            super::said(&key, &Failure { field: field.map(str::to_owned), correlation_ids, ..Failure::default() })
        };
        assert!(said("", None, None).is_empty());
        assert_eq!(said("a", Some("b"), Some("c")), ["a  field b  id c"]);
        let (code, id) = ("conversation.error.participant.attribute.null", "2f6e0000-0000-4000-8000-000000000007");
        let lines = [format!("{code}  field attributes"), format!("id {id}")];
        assert_eq!(said(code, Some("attributes"), Some(id)), lines, "nothing of it is cut");
        let long = "x\n".repeat(200);
        for line in said(&long, Some(&long), Some(&long)) {
            assert!(line.chars().count() + INDENT.len() <= MOST_COLUMNS && !line.contains('\n'), "{line}");
        }
    }
}
