//! What retries cost and what they brought, as text.

use super::text::{UNKNOWN, wrapped};
use crate::measure::Run;
use crate::results::{self, Efficiency};
use crate::units::format::{count, per_second, percent};

/// One fact a line; nothing where the scenario has no retries.
pub(super) fn retries(run: &Run) -> String {
    if !results::retries(&run.header) {
        return String::new();
    }
    let (totals, retries) = (&run.totals, &run.totals.retries);
    let Efficiency { attempts_per_operation, goodput_per_s, obeyed } = Efficiency::of(totals);
    let known = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let reasons = [
        (retries.given_up_max, "by `max`"),
        (retries.given_up_longest_wait, "by `longest_wait`"),
        (retries.given_up_no_room, "for want of room"),
        (retries.given_up_run_ended, "at the end"),
    ];
    let given_up: u64 = reasons.iter().map(|(operations, _)| operations).sum();
    let why = reasons.into_iter().filter(|(operations, _)| *operations > 0);
    let why: Vec<_> = why.map(|(operations, why)| format!("{} {why}", count(operations))).collect();
    let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
    let facts = [
        format!(
            "{} attempts per operation; {} retries of {} operations",
            known(attempts_per_operation.map(|attempts| format!("{attempts:.2}"))),
            count(retries.attempts),
            count(retries.operations),
        ),
        format!(
            "goodput {}: operations accepted per second; {} of all were accepted only by retry",
            known(goodput_per_s.map(per_second)),
            count(retries.accepted),
        ),
        format!("Retry-After obeyed by {} of {} retries", known(obeyed.map(percent)), count(retries.asked)),
        format!("{} operations given up{why}", count(given_up)),
        format!("at most {} operations parked, waiting for their retry, at one time", count(totals.parked_peak)),
    ];
    let mut text = String::new();
    for (fact, name) in facts.iter().zip(["retries", "", "", "", ""]) {
        wrapped(&mut text, name, fact);
    }
    text
}
