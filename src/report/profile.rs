//! The answer of a profile: a paragraph in plain words, then its figures, one to a line.

mod advised;
mod claimed;
mod limiter;
mod scope;
mod shared;

use std::fmt::Write as _;

use crate::profile::{
    Check, Claim, End, Family, Finding, Fit, Held, Kind, Profile, STALL, Says, Spent, Stopped, Verdict, paces,
};
use crate::stats::ShareInterval;
use crate::units::format::{count, duration, per_second, percent, utc};

use super::text::{UNKNOWN, plural, sentence, wrapped_at};
pub use advised::limit;
use limiter::Described;
use scope::Shares;

/// The column in which values begin.
const INDENT: usize = 13;

/// What a profile came to, as plain text of about 100 columns.
#[must_use]
pub fn profile(profile: &Profile) -> String {
    let mut text = String::new();
    wrapped_at(0, &mut text, ("", &paragraph(profile)));
    text.push('\n');
    for (name, value) in items(profile) {
        wrapped_at(INDENT, &mut text, (name, &value));
    }
    if let Some(limit) = limit(profile) {
        let _ = write!(text, "\nTo stay a little under it, paste this into the scenario:\n\n{limit}");
    }
    text
}

/// The answer in plain words, its verdict first.
fn paragraph(profile: &Profile) -> String {
    let finding = &profile.finding;
    let mut clauses = vec![verdict(profile)];
    if finding.stands() {
        let figures = finding.figures();
        match figures.as_slice() {
            [one] => clauses.extend([Described(one).resets(), Described(one).refusals()]),
            _ => clauses.extend(together(finding)),
        }
        let shares = (0..figures.len()).filter_map(|tier| Some((tier, Shares::of(profile, tier).clause()?)));
        clauses.extend(shares.map(|(tier, clause)| match figures.len() {
            1 => clause,
            _ => format!("of limit {}, {clause}", tier + 1),
        }));
        if finding.scope.is_empty() {
            clauses.push("whether others share it was not tried".to_owned());
        }
        clauses.extend(claimed::truth(&profile.claims));
        clauses.extend(advised::clause(profile));
    } else {
        clauses.extend(shared::why_no_pace(finding));
        clauses.push(without_model(profile));
    }
    clauses.iter().map(|clause| sentence(clause)).collect::<Vec<_>>().join(" ")
}

/// What several limiters admit together.
fn together(finding: &Finding) -> Option<String> {
    let burst = format!("together they admit {} at once after a pause", plural_of(finding.safe_burst()?, "request"));
    let rate = finding.sustainable().map(|rate| format!(", and {} in the long run", limiter::rate_of(rate)));
    Some(burst + &rate.unwrap_or_default())
}

/// What the verdict is, and what the server admits by it.
fn verdict(profile: &Profile) -> String {
    let finding = &profile.finding;
    let admits = admits(profile);
    match &finding.verdict {
        Verdict::Identified => format!("identified: {admits}"),
        Verdict::NotVerified => format!("not verified, as {}: nothing contradicts that {admits}", stopped(profile)),
        Verdict::Equivalent(others) => equivalent(finding, others) + &admits,
        Verdict::NotConfirmed => {
            let failed = finding.checks.iter().rev().find(|check| !check.holds());
            let but = failed.map(|check| format!(", but {}", tested(check, best_kind(finding)))).unwrap_or_default();
            format!("not confirmed: the closest explanation is that {admits}{but}")
        }
        Verdict::SharedQuota { others, alike } => shared::verdict(*others, alike, &admits),
        Verdict::Unknown => "none of the known models explains which requests were refused".to_owned(),
        Verdict::NoLimit => {
            format!("no limit found up to {}: {}", per_second(finding.unrefused.rate), stopped(profile))
        }
        Verdict::Undecided => declared(profile)
            .unwrap_or_else(|| "undecided: too little was seen to say what the server limits".to_owned()),
    }
}

/// Which models explain the same, and what would tell them apart.
fn equivalent(finding: &Finding, others: &[Kind]) -> String {
    let kinds: Vec<_> = best_kind(finding).into_iter().chain(others.iter().copied()).collect();
    let names: Vec<_> = kinds.iter().map(ToString::to_string).collect();
    let mut apart: Vec<_> = kinds.windows(2).map(|pair| limiter::difference(pair[0], pair[1])).collect();
    apart.dedup();
    let is_single = finding.best.as_ref().is_some_and(|fit| fit.hypothesis.tiers[0].limit == 1);
    let apart = if is_single {
        "with a limit of one request nothing tells them apart".to_owned()
    } else {
        format!("what would tell them apart is {}", apart.join(", or "))
    };
    format!("equivalent models ({}) explain the requests equally well: {apart}. By the first, ", names.join("; "))
}

/// What the server itself says where nothing else is known.
fn declared(profile: &Profile) -> Option<String> {
    let claim = |claim: &Claim| match claim.says {
        Says::Quota { limit, window_s, unit, .. } => {
            Some(format!("{} by {}", claimed::quota(limit, window_s, unit), claim.source))
        }
        Says::Remaining { .. } | Says::Reset { .. } | Says::RetryAfter { .. } => None,
    };
    let mut declared: Vec<_> = profile.declared().filter_map(claim).collect();
    declared.extend(profile.declared_wait().map(|wait| format!("the next one {} after a refusal", duration(wait))));
    let is_any = !declared.is_empty();
    is_any.then(|| format!("declared, not verified: the server says that it admits {}", declared.join(", and ")))
}

fn best_kind(finding: &Finding) -> Option<Kind> {
    finding.best.as_ref().map(|fit| fit.hypothesis.tiers[0].kind)
}

/// `the server admits …`, by all limiters of the best explanation.
fn admits(profile: &Profile) -> String {
    let figures = profile.finding.figures();
    let each = figures.iter().enumerate();
    let each: Vec<_> = each.map(|(n, figures)| Described(figures).admits(&Shares::of(profile, n).phrase())).collect();
    if each.is_empty() {
        return "the server limits something that nothing explains".to_owned();
    }
    format!("the server admits {}", each.join("; and at the same time "))
}

/// What can be said without any model.
fn without_model(profile: &Profile) -> String {
    let unrefused = profile.finding.unrefused;
    let refused = profile.log.refused();
    let decided = profile.log.decided();
    let of_all = format!("of {} that the server decided on, {} refused", plural_of(decided, "request"), was(refused));
    if unrefused.requests == 0 {
        return of_all;
    }
    format!(
        "{} came through in a row without a refusal{}, at {} (at 95 % less than {} of such are refused); {of_all}",
        plural_of(unrefused.requests, "request"),
        unrefused.time().map(|time| format!(" in {}", duration(time))).unwrap_or_default(),
        per_second(unrefused.rate),
        percent(unrefused.refused_share_below())
    )
}

fn plural_of(n: u32, noun: &str) -> String {
    plural(usize::try_from(n).unwrap_or(usize::MAX), noun)
}

fn was(n: u32) -> String {
    format!("{} {}", count(n.into()), if n == 1 { "was" } else { "were" })
}

/// The figures, each with its name.
fn items(profile: &Profile) -> Vec<(&'static str, String)> {
    let finding = &profile.finding;
    let Profile { name, target, place, .. } = profile;
    let mut items = vec![("profile", format!("{name}, target {target} ({place}), {}", utc(profile.started_unix_s)))];
    if finding.stands() {
        let figures = finding.figures();
        let of = if figures.len() > 1 { format!(" of {}: ", figures.len()) } else { String::new() };
        for (n, figures) in figures.iter().enumerate() {
            let number = if of.is_empty() { String::new() } else { format!("{}{of}", n + 1) };
            items.push(("model", number + &limiter::name(figures.theory.kind)));
            items.extend(of_limiter(&Described(figures), profile.started_unix_s));
            let shares = Shares::of(profile, n);
            items.extend(shares.clause().map(|clause| ("scope", clause)));
            items.extend(shares.evidence().map(|line| ("", line)));
        }
        // Of one limiter, that is its rate.
        if figures.len() > 1 {
            items.push(("sustainable", finding.sustainable().map_or_else(|| UNKNOWN.to_owned(), limiter::rate_of)));
        }
        items.extend(finding.best.as_ref().and_then(stalled).map(|stalled| ("stalled", stalled)));
        items.push((
            "burst",
            finding
                .safe_burst()
                .map_or_else(|| UNKNOWN.to_owned(), |burst| format!("{} at once after a pause", count(burst.into()))),
        ));
    }
    items.extend(shared::figures(finding));
    if !finding.stands() {
        items.extend(paces(&profile.log).iter().map(|held| ("pace", held_at(held))));
    }
    if finding.verdict == Verdict::Unknown {
        items.extend(finding.best.as_ref().map(|fit| ("closest", closest(fit))));
    }
    items.extend(predictions(finding));
    items.extend(advised::proof(profile).map(|proof| ("proof", proof)));
    items.extend(profile.claims.iter().map(claimed::claim));
    items.push(("cost", cost(profile)));
    items.push(("stopped", stopped(profile)));
    items
}

/// What became of the requests at one pace.
fn held_at(held: &Held) -> String {
    let ShareInterval { low, high } = held.interval();
    let (rate, requests) = (per_second(held.rate), plural_of(held.requests, "request"));
    let share = format!("{} ({} to {})", percent(held.refused_share()), percent(low), percent(high));
    format!("of {requests} at {rate} {} refused: {share}", was(held.refused))
}

/// What explains the log best where nothing explains it.
fn closest(fit: &Fit) -> String {
    let kinds: Vec<_> = fit.hypothesis.tiers.iter().map(|theory| theory.kind.to_string()).collect();
    let surprises = plural(fit.surprises, "outcome");
    format!("{}, for which {surprises} would be all but impossible", kinds.join(" and "))
}

/// What the best explanation takes for the doing of something that stood still for a moment.
fn stalled(fit: &Fit) -> Option<String> {
    let outcomes = plural(fit.stalled, "outcome");
    let fit_it = if fit.stalled == 1 { "fits" } else { "fit" };
    let when = format!("if decided at most {} earlier or later: a stall", duration(STALL));
    (fit.stalled > 0).then(|| format!("{outcomes} {fit_it} only {when}"))
}

/// What was predicted and what came of it: of the latest test, and of those before it, whose failure was evidence for
/// another explanation.
fn predictions(finding: &Finding) -> impl Iterator<Item = (&'static str, String)> {
    // A test goes from slower to faster.
    let begins = |pair: &[Check]| pair[1].share <= pair[0].share;
    let latest = finding.checks.windows(2).rposition(begins).map_or(0, |place| place + 1);
    let kind = best_kind(finding);
    let name = move |n: usize| if n < latest { "earlier" } else { "predicted" };
    finding.checks.iter().enumerate().map(move |(n, check)| (name(n), tested(check, kind)))
}

/// What is known of one limiter.
fn of_limiter(limiter: &Described<'_>, started_unix_s: f64) -> Vec<(&'static str, String)> {
    let kind = limiter.0.theory.kind;
    let timed = match kind.family {
        Family::Concurrency => None,
        _ if kind.is_bucket() => Some(("regained", format!("{} for each request", limiter.time()))),
        _ => Some(("window", limiter.time())),
    };
    let mut items = vec![("limit", limiter.limit())];
    items.extend(timed);
    items.extend(limiter.rate().map(|rate| ("rate", rate)));
    items.push(("resets", limiter.resets()));
    items.extend(limiter.clock(started_unix_s).map(|clock| ("", clock)));
    items.push(("refused", limiter.refusals()));
    items
}

/// A prediction and what came of it.
fn tested(check: &Check, kind: Option<Kind>) -> String {
    let is_concurrency = kind.is_some_and(|kind| kind.family == Family::Concurrency);
    let sent = plural_of(check.sent, "request");
    let how = if is_concurrency {
        format!("{sent} at once")
    } else {
        format!("{sent} at {} of the rate", percent(check.share))
    };
    let word = if check.holds() { "as predicted" } else { "NOT as predicted" };
    let (expected, tolerance) = (count(check.expected.into()), count(check.tolerance.into()));
    format!("of {how} {} admitted, {word}: {expected}, give or take {tolerance}", was(check.admitted))
}

fn cost(profile: &Profile) -> String {
    let (requests, time) = (plural_of(profile.requests, "request"), duration(profile.elapsed));
    let (most, longest) = (count(profile.plan.requests.into()), duration(profile.plan.time));
    let spent = |spent: Spent| {
        format!("; {} and {} of it before the last prediction", count(spent.requests.into()), duration(spent.time))
    };
    let before = profile.finding.before_test.map(spent).unwrap_or_default();
    format!("{requests} in {time}, of at most {most} in {longest}{before}")
}

fn stopped(profile: &Profile) -> String {
    if profile.end == End::Interrupted {
        return "somebody stopped it".to_owned();
    }
    let most = profile.plan.first_burst;
    match profile.finding.stopped {
        Stopped::Done if profile.finding.verdict == Verdict::NoLimit => {
            format!("no more than {} were to be sent at once", plural_of(most, "request"))
        }
        Stopped::Done if profile.finding.verdict == Verdict::NotVerified => {
            "the test of a prediction would have cost more than was left".to_owned()
        }
        Stopped::Done => "there was nothing left to find out".to_owned(),
        Stopped::Requests => "all requests of the budget were sent".to_owned(),
        Stopped::Time => "the time was over".to_owned(),
        Stopped::Failures => "the server failed several times in a row".to_owned(),
        Stopped::Interrupted => "somebody stopped it".to_owned(),
        Stopped::Silent => "the server answered no more".to_owned(),
        Stopped::TurnedAway => "the server let none of the first requests in".to_owned(),
        Stopped::RetryAfter(wait) => format!("the server asked to come back only after {}", duration(wait)),
    }
}
