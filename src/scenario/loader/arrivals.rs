//! `[load]` of the open model: when operations are due, whatever the target does.

use std::num::NonZeroU32;
use std::time::Duration;

use super::schedule::MOST_USERS;
use super::tree::{Field, Table};
use crate::pace::{Arrivals, ArrivalsError, RateStage, Spacing};
use crate::scenario::{Open, Overrides};
use crate::units::Rate;

/// Users that an open load may have unless it says otherwise.
const DEFAULT_MAX_USERS: u32 = 1_000;

/// Reads the open model; `None` only after noting a mistake. `seed` is the run's.
pub(super) fn read(table: &Table<'_>, overrides: &Overrides, seed: u64) -> Option<Open> {
    let spacings = [("even", Spacing::Even), ("poisson", Spacing::Poisson { seed })];
    let spacing = table.field("spacing").map_or(Some(Spacing::Even), |field| field.choice(&spacings));
    let repeat = table.field("repeat").map_or(Some(1_u32), |field| field.whole(1..=1_000_000));
    let most = table.field("max_users").map_or(Some(DEFAULT_MAX_USERS), |field| field.whole(1..=u64::from(MOST_USERS)));
    let field = table.required("stages", "write stages = [{ for = \"30s\", rate = \"100/s\" }]")?;
    let items = field.items()?;
    let stages: Vec<_> = items.iter().map(stage).collect();
    let stages = stages.into_iter().collect::<Option<Vec<_>>>()?;
    let repeat = repeat.and_then(NonZeroU32::new)?;
    let arrivals = Arrivals::new(&stages, repeat, spacing?).map_err(|error| note(&field, &items, &error)).ok()?;
    if arrivals.max_rate().is_none() {
        field.mistake("has no stage with a length and a rate; write one such as { for = \"30s\", rate = \"100/s\" }");
        return None;
    }
    let arrivals = match overridden(&arrivals, overrides) {
        Some(stage) => {
            Arrivals::new(&[stage], NonZeroU32::MIN, spacing?).map_err(|error| note(&field, &[], &error)).ok()?
        }
        None => arrivals,
    };
    Some(Open { arrivals, max_users: overrides.users.or(most)? })
}

/// The one stage of the command line: its rate, or the highest of the scenario, for its length or that of the scenario.
fn overridden(arrivals: &Arrivals, overrides: &Overrides) -> Option<RateStage> {
    (overrides.duration.is_some() || overrides.rate.is_some()).then(|| RateStage::Hold {
        length: overrides.duration.unwrap_or(arrivals.length()),
        rate: overrides.rate.or(arrivals.max_rate()),
    })
}

fn note(field: &Field<'_>, items: &[Field<'_>], error: &ArrivalsError) {
    let stage = match error {
        ArrivalsError::TooFast { stage, .. } | ArrivalsError::Uneven { stage, .. } => items.get(*stage),
        ArrivalsError::TooLong => None,
    };
    stage.unwrap_or(field).mistake(format_args!("cannot be used: {error}"));
}

fn stage(field: &Field<'_>) -> Option<RateStage> {
    let table = field.table(&["for", "rate", "to"])?;
    let length = table.required("for", "write how long the stage takes, for example \"30s\"");
    let length: Option<Duration> = length.and_then(|field| field.duration());
    match (table.field("rate"), table.field("to")) {
        (Some(field), None) => {
            let length = length?;
            with_rate(&field, |rate| RateStage::Hold { length, rate })
        }
        (None, Some(field)) => {
            let length = length?;
            with_rate(&field, |to| RateStage::Ramp { length, to })
        }
        (Some(_), Some(_)) => {
            field.mistake("has both `rate` and `to`; use `rate` to hold it, `to` for a ramp");
            None
        }
        (None, None) => {
            table.mistake("has neither `rate` nor `to`; write rate = \"100/s\" to hold it, to = \"100/s\" for a ramp");
            None
        }
    }
}

/// What the stage of a rate is, or of `none` for a pause; `None` only after noting a mistake.
fn with_rate(field: &Field<'_>, stage: impl Fn(Option<Rate>) -> RateStage) -> Option<RateStage> {
    if field.says_none() { Some(stage(None)) } else { field.quantity().map(|rate| stage(Some(rate))) }
}
