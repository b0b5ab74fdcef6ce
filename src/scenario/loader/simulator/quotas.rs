//! `quota`: one or more rules that admit or refuse requests.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::quota::{Cost, Dimension, Limiter, Model, Quota, Scope, Slow};
use crate::scenario::loader::tree::{Field, Table};
use crate::scenario::words::{COSTS, DIMENSIONS, MODELS, Make, ORGANISATION, per_token};
use crate::units::Rate;
use crate::units::format::count;

const KEYS: [&str; 12] = [
    "name",
    "model",
    "rate",
    "burst",
    "tick",
    "limit",
    "per",
    "cost",
    "counts_refused",
    "penalty",
    "penalty_extends",
    "slow",
];
const SLOW_KEYS: [&str; 2] = ["by", "most"];

/// Every request is held against each quota, so more than these are a slip, and would be slow.
const MOST_QUOTAS: usize = 16;

/// A sliding log remembers each request that it has admitted, 16 bytes for each; more would be a slip.
const MOST_LOGGED: u128 = 1_000_000;

/// A quota whose name may still be missing.
struct Draft<'a> {
    name: Option<(String, Field<'a>)>,
    limiter: Limiter,
    scope: Scope,
    cost: Cost,
}

/// Reads a rate, a table, an array of tables, or `none`; `None` only after noting a mistake.
pub(super) fn read(field: &Field<'_>) -> Option<Vec<Quota>> {
    if field.is_array() {
        let items = field.items()?;
        if items.len() > MOST_QUOTAS {
            field.mistake(format_args!("has {} quotas; use at most {MOST_QUOTAS}", items.len()));
            return None;
        }
        return named(items.iter().map(draft).collect());
    }
    if field.is_table() {
        return named(vec![draft(field)]);
    }
    if !field.is_text() {
        return field.wrong_type("a rate such as \"300/min\", \"none\", or a table for each quota");
    }
    if field.says_none() {
        return Some(Vec::new());
    }
    Some(vec![per_token(field.quantity()?)])
}

/// Gives a name to the quotas that have none: that of their model, with a number where another quota has it.
fn named(drafts: Vec<Option<Draft<'_>>>) -> Option<Vec<Quota>> {
    let mut taken = BTreeSet::new();
    let mut is_right = true;
    for (name, field) in drafts.iter().flatten().filter_map(|draft| draft.name.as_ref()) {
        if !taken.insert(name.clone()) {
            field.mistake("is the name of another quota, too; give each a name of its own");
            is_right = false;
        }
    }
    let drafts: Vec<_> = drafts.into_iter().collect::<Option<_>>()?;
    let quota = |Draft { name, limiter, scope, cost }| {
        let name = name.map_or_else(|| free_name(limiter.model.name(), &mut taken), |(name, _)| name);
        Quota { name, limiter, scope, cost }
    };
    is_right.then(|| drafts.into_iter().map(quota).collect())
}

/// The first of `word`, `word-2`, `word-3` and so on that is not taken; takes it.
fn free_name(word: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = word.to_owned();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{word}-{number}");
    }
    name
}

fn draft<'a>(field: &Field<'a>) -> Option<Draft<'a>> {
    let table = field.table(&KEYS)?;
    let name = table.field("name").and_then(|field| field.name());
    let model = model(&table);
    let slow = table.or_none("slow", None, slow);
    let scope = table.or("per", Scope::of([Dimension::Token]), scope);
    let cost = table.or("cost", Cost::default(), |field| field.choice(&COSTS));
    let counts_refused = table.or("counts_refused", false, Field::yes_or_no);
    let penalty = table.or("penalty", Duration::ZERO, Field::duration);
    let penalty_extends = table.or("penalty_extends", false, Field::yes_or_no);
    let limiter = Limiter { model: model?, counts_refused, penalty, penalty_extends, slow };
    agree(&table, &limiter)?;
    Some(Draft { name: name.zip(table.field("name")), limiter, scope, cost })
}

/// Whether the options go with each other and with the model.
fn agree(table: &Table<'_>, limiter: &Limiter) -> Option<()> {
    let mut is_right = true;
    let mut mistake = |key: &str, text: String| {
        if let Some(field) = table.field(key) {
            field.mistake(text);
            is_right = false;
        }
    };
    if limiter.slow.is_some() && !limiter.penalty.is_zero() {
        mistake("penalty", "does nothing beside `slow`, which refuses nothing; keep one of them".to_owned());
    }
    if limiter.penalty_extends && limiter.penalty.is_zero() {
        mistake("penalty_extends", "does nothing without a `penalty`; write one, or remove it".to_owned());
    }
    if limiter.counts_refused && matches!(limiter.model, Model::Concurrency { .. }) {
        mistake("counts_refused", "does nothing to a concurrency limit; remove it".to_owned());
    }
    if let Model::SlidingLog { rate } = limiter.model {
        let slowed = limiter.slow.map_or(0, |Slow { by, most }| most.as_nanos().div_ceil(by.as_nanos().max(1)));
        if u128::from(rate.count().get()) + slowed > MOST_LOGGED {
            let most = count(u64::try_from(MOST_LOGGED).unwrap_or(u64::MAX));
            let text = format!(
                "makes the log remember more than {most} requests of each key; lower the rate, or `slow.most` against \
                 `slow.by`"
            );
            mistake("model", text);
        }
    }
    is_right.then_some(())
}

/// The model with its parameters.
fn model(table: &Table<'_>) -> Option<Model> {
    let words = MODELS.map(|(word, _)| format!("\"{word}\"")).join(", ");
    let field = table.required("model", &format!("write one of {words}"))?;
    let make = field.choice(&MODELS)?;
    let foreign: &[&str] = match make {
        Make::Window(_) => &["burst", "tick", "limit"],
        Make::Bucket(_) => &["tick", "limit"],
        Make::Ticks(_) => &["limit"],
        Make::Limit(_) => &["rate", "burst", "tick"],
    };
    for field in foreign.iter().filter_map(|key| table.field(key)) {
        field.mistake("does not go with the model; remove it, or change `model`");
    }
    let rate = || table.required("rate", "write so many per time, for example \"300/min\"")?.quantity();
    let burst = |rate: Rate| table.field("burst").map_or(Some(rate.count()), |field| above_zero(&field));
    match make {
        Make::Window(of) => Some(of(rate()?)),
        Make::Bucket(of) => {
            let rate: Rate = rate()?;
            Some(of(rate, burst(rate)?))
        }
        Make::Ticks(of) => {
            let rate: Rate = rate()?;
            let tick = table.field("tick").map_or(Some(Duration::from_secs(1)), |field| field.positive_duration());
            Some(of(rate, burst(rate)?, tick?))
        }
        Make::Limit(of) => {
            let field = table.required("limit", "write how many requests may be in flight, for example 10")?;
            Some(of(above_zero(&field)?))
        }
    }
}

fn above_zero(field: &Field<'_>) -> Option<NonZeroU32> {
    field.whole(1..=u64::from(u32::MAX)).and_then(NonZeroU32::new)
}

/// A dimension, several in an array, or the organisation.
fn scope(field: &Field<'_>) -> Option<Scope> {
    if !field.is_array() {
        let organisation = [(ORGANISATION, Scope::default())];
        let scopes = DIMENSIONS.map(|(word, dimension)| (word, Scope::of([dimension])));
        return field.choice(&[scopes.as_slice(), &organisation].concat());
    }
    let items = field.items()?;
    if items.is_empty() {
        field.mistake("is empty; name a dimension, or write \"organisation\"");
        return None;
    }
    let dimensions: Vec<_> = items.iter().map(|item| item.choice(&DIMENSIONS)).collect();
    Some(Scope::of(dimensions.into_iter().collect::<Option<Vec<_>>>()?))
}

fn slow(field: &Field<'_>) -> Option<Slow> {
    if !field.is_table() {
        return field.wrong_type("a table such as { by = \"5ms\", most = \"1s\" }");
    }
    let table = field.table(&SLOW_KEYS)?;
    let by = table.required("by", "write the delay for each request over the quota, for example \"5ms\"");
    let by = by.and_then(|field| field.positive_duration());
    let most = table.required("most", "write the longest delay, for example \"1s\"")?.positive_duration()?;
    Some(Slow { by: by?, most })
}
