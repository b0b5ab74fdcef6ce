//! What to do about a limiter: the limit to impose on oneself, and what proves it.

use crate::profile::{Profile, Proof};
use crate::units::format::{count, duration};

use super::plural_of;

/// The table `[limit]` that keeps a scenario a little under what the server admits; `None` where too little is known to
/// recommend any.
#[must_use]
pub fn limit(profile: &Profile) -> Option<String> {
    let advice = profile.finding.advice?;
    let per = if profile.is_per_token() { "per = \"token\"\n" } else { "" };
    Some(format!("[limit]\nrate = \"{}\"\nburst = {}\n{per}", advice.rate, advice.burst))
}

/// A clause about it; `None` as above.
pub(super) fn clause(profile: &Profile) -> Option<String> {
    let finding = &profile.finding;
    let advice = finding.advice?;
    let at_once = match advice.burst.get() {
        1 => "one at a time".to_owned(),
        burst => format!("{} at once after a pause", count(burst.into())),
    };
    let each = if profile.is_per_token() { " with each token" } else { "" };
    let proven = match &finding.proof {
        Some(proof) if proof.holds() => {
            format!("{} at this pace were all admitted", plural_of(proof.requests, "request"))
        }
        Some(_) | None => "this is not proven".to_owned(),
    };
    Some(format!("to stay under it, send at most {}{each}, {at_once}: {proven}", advice.rate))
}

/// What the run that kept to the advice came to.
pub(super) fn proof(profile: &Profile) -> Option<String> {
    let finding = &profile.finding;
    let advice = finding.advice?;
    let Some(proof) = finding.proof else {
        return Some("none: too few requests or too little time were left for a run at this limit".to_owned());
    };
    let Proof { windows, requests, refused } = proof;
    let held =
        format!("{} at this limit in {} times {}", plural_of(requests, "request"), windows, duration(advice.window));
    Some(match (proof.holds(), refused) {
        (true, _) => {
            let seen = duration(advice.window * windows);
            format!("{held}, and none of them was refused; a further limit over more than {seen} may not have shown")
        }
        (false, 0) => format!("none of {held} was refused, which is too short to prove it"),
        (false, _) => format!("NOT proven: of {held} {} refused", count(refused.into())),
    })
}
