//! Which operations are checked, and how: idempotency, visibility, lost updates.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;

use super::operation::{Purpose, random};
use super::template::{Template, Values};
use super::{Operation, RenderError, Scenario};
use crate::measure::Mode;
use crate::units::Share;

/// The bit that tells the number of an operation that is repeated from that of the operation of the load after which it is:
/// no run of the load counts so far.
const EXTRA: u64 = 1 << 40;

/// The bit that tells, of such an operation, the one that asks for something else with the same idempotency key.
const OTHER: u64 = 1 << 41;

/// What is checked. A scenario with checks says how attributes are read, too.
#[derive(Debug, Clone)]
pub struct Checks {
    /// The attribute whose value bears `{{ unique }}`.
    pub(super) track: Template,
    /// By variant, whether its body gives that attribute such a value: only those are checked.
    pub(super) tracked: Vec<bool>,
    /// By variant, whether its body may name that attribute at all.
    pub(super) names_key: Vec<bool>,
    /// The most of the limit's permits that go to checks.
    pub limit_share: Share,
    /// The most writes that are remembered.
    pub ledger: usize,
    /// Whether the history of writes and reads is written into the run folder.
    pub history: bool,
    /// Whether and how operations are repeated.
    pub idempotency: Option<Idempotency>,
    /// Whether and how writes are looked for.
    pub visibility: Option<Visibility>,
    /// Whether all resources are read before the run and after it, and compared with what was acknowledged.
    pub lost_updates: bool,
}

/// How operations are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Idempotency {
    /// The share of operations after which one is repeated.
    pub share: Share,
    /// How, in turn; at least one.
    pub modes: Vec<Mode>,
    /// How many identical requests are in flight together in [`Mode::Concurrent`], at least 2.
    pub concurrent: u32,
    /// The pause between the last repetition and the read of its effect: longer than writes take to be seen.
    pub settle: Duration,
    /// Where responses may differ: JSON pointers (RFC 6901).
    pub volatile: Vec<String>,
}

/// How writes are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visibility {
    /// The share of operations that are looked for.
    pub share: Share,
    /// What is not seen so long after its answer is never visible.
    pub within: Duration,
    /// The pause between the answer and the first look.
    pub first: Duration,
    /// What each pause between two looks is to the one before, 1 or more.
    pub factor: f64,
    /// No pause is longer.
    pub most: Duration,
    /// So long after a write was first seen it is looked at again.
    pub recheck: Duration,
}

/// What is checked of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampled {
    /// It is looked for.
    pub visibility: bool,
    /// An operation of the same user, row and variant is repeated in this way.
    pub idempotency: Option<Mode>,
}

impl Idempotency {
    /// The header by which a client says that two requests are one (draft-ietf-httpapi-idempotency-key-header), as
    /// [`Mode::Keyed`] sends it. No variant that is repeated so has one of its own.
    pub const KEY_HEADER: &str = "idempotency-key";
}

impl Checks {
    /// So many readings after the run must agree, one after the other, before something is said to be missing: one of them may
    /// be stale.
    pub const AUDITS: u32 = 3;

    /// How writes are looked for: as the scenario says, or as usual.
    #[must_use]
    pub fn looking(&self) -> Visibility {
        self.visibility.unwrap_or(Visibility::USUAL)
    }

    /// Whether operations of a variant are checked.
    #[must_use]
    pub fn is_tracked(&self, variant: usize) -> bool {
        self.tracked[variant]
    }

    /// Whether operations of a variant may write the attribute, as far as its first operation shows; those without a JSON body
    /// may write anything.
    #[must_use]
    pub fn names_key(&self, variant: usize) -> bool {
        self.names_key[variant]
    }

    /// The name of the attribute that bears the operation's `unique`.
    ///
    /// # Errors
    /// When the template fails on the operation's row.
    pub fn key(&self, scenario: &Scenario, operation: &Operation) -> Result<String, RenderError> {
        let rows = scenario.table_of(operation.variant).map(|data| &data.rows);
        let values = Values::new(rows, scenario.seed, operation);
        self.track.render(&values).map(std::borrow::Cow::into_owned)
    }

    /// The operation whose `unique` a text holds, such as the value of the attribute of [`Checks::key`]; `None` for a value that
    /// somebody else wrote, and where the text holds those of two.
    ///
    /// Only whole numbers count: with seed 7, `a 7-12.` is operation 12, and neither `17-12` nor `7-012` is any.
    #[must_use]
    pub fn number_in(&self, scenario: &Scenario, value: &str) -> Option<u64> {
        number_in(scenario.seed, value)
    }

    /// The operation that is repeated after this one: none of the load, but of the same user, row and variant.
    #[must_use]
    pub fn extra(operation: &Operation) -> Operation {
        Operation { number: operation.number | EXTRA, ..*operation }
    }

    /// The operation that [`Mode::Keyed`] sends with the key of that of [`Checks::extra`]: of the same user, row and variant, with
    /// another body.
    #[must_use]
    pub fn other(operation: &Operation) -> Operation {
        Operation { number: operation.number | EXTRA | OTHER, ..*operation }
    }

    /// Whether the operation with this number belongs to one that is repeated, and is none of the load.
    #[must_use]
    pub fn is_extra(number: u64) -> bool {
        number != Self::origin(number)
    }

    /// The number of the operation of the load after which the one with this number is repeated; of one of the load, its own.
    #[must_use]
    pub fn origin(number: u64) -> u64 {
        number & !(EXTRA | OTHER)
    }

    /// Whether the attribute's name depends on row and user alone.
    pub(super) fn is_steady(&self, scenario: &Scenario) -> bool {
        let first = scenario.first_operation(0);
        let users = u64::from(scenario.load.max_users());
        let later = Operation { step: first.step + 1, number: first.number + users, ..first };
        self.key(scenario, &first) == self.key(scenario, &later)
    }

    /// Whether a variant's body gives the attribute a value that bears the operation's `unique`, as the first operation of the
    /// variant, the next one and a repeated one show; and whether it takes its columns from the table that is read.
    pub(super) fn is_borne_by(&self, scenario: &Scenario, variant: usize) -> bool {
        let first = scenario.first_operation(variant);
        let block: u64 = scenario.variants.iter().map(|variant| u64::from(variant.weight.get())).sum();
        let next = (first.number + 1..=first.number + 2 * block).map(|number| scenario.operation_numbered(number));
        let next = next.filter(|operation| operation.variant == variant).take(1);
        let mut tried = [first, Self::extra(&first)].into_iter().chain(next);
        scenario.variants[variant].data == 0 && tried.all(|operation| self.is_borne_in(scenario, &operation))
    }

    /// Whether a variant's body names the attribute, as its first operation shows; or may, where it is no JSON.
    pub(super) fn is_named_by(&self, scenario: &Scenario, variant: usize) -> bool {
        let operation = scenario.first_operation(variant);
        let body = scenario.variants[variant].render_body(scenario, &operation).ok().flatten();
        let body = body.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some((body, key)) = body.zip(self.key(scenario, &operation).ok()) else { return true };
        names(&body, &key)
    }

    fn is_borne_in(&self, scenario: &Scenario, operation: &Operation) -> bool {
        let body = scenario.variants[operation.variant].render_body(scenario, operation);
        let Ok(Some(bytes)) = body else { return false };
        let (Ok(body), Ok(key)) = (serde_json::from_slice(&bytes), self.key(scenario, operation)) else { return false };
        any_of_key(&body, &key, &|value| number_in(scenario.seed, value) == Some(operation.number))
    }

    /// What is checked of an operation: a function of seed and number.
    #[must_use]
    pub fn sampled(&self, seed: u64, operation: &Operation) -> Sampled {
        if !self.is_tracked(operation.variant) {
            return Sampled::default();
        }
        let mut draw = random(seed, Purpose::Check, operation.number);
        let mut is_drawn = |share: Share| draw.random::<f64>() < share.get();
        let visibility = self.visibility.is_some_and(|visibility| is_drawn(visibility.share));
        let repeated = self.idempotency.as_ref().filter(|idempotency| is_drawn(idempotency.share));
        let idempotency = repeated.map(|idempotency| idempotency.modes[draw.random_range(0..idempotency.modes.len())]);
        Sampled { visibility, idempotency }
    }
}

impl Scenario {
    /// For each data row the first row that names the same resource: whose path and query of `[read]` are the same. Without
    /// `[read]` each row names its own.
    ///
    /// It renders both for every row, and holds them meanwhile: about a microsecond and 150 bytes for each. Whoever needs it
    /// keeps it.
    #[must_use]
    pub fn resources(&self) -> Vec<u32> {
        let mut first_rows = HashMap::new();
        let resource = |(row, number): (usize, u32)| {
            let Some(read) = &self.read else { return number };
            // A row on which a template fails is found when it is read.
            let path = read.request(self, row).map(|request| request.path.into_owned()).unwrap_or_default();
            *first_rows.entry((path, read.query(self, row).unwrap_or_default())).or_insert(number)
        };
        (0..self.rows()).zip(0..).map(resource).collect()
    }
}

/// The number of the one operation whose `unique` stands in a text.
fn number_in(seed: u64, text: &str) -> Option<u64> {
    let mark = format!("{seed}-");
    let mut found = None;
    for (at, _) in text.match_indices(&mark) {
        let rest = &text[at + mark.len()..];
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let is_padded = digits.len() > 1 && digits.starts_with('0');
        if text[..at].ends_with(|c: char| c.is_ascii_digit()) || is_padded {
            continue;
        }
        let Ok(number) = digits.parse::<u64>() else { continue };
        if found.is_some_and(|other| other != number) {
            return None;
        }
        found = Some(number);
    }
    found
}

/// Whether any member has that name, at any depth.
fn names(body: &Value, key: &str) -> bool {
    match body {
        Value::Object(members) => members.iter().any(|(name, value)| name == key || names(value, key)),
        Value::Array(items) => items.iter().any(|item| names(item, key)),
        _ => false,
    }
}

/// Whether any member of that name, at any depth, has a text of which `is_it` says so.
fn any_of_key(body: &Value, key: &str, is_it: &dyn Fn(&str) -> bool) -> bool {
    match body {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name == key && value.as_str().is_some_and(is_it) || any_of_key(value, key, is_it)),
        Value::Array(items) => items.iter().any(|item| any_of_key(item, key, is_it)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::read::of_row;
    use super::*;

    #[test]
    fn the_number_behind_the_seed_is_read_back_and_no_part_of_a_longer_one() {
        for (text, number) in [
            ("7-12", Some(12)),
            ("a 7-12.", Some(12)),
            ("k3-7-0", Some(0)),
            ("7-12 7-12", Some(12)),
            ("7-1099511627781", Some(EXTRA | 5)),
            ("7-12 7-13", None),
            ("17-12", None),
            ("7-012", None),
            ("7-", None),
            ("7-x", None),
            ("7-99999999999999999999", None),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(number_in(7, text), number, "{text}");
        }
    }

    #[test]
    fn the_attribute_is_found_at_any_depth() {
        let body = json!({"a": [{"ref": {"ref": "x"}}], "other": "y"});
        assert!(any_of_key(&body, "ref", &|value| value == "x"));
        assert!(!any_of_key(&body, "ref", &|value| value == "y"));
    }

    proptest! {
        #[test]
        fn what_unique_is_rendered_as_is_read_back(
            seed in any::<u64>(), number in 0..EXTRA, before in "[^0-9-]{0,9}", behind in "([^0-9-].{0,9})?"
        ) {
            let text = format!("{before}{seed}-{number}{behind}");
            // What stands behind may hold another number.
            prop_assert!([Some(number), None].contains(&number_in(seed, &text)));
            prop_assert_eq!(number_in(seed, &format!("{before}{seed}-{number}")), Some(number));
        }

        #[test]
        fn no_text_makes_it_panic(seed in any::<u64>(), text in "\\PC{0,40}|[0-9-]{0,40}") {
            let _ = number_in(seed, &text);
        }

        #[test]
        fn a_repeated_operation_tells_its_origin(number in 0..EXTRA) {
            let operation = Operation { number, ..of_row(0) };
            let (extra, other) = (Checks::extra(&operation), Checks::other(&operation));
            prop_assert!(extra.number != other.number && other == Checks::other(&extra));
            prop_assert!([extra, other].iter().all(|operation| Checks::is_extra(operation.number)));
            prop_assert!(!Checks::is_extra(number));
            prop_assert_eq!([extra.number, other.number, number].map(Checks::origin), [number; 3]);
        }
    }
}
