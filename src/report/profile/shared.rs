//! A quota that others use, too, in words.

use crate::profile::{Estimate, Finding, Kind};

use super::limiter::{self, Described, rate_of};

/// What is known of the limiter, and what must be supposed of others.
pub(super) fn verdict(others: Estimate, alike: &[Kind], admits: &str) -> String {
    let alike: Vec<_> = alike.iter().map(ToString::to_string).collect();
    let or = if alike.is_empty() {
        String::new()
    } else {
        format!(" (with others, this explains as much: {})", alike.join("; "))
    };
    format!(
        "shared quota: no known model alone explains which requests were refused, and one does if somebody else uses this key \
         at the same time, at {}. Then {admits}{or}",
        rate_of(others)
    )
}

/// Why no limit is recommended; `None` where the quota is not shared.
pub(super) fn why_no_pace(finding: &Finding) -> Option<String> {
    finding.others()?;
    Some(
        "no pace is recommended: what is left of the quota is whatever the others leave, and nothing of this was put to \
         the test; profile again while nobody else uses the key, or with a key of your own"
            .to_owned(),
    )
}

/// The figures of the limiter and of the others; none where the quota is not shared.
pub(super) fn figures(finding: &Finding) -> Vec<(&'static str, String)> {
    let Some(others) = finding.others() else {
        return Vec::new();
    };
    let mut items = vec![("others", rate_of(others))];
    for figures in finding.figures() {
        let described = Described(&figures);
        items.push(("model", limiter::name(figures.theory.kind)));
        items.push(("limit", described.limit()));
        items.push((if figures.theory.kind.is_bucket() { "regained" } else { "window" }, described.time()));
        items.extend(described.rate().map(|rate| ("rate", rate)));
    }
    items
}
