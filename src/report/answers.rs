//! Which variant is accepted, which is refused, and why: at a glance.

use super::table::Side::{Left, Right};
use super::table::Table;
use super::text::{MOST_COLUMNS, UNKNOWN, estimate, packed};
use crate::measure::{Counts, Failure, FailureKey, Outcome, Run};
use crate::results::{Estimate, Rates};

/// At least so many columns for the reasons, however long the names are.
const LEAST_ROOM: usize = 30;

/// What a target thinks of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Every operation was accepted.
    Accepted,
    /// Some were, and some were not.
    Mixed,
    /// None was, and the target gave the request itself as the reason.
    Refused,
    /// None was, and nothing was said about the request: a quota, a failure of the server, or silence.
    Unclear,
    /// No operation has finished.
    Untried,
}

impl Answer {
    fn of(counts: &Counts) -> Self {
        let about_it = counts.outcome(Outcome::Rejected) + counts.outcome(Outcome::Unexpected);
        match (counts.finished, counts.failed) {
            (0, _) => Self::Untried,
            (_, 0) => Self::Accepted,
            (finished, failed) if failed < finished => Self::Mixed,
            _ if about_it > 0 => Self::Refused,
            _ => Self::Unclear,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Mixed => "mixed",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
            Self::Untried => UNKNOWN,
        }
    }
}

/// A row for each variant; nothing where there is only one.
pub(super) fn answers(run: &Run) -> String {
    let names = &run.header.variants;
    if names.len() < 2 {
        return String::new();
    }
    let rows: Vec<_> = names
        .iter()
        .zip(&run.totals.variants)
        .map(|(name, totals)| {
            let accepted = Rates::of(totals, run.totals.main_s).failure.map(Estimate::complement);
            (name.as_str(), Answer::of(&totals.counts).word(), estimate(accepted))
        })
        .collect();
    let is_unclear = rows.iter().any(|(_, word, _)| *word == Answer::Unclear.word());
    let width = |cell: fn(&(&str, &str, String)) -> usize| rows.iter().map(cell).max().unwrap_or_default();
    let taken = width(|row| row.0.chars().count()).max(7) + width(|row| row.1.len()) + width(|row| row.2.len()) + 6;
    let room = MOST_COLUMNS.saturating_sub(taken).max(LEAST_ROOM);
    let mut table = Table::new([("variant", Left), ("answer", Left), ("accepted (95 %)", Right), ("why not", Left)]);
    for (variant, (name, word, accepted)) in rows.into_iter().enumerate() {
        let mut why = why(run, variant, room).into_iter();
        table.row([name.to_owned(), word.to_owned(), accepted, why.next().unwrap_or_default()]);
        for line in why {
            table.row([String::new(), String::new(), String::new(), line]);
        }
    }
    let mut text = table.lines();
    text.push_str(
        "Accepted: every finished operation was. Refused: none was. Mixed: some were. Why not: status, code\n\
         and field of the answer that came most often instead.\n",
    );
    if is_unclear {
        text.push_str(
            "Unclear: none was accepted, and no answer was about the request: a quota, or a failing target.\n",
        );
    }
    text
}

/// Status, code and field of the most frequent failure of a variant, in lines that fit; no line where there is none.
fn why(run: &Run, variant: usize, room: usize) -> Vec<String> {
    let kinds: Vec<_> = run.totals.failures.iter().filter(|(key, _)| key.variant == variant).collect();
    // What is said about the request comes first: a quota that was met meanwhile tells nothing about it.
    let weight = |(key, failure): &(&FailureKey, &Failure)| {
        (matches!(key.outcome, Outcome::Rejected | Outcome::Unexpected), failure.count)
    };
    // Of equals the first one, as in the table of failures.
    let Some((key, failure)) = kinds.iter().rev().copied().max_by_key(weight) else { return Vec::new() };
    let status = key.status.map_or_else(|| key.outcome.to_string(), |status| status.to_string());
    let status = if key.outcome == Outcome::Unexpected { format!("{status}, not expected") } else { status };
    let field = failure.field.as_ref().map(|field| format!("field {field}"));
    let others = (kinds.len() > 1).then(|| format!("and {} more", kinds.len() - 1));
    let code = (!key.code.is_empty()).then(|| key.code.clone());
    let (status, code, field) = ((Some(status), ""), (code, " "), (field, ", "));
    let fits = status.0.iter().chain(&code.0).map(|part| part.chars().count() + 1).sum::<usize>() <= room + 1;
    // A code that has no place beside the status has a line of its own, and the field takes that place.
    let parts = if fits { [status, code, field] } else { [status, field, code] };
    let parts = parts.into_iter().chain([(others, ", ")]);
    packed(parts.filter_map(|(part, joint)| Some((joint, part?))), room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(finished: u64, failed: u64, rejected: u64) -> Answer {
        let mut counts = Counts { finished, failed, ..Counts::default() };
        counts.outcomes[Outcome::Rejected.index()] = rejected;
        Answer::of(&counts)
    }

    #[test]
    fn a_payload_is_refused_only_where_the_target_said_so() {
        assert_eq!(answer(10, 0, 0), Answer::Accepted);
        assert_eq!(answer(10, 3, 3), Answer::Mixed);
        assert_eq!(answer(10, 10, 1), Answer::Refused);
        // Nothing but 429, 5xx and silence.
        assert_eq!(answer(10, 10, 0), Answer::Unclear);
        assert_eq!(answer(0, 0, 0), Answer::Untried);
    }
}
