//! What the checks found, as a section of the summary.

use std::fmt::Write as _;

use super::table::Side::{Left, Right};
use super::table::Table;
use super::text::{UNKNOWN, estimate, sentence, wrapped};
use crate::measure::{Check, Checks, Effort, Findings, Header, Merge, Mode, VariantChecks, Violation, quantile};
use crate::results::{Estimate, compares_resources};
use crate::units::format::{count, micros};

/// How much a line of a request to repeat is set in.
const INDENT: &str = "           ";

/// The section: what was found at a glance, the tables, and a sample of each violation with what repeats it.
pub(super) fn section(header: &Header, checks: &Checks) -> String {
    let variants: Vec<(&str, &VariantChecks)> =
        header.variants.iter().map(String::as_str).zip(&checks.variants).collect();
    let mut text = String::new();
    wrapped(&mut text, "checks", &glance(&variants));
    match checks.merge {
        Some(merge) => wrapped(&mut text, "merge", merge_of(merge)),
        None if compares_resources(header) => {
            wrapped(&mut text, "merge", "It was not proven whether writes leave the keys that they do not name.");
        }
        None => {}
    }
    for line in effort(checks.effort) {
        wrapped(&mut text, if line.is_first { "effort" } else { "" }, &line.text);
    }
    for (name, variant) in &variants {
        visible(&mut text, name, variant);
    }
    text.push_str(&repetitions(&variants));
    text.push_str(&findings(&variants));
    text.push_str(&samples(&variants));
    text
}

/// Everything in a sentence or two.
fn glance(variants: &[(&str, &VariantChecks)]) -> String {
    let total = |of: &dyn Fn(&VariantChecks) -> u64| variants.iter().map(|(_, variant)| of(variant)).sum::<u64>();
    let mut found = Vec::new();
    for check in Check::ALL.into_iter().filter(|check| check.is_violation()) {
        let cases = total(&|variant| variant.findings[check.index()].found);
        if cases > 0 {
            found.push(format!("{check} {}", count(cases)));
        }
    }
    let violations = total(&|variant| variant.repetitions.iter().map(|mode| mode.violations).sum());
    if violations > 0 {
        found.push(format!("repetitions that differ {}", count(violations)));
    }
    let judged = total(&|variant| {
        let pairs: u64 = variant.repetitions.iter().map(|mode| mode.pairs).sum();
        let findings = Check::ALL.into_iter().zip(&variant.findings).filter(|(check, _)| check.is_violation());
        pairs + findings.map(|(_, finding)| finding.checked).sum::<u64>()
    });
    match (found.is_empty(), judged) {
        (true, 0) => "Nothing could be judged.".to_owned(),
        (true, _) => format!("No violation was found in {} cases that were judged.", count(judged)),
        (false, _) => format!("VIOLATIONS: {}.", found.join(", ")),
    }
}

fn merge_of(merge: Merge) -> &'static str {
    match merge {
        Merge::PerKey => {
            "A write leaves the keys that it does not name: users may write different keys of one resource."
        }
        Merge::WholeMap => {
            "A write takes away the keys that it does not name: of users that write one resource the last one wins. \
             Write all keys at once, from one place, or give each user a resource of its own."
        }
        Merge::Mixed => {
            "Of the keys that a write does not name, some were left and some were taken away: do not let two users write \
             one resource at a time."
        }
    }
}

/// A line of a paragraph.
struct Line {
    is_first: bool,
    text: String,
}

/// What the checks cost and what they left out.
fn effort(effort: Effort) -> Vec<Line> {
    let Effort { reads, writes, not_sampled, ledger, beyond_ledger } = effort;
    let [reads, writes] = [reads, writes].map(count);
    let cost = format!("{reads} reads and {writes} writes beside the load, which are in no other figure.");
    let no_room = (not_sampled > 0).then(|| {
        let operations = count(not_sampled);
        format!(
            "{operations} operations were drawn and not checked: too many checks were open, under way, or waiting for their \
             share of the limit."
        )
    });
    let kept = if beyond_ledger == 0 {
        format!("All {} writes are in the ledger.", count(ledger))
    } else {
        let [ledger, beyond] = [ledger, beyond_ledger].map(count);
        format!(
            "The ledger holds {ledger} writes; {beyond} had no place in it, and what is told is of the others alone."
        )
    };
    let lines = [Some(cost), no_room, Some(kept)].into_iter().flatten();
    lines.enumerate().map(|(i, text)| Line { is_first: i == 0, text }).collect()
}

/// When writes of a variant could be seen.
fn visible(text: &mut String, name: &str, variant: &VariantChecks) {
    if variant.visible.is_empty() {
        return;
    }
    let shown = |percent| quantile(&variant.visible, percent).map_or_else(|| UNKNOWN.to_owned(), micros);
    let coarse = |percent| quantile(&variant.resolution, percent).map_or_else(|| UNKNOWN.to_owned(), micros);
    let line = format!(
        "{name}: p50 {}, p99 {}, longest {} after the answer, in {} cases, each at the latest: the last look before was \
         earlier by p50 {}, p99 {}.",
        shown(50.0),
        shown(99.0),
        shown(100.0),
        count(variant.visible.len()),
        coarse(50.0),
        coarse(99.0),
    );
    wrapped(text, "visible", &line);
}

fn repetitions(variants: &[(&str, &VariantChecks)]) -> String {
    let mut table = Table::new([
        ("mode", Left),
        ("variant", Left),
        ("pairs", Right),
        ("status", Right),
        ("response", Right),
        ("state", Right),
        ("inconclusive", Right),
        ("violations (95 %)", Right),
    ]);
    let (mut is_empty, mut is_keyed, mut is_any_inconclusive) = (true, false, false);
    for (name, variant) in variants {
        for (mode, of) in Mode::ALL.into_iter().zip(&variant.repetitions) {
            if of.pairs + of.inconclusive == 0 {
                continue;
            }
            is_empty = false;
            is_keyed |= mode == Mode::Keyed;
            is_any_inconclusive |= of.inconclusive > 0;
            let cells = [of.pairs, of.same_status, of.same_response, of.same_state, of.inconclusive].map(count);
            let [pairs, status, response, state, inconclusive] = cells;
            let rate = estimate(Estimate::of_cases(of.violations, of.pairs));
            table.row([mode.to_string(), (*name).to_owned(), pairs, status, response, state, inconclusive, rate]);
        }
    }
    if is_empty {
        return String::new();
    }
    let mut text = format!("\n{}", table.lines());
    text.push_str("Pairs could be judged; status, response and state count those that had the same.\n");
    if is_keyed {
        text.push_str(
            "With keyed, status is also about the third request: another body with that key, to be refused.\n",
        );
    }
    if is_any_inconclusive {
        text.push_str(
            "Inconclusive ones stand beside the pairs, because nobody can judge them: an answer did not come\n\
             or was throttled, the first write was never seen, or somebody else wrote the resource meanwhile.\n",
        );
    }
    text
}

fn findings(variants: &[(&str, &VariantChecks)]) -> String {
    let mut table =
        Table::new([("check", Left), ("variant", Left), ("checked", Right), ("found", Right), ("rate (95 %)", Right)]);
    let mut is_empty = true;
    for (name, variant) in variants {
        for (check, Findings { checked, found, .. }) in Check::ALL.into_iter().zip(&variant.findings) {
            if checked + found == 0 {
                continue;
            }
            is_empty = false;
            let rate = estimate(Estimate::of_cases(*found, *checked));
            table.row([check.to_string(), (*name).to_owned(), count(*checked), count(*found), rate]);
        }
    }
    if is_empty {
        return String::new();
    }
    format!(
        "\n{}Checked are the cases in which it would have been found. Indeterminate is what nobody can tell:\n\
         it is never counted as anything else.\n",
        table.lines()
    )
}

/// The first case of each violation, and of what nobody can tell: it says why.
fn samples(variants: &[(&str, &VariantChecks)]) -> String {
    let mut text = String::new();
    for (name, variant) in variants {
        for (mode, of) in Mode::ALL.into_iter().zip(&variant.repetitions) {
            let Some(Violation { text: what, requests }) = &of.sample else { continue };
            wrapped(&mut text, "sample", &format!("{mode} of {name}: {}", sentence(&plain(what))));
            for line in requests.iter().flat_map(|request| request.lines()) {
                let _ = writeln!(text, "{INDENT}{}", plain(line));
            }
        }
        for (check, of) in Check::ALL.into_iter().zip(&variant.findings) {
            let is_told = check.is_violation() || check == Check::Indeterminate;
            if let Some(what) = of.sample.as_ref().filter(|_| is_told) {
                wrapped(&mut text, "sample", &format!("{check} of {name}: {}", sentence(&plain(what))));
            }
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Text without anything that a terminal would obey: a part of it may come from the server.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
