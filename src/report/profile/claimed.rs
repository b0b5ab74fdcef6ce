//! What the server says of its limits, in words.

use crate::profile::{Claim, Says, Standing, Unit};
use crate::units::format::{count, percent, seconds};

use super::super::text::clipped;

/// Names of quotas come from the server: so many characters of them are shown.
const LONGEST_NAME: usize = 40;

/// What a header or a setting says, and whether it is so.
pub(super) fn claim(claim: &Claim) -> String {
    let name =
        if claim.name.is_empty() { String::new() } else { format!(" \"{}\"", clipped(&claim.name, LONGEST_NAME)) };
    let word = match claim.standing {
        Standing::True => "true",
        Standing::Wrong => "WRONG",
        Standing::NotTested => "not tested",
    };
    format!("{word}: {}{name} says {}", claim.source, says(&claim.says))
}

fn says(says: &Says) -> String {
    match *says {
        Says::Quota { limit, window_s, unit, .. } => {
            let of = match unit {
                Unit::Requests => "",
                Unit::Concurrent => " in flight",
                Unit::Other => " of something else than requests",
            };
            let per = window_s.map(|window| format!(" per {}", seconds(window))).unwrap_or_default();
            format!("{}{of}{per}", count(limit))
        }
        Says::Remaining { tested, right } => {
            format!("how many are left{}", share("was within one of it", right, tested))
        }
        Says::Reset { tested, whole, next } if next > whole => {
            format!("when to come back{}", share("named when the next request is admitted", next, tested))
        }
        Says::Reset { tested, whole, .. } => {
            format!("when all begins anew{}", share("named when the quota is whole again", whole, tested))
        }
        Says::RetryAfter { tested, enough, too_long_s, too_short_s, constant_s } => {
            let mut text = format!("when to come back{}", share("was long enough", enough, tested));
            if let Some(over) = too_long_s.filter(|_| tested > 0) {
                text = format!("{text}, half of them by less than {}", seconds(over));
            }
            if let Some(under) = too_short_s {
                text = format!("{text}; at worst {} were missing", seconds(under));
            }
            if let Some(constant) = constant_s {
                text = format!("{text}; it is {} whatever is left to wait", seconds(constant));
            }
            text
        }
    }
}

/// `, and 98.0% of 300 did so`; what could not be tested, as nothing.
fn share(did: &str, right: u32, tested: u32) -> String {
    if tested == 0 {
        return String::new();
    }
    format!(
        ": {} of {} that could be tested {did}",
        percent(f64::from(right) / f64::from(tested)),
        count(tested.into())
    )
}
