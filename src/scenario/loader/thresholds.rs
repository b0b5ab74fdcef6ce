//! `[thresholds]`: what the run is to keep.

use super::checks;
use super::tree::{Field, Table, hint};
use crate::judge::{Metric, Threshold, UnknownMetric};

/// Reads all thresholds; those that are wrong have been noted. `variants` are the names of the scenario's variants, `None`
/// when they are unknown because they are wrong themselves.
///
/// A metric may be written as one name in quotes or, as TOML reads dots outside of quotes, as tables in tables.
pub(super) fn read(root: &Table<'_>, variants: Option<&[&str]>) -> Vec<Threshold> {
    let mut found = Vec::new();
    if let Some(field) = root.field("thresholds") {
        collect(&field, "", &Known { root, variants }, &mut found);
    }
    found
}

/// What a metric may be about.
struct Known<'k> {
    root: &'k Table<'k>,
    variants: Option<&'k [&'k str]>,
}

fn collect(field: &Field<'_>, name: &str, known: &Known<'_>, found: &mut Vec<Threshold>) {
    for (key, field) in field.entries().unwrap_or_default() {
        let name = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        if field.is_table() {
            collect(&field, &name, known, found);
            continue;
        }
        let metric = metric(&field, &name, known.variants);
        let missing = metric.as_ref().and_then(|metric| checks::missing(known.root, metric.quantity));
        if let Some(table) = missing {
            field.mistake(format_args!("is about something that the scenario does not check; add {table}"));
        }
        let conditions = if field.is_array() { field.items().unwrap_or_default() } else { vec![field] };
        found.extend(conditions.iter().filter_map(|field| condition(field, metric.as_ref()?)));
    }
}

fn metric(field: &Field<'_>, name: &str, variants: Option<&[&str]>) -> Option<Metric> {
    match Metric::parse(name, variants.unwrap_or_default()) {
        Ok(metric) => return Some(metric),
        Err(UnknownMetric::Quantity { name, known }) => {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            field.mistake(format_args!("is no metric that can have a threshold; {}", hint(&name, &known)));
        }
        Err(UnknownMetric::Variant { name }) => {
            if let Some(variants) = variants {
                field.mistake(format_args!(
                    "names the variant `{name}`, which does not exist; {}",
                    hint(&name, variants)
                ));
            }
        }
    }
    None
}

fn condition(field: &Field<'_>, metric: &Metric) -> Option<Threshold> {
    let shown = field.text()?.shown;
    field.parsed(|text| Threshold::parse(metric.clone(), text, &shown))
}
