//! The files and the text of a profile, in the plainest form.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::profile::{Answer, Plan, Profiler, Trouble, Verdict};
use crate::units::{Rate, format};

/// What there is to write.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) profiler: &'a Profiler,
    pub(super) trouble: Option<&'a Trouble>,
    pub(super) plan: Plan,
}

/// `profile.csv`.
pub(super) fn csv(seen: &Seen<'_>) -> String {
    let mut text = "target,key,due_us,sent_us,done_us,outcome,retry_after_s,margin_us,predicted\n".to_owned();
    let log = seen.profiler.log();
    let mut all: Vec<_> = log.observations().iter().chain(log.others()).collect();
    all.sort_by_key(|observation| observation.sent);
    for one in all {
        let (outcome, retry_after) = match one.answer {
            Answer::Admitted => ("admitted", None),
            Answer::Refused { retry_after } => ("refused", retry_after),
            Answer::Failed => ("failed", None),
            Answer::Lost => ("lost", None),
        };
        let retry_after = retry_after.map(|wait| wait.as_secs_f64().to_string()).unwrap_or_default();
        let [due, sent, done] = [one.due, one.sent, one.received].map(|at| at.as_micros());
        let _ = writeln!(text, "main,{},{due},{sent},{done},{outcome},{retry_after},,", one.key);
    }
    text
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Identified => "identified",
        Verdict::Equivalent(_) => "equivalent",
        Verdict::NotVerified => "not_verified",
        Verdict::NotConfirmed => "not_confirmed",
        Verdict::Unknown => "unknown",
        Verdict::NoLimit => "no_limit",
        Verdict::Undecided => "undecided",
    }
}

/// `profile.json`.
pub(super) fn json(seen: &Seen<'_>) -> String {
    let (finding, log) = (seen.profiler.finding(), seen.profiler.log());
    let tiers = finding.best.iter().flat_map(|fit| &fit.hypothesis.tiers).enumerate().map(|(index, theory)| {
        let measured = finding.tiers.get(index);
        json!({
            "kind": theory.kind.to_string(),
            "limit": theory.limit,
            "limits": measured.map(|measured| [measured.limits.0, measured.limits.1]),
            "time_s": theory.time,
            "time_interval_s": measured.map(|measured| [measured.time.low, measured.time.high]),
        })
    });
    let checks = finding.checks.iter().map(|check| {
        json!({
            "share": check.share, "sent": check.sent, "expected": check.expected, "tolerance": check.tolerance,
            "admitted": check.admitted, "holds": check.holds(),
        })
    });
    let scope = finding.scope.iter().map(|sharing| {
        json!({"tier": sharing.tier, "key": sharing.key, "shared": format!("{:?}", sharing.shared()).to_lowercase()})
    });
    let last = log.observations().last().map_or(Duration::ZERO, |one| one.received);
    let value = json!({
        "schema": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "verdict": verdict(&finding.verdict),
        "stopped": format!("{:?}", finding.stopped),
        "trouble": seen.trouble.map(ToString::to_string),
        "surprises": finding.best.as_ref().map(|fit| fit.surprises),
        "tiers": tiers.collect::<Vec<_>>(),
        "checks": checks.collect::<Vec<_>>(),
        "scope": scope.collect::<Vec<_>>(),
        "requests": log.observations().len() + log.others().len(),
        "most_requests": seen.plan.requests,
        "seconds": last.as_secs_f64(),
        "unrefused": {"rate_per_s": finding.unrefused.rate, "requests": finding.unrefused.requests},
    });
    format!("{value:#}\n")
}

/// The text.
pub(super) fn text(seen: &Seen<'_>, folder: &Path) -> String {
    let finding = seen.profiler.finding();
    let mut text = format!("verdict      {}\n", verdict(&finding.verdict).replace('_', " "));
    for (index, theory) in finding.best.iter().flat_map(|fit| &fit.hypothesis.tiers).enumerate() {
        let time =
            finding.tiers.get(index).map(|measured| format!(" ({} to {} s)", measured.time.low, measured.time.high));
        let time = time.unwrap_or_default();
        let _ = writeln!(text, "limiter      {}, limit {}, {} s{time}", theory.kind, theory.limit, theory.time);
    }
    let log = seen.profiler.log();
    let requests = format::count((log.observations().len() + log.others().len()) as u64);
    let _ = writeln!(
        text,
        "requests     {requests}\nstopped      {:?}\nfiles        {}",
        finding.stopped,
        folder.display()
    );
    text
}

/// The recommended limit, where there is one.
pub(super) fn limit(seen: &Seen<'_>) -> Option<String> {
    let finding = seen.profiler.finding();
    let theory = finding.best.as_ref()?.hypothesis.tiers.first()?;
    if finding.verdict != Verdict::Identified || theory.kind.is_bucket() {
        return None;
    }
    let count = theory.limit.saturating_sub(2).max(1).try_into().ok()?;
    let rate = Rate::new(count, Duration::try_from_secs_f64(theory.time).ok()?)?;
    Some(format!("[limit]\nrate = \"{rate}\"\n"))
}
