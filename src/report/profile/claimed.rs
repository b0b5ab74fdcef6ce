//! What the server says of its limits, in words.

use std::time::Duration;

use crate::profile::{Claim, Says, Standing, Unit};
use crate::units::format::{count, exact_duration, percent, seconds};

use super::super::text::clipped;

/// Names of quotas come from the server: so many characters of them are shown.
const LONGEST_NAME: usize = 40;

/// A claim under the name of its line: what a header or a setting says, and whether it is so.
pub(super) fn claim(claim: &Claim) -> (&'static str, String) {
    let name = clipped(&claim.name, LONGEST_NAME);
    let name = if name.is_empty() { name } else { format!(" \"{name}\"") };
    let word = match claim.standing {
        Standing::True => "true",
        Standing::Wrong => "WRONG",
        Standing::NotTested => "not tested",
    };
    let line = if matches!(claim.says, Says::RetryAfter { .. }) { "retry-after" } else { "claim" };
    (line, format!("{word}: {}{name} says {}", claim.source, says(&claim.says)))
}

/// Clauses about whether the server tells the truth; none where nothing of it was tested.
pub(super) fn truth(claims: &[Claim]) -> impl Iterator<Item = String> {
    let of_waits = |claim: &&Claim| matches!(claim.says, Says::RetryAfter { .. });
    let wrong = claims.iter().filter(|claim| !of_waits(claim) && claim.standing == Standing::Wrong).count();
    let wrong = match wrong {
        0 => None,
        1 => Some("one of its other claims about limits is wrong".to_owned()),
        n => Some(format!("{n} of its other claims about limits are wrong")),
    };
    claims.iter().filter(of_waits).filter_map(waits).chain(wrong)
}

/// Whether the waits that a server names can be relied on.
fn waits(claim: &Claim) -> Option<String> {
    let Says::RetryAfter { tested, enough, too_long_s, .. } = claim.says else {
        return None;
    };
    // What whole seconds make of a wait is no fault.
    let longer = too_long_s
        .filter(|over| *over > 1.0)
        .map(|over| format!(", though it is typically {} too long", seconds(over)));
    match claim.standing {
        Standing::True => Some(format!("its {} can be trusted{}", claim.source, longer.unwrap_or_default())),
        Standing::Wrong => {
            let share = percent(f64::from(enough) / f64::from(tested.max(1)));
            Some(format!(
                "its {} cannot be trusted: only {share} of the waits that it names are long enough",
                claim.source
            ))
        }
        Standing::NotTested => None,
    }
}

/// `300 requests per 1m`.
pub(super) fn quota(limit: u64, window_s: Option<f64>, unit: Unit) -> String {
    let of = match unit {
        Unit::Requests => "requests",
        Unit::Concurrent => "requests in flight",
        Unit::Other => "of something else than requests",
    };
    let window = window_s.and_then(|window| Duration::try_from_secs_f64(window).ok());
    let per = window.map(|window| format!(" per {}", exact_duration(window))).unwrap_or_default();
    format!("{} {of}{per}", count(limit))
}

fn says(says: &Says) -> String {
    match *says {
        Says::Quota { limit, window_s, unit, .. } => quota(limit, window_s, unit),
        Says::Remaining { tested, right } => {
            format!("how many are left{}", share(("were right to within one", right), tested))
        }
        Says::Reset { tested, whole, next } if next > whole => {
            format!("when to come back{}", share(("named when the next request is admitted", next), tested))
        }
        Says::Reset { tested, whole, .. } => {
            format!("when all begins anew{}", share(("named when the quota is whole again", whole), tested))
        }
        Says::RetryAfter { tested, enough, too_long_s, too_short_s, constant_s } => {
            let mut text = format!("when to come back{}", share(("were long enough", enough), tested));
            if let Some(over) = too_long_s {
                text = format!("{text}, typically by {} too long", seconds(over));
            }
            if let Some(under) = too_short_s {
                text = format!("{text}; the worst one lacks {}", seconds(under));
            }
            if let Some(constant) = constant_s {
                text = format!("{text}; it is {} whatever is left to wait", seconds(constant));
            }
            text
        }
    }
}

/// `: of 300 that could be tested 98.0% were right`; nothing where none could.
fn share((did, right): (&str, u32), tested: u32) -> String {
    if tested == 0 {
        return String::new();
    }
    let share = percent(f64::from(right) / f64::from(tested));
    format!(": of {} that could be tested {share} {did}", count(tested.into()))
}
