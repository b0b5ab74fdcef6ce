//! What is known of a value before a template is rendered: enough to tell a call that never works from one that may.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

use super::engine::BASE;

/// More combinations of samples than these are not tried, and the call counts as one that may work.
const MOST_TRIES: usize = 4_096;

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// It is this one always.
    Constant(Value),
    /// It is of one of these kinds.
    Kinds(BTreeSet<Kind>),
    /// Nothing.
    Nothing,
}

/// A kind of value of which samples stand for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Text,
    Whole,
    Decimal,
    Truth,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Text, Self::Whole, Self::Decimal, Self::Truth];

    /// `None` for lists, maps and all else that has no kind.
    fn of(value: &Value) -> Option<Self> {
        match value.kind() {
            minijinja::value::ValueKind::String => Some(Self::Text),
            minijinja::value::ValueKind::Bool => Some(Self::Truth),
            minijinja::value::ValueKind::Number if value.is_integer() => Some(Self::Whole),
            minijinja::value::ValueKind::Number => Some(Self::Decimal),
            _ => None,
        }
    }

    /// Values that differ in what calls take exception to: texts that are numbers, words, lists of words, short and long;
    /// numbers below, at and above zero.
    fn samples(self) -> Vec<Value> {
        match self {
            Self::Text => ["x", "", "1", "1.5", "a-b c, d"].map(Value::from).into_iter().chain([long_text()]).collect(),
            Self::Whole => [1, 0, -1, 7, -1_000, 100_000].map(Value::from).to_vec(),
            Self::Decimal => [0.5, 0.0, -1_000.5, 1e9].map(Value::from).to_vec(),
            Self::Truth => [true, false].map(Value::from).to_vec(),
        }
    }
}

fn long_text() -> Value {
    Value::from("x".repeat(100))
}

impl From<Kind> for Known {
    fn from(kind: Kind) -> Self {
        Self::Kinds(BTreeSet::from([kind]))
    }
}

impl Known {
    /// What is known of a value that is either of two.
    pub(super) fn or(&self, other: &Self) -> Self {
        match (self.kinds(), other.kinds()) {
            (Some(some), Some(others)) => Self::Kinds(some.into_iter().chain(others).collect()),
            _ => Self::Nothing,
        }
    }

    fn kinds(&self) -> Option<BTreeSet<Kind>> {
        match self {
            Self::Constant(value) => Kind::of(value).map(|kind| BTreeSet::from([kind])),
            Self::Kinds(kinds) => Some(kinds.clone()),
            Self::Nothing => None,
        }
    }

    fn samples(&self) -> Vec<Value> {
        match self {
            Self::Constant(value) => vec![value.clone()],
            Self::Kinds(kinds) => kinds.iter().copied().flat_map(Kind::samples).collect(),
            Self::Nothing => {
                let list = Value::from(vec!["x", "1"]);
                let map = Value::from(BTreeMap::from([("x", 1)]));
                Kind::ALL.into_iter().flat_map(Kind::samples).chain([Value::from(()), list, map]).collect()
            }
        }
    }
}

/// Tries an expression whose operands are called `a0`, `a1` and so on, with the functions that it may call.
///
/// # Errors
/// Why it fails whatever its operands are, as far as that is known of them: with all samples, and where nothing is known of
/// an operand for a reason that no value would do away with.
pub(super) fn attempt(
    expression: &str,
    operands: &[Known],
    functions: &BTreeMap<String, Value>,
) -> Result<Known, Error> {
    let samples: Vec<Vec<Value>> = operands.iter().map(Known::samples).collect();
    let tries = samples.iter().try_fold(1_usize, |tries, samples| tries.checked_mul(samples.len()));
    let tries = tries.filter(|tries| *tries <= MOST_TRIES);
    // What was written in another way than it is put together here is no reason to refuse it.
    let compiled = BASE.compile_expression_owned(expression.to_owned()).ok();
    let Some((tries, compiled)) = tries.zip(compiled) else { return Ok(Known::Nothing) };
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for number in 0..tries {
        let mut scope = functions.clone();
        let mut rest = number;
        for (i, samples) in samples.iter().enumerate() {
            scope.insert(format!("a{i}"), samples[rest % samples.len()].clone());
            rest /= samples.len();
        }
        match compiled.eval(Value::from(scope)) {
            Ok(value) => results.push(value),
            Err(error) => errors.push(error),
        }
    }
    let is_vague = operands.iter().any(|known| matches!(known, Known::Nothing));
    if results.is_empty() && (!is_vague || errors.iter().all(is_certain)) {
        return errors.into_iter().next().map_or(Ok(Known::Nothing), Err);
    }
    let is_constant = operands.iter().all(|known| matches!(known, Known::Constant(_)));
    if is_constant && let Some(value) = results.first() {
        return Ok(Known::Constant(value.clone()));
    }
    let kinds: Option<BTreeSet<Kind>> = results.iter().map(Kind::of).collect();
    Ok(kinds.map_or(Known::Nothing, Known::Kinds))
}

/// Whether no other value would do away with the error.
fn is_certain(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
    )
}
