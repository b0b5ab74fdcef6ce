//! Checks of a worker on a clock that jumps from one wake-up to the next, against a store in memory.

mod store;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::measure::Check;
use store::{Effect, Measured, TRIAL, Trial, Written, refused, run, run_trial};

/// One user with so many operations, half a second apart.
fn operations(count: u32) -> String {
    format!(
        "[load]\nstages = [{{ for = \"10s\", users = 1 }}]\nspread = \"0s\"\niterations = {count}\nthink_time = \"500ms\"\n\
         [checks]\ntrack = \"ref\"\n"
    )
}

const VISIBILITY: &str = "[checks.visibility]\nshare = \"100%\"\nwithin = \"2s\"\nrecheck = \"3s\"\n\
                          poll = { first = \"100ms\", factor = 2.0, most = \"400ms\" }\n";

/// One operation that is looked for.
fn once(script: impl Fn(&Written) -> Effect + 'static) -> Measured {
    run(&format!("{}{VISIBILITY}", operations(1)), script)
}

fn found(measured: &Measured) -> Vec<(Check, u64)> {
    let found = |check: Check| (check, measured.found(check).found);
    Check::ALL.into_iter().map(found).filter(|(_, found)| *found > 0).collect()
}

#[test]
fn a_write_is_looked_for_until_it_is_seen_and_once_more_later() {
    let measured = once(|write| write.shown_after(300));
    // Done at 10 ms; seen from 305 ms on. Each pause runs from the end of a look.
    assert_eq!(measured.reads(), [110, 220, 430, 3_440]);
    assert_eq!(found(&measured), [(Check::Visible, 1)]);
    let variant = &measured.totals.checks.as_ref().unwrap().variants[0];
    assert_eq!((variant.visible.max() / 1_000, variant.resolution.max() / 1_000), (430, 220));
    let effort = measured.totals.checks.as_ref().unwrap().effort;
    assert_eq!((effort.reads, effort.writes, effort.not_sampled, effort.ledger), (4, 0, 0, 1));
}

#[test]
fn a_write_that_never_shows_is_looked_for_until_the_bound_and_three_times_more() {
    let measured = once(|_| refused(202));
    let reads = measured.reads();
    assert_eq!(reads, [110, 220, 430, 840, 1_250, 1_660, 2_010, 2_420, 2_830, 3_240]);
    assert_eq!(found(&measured), [(Check::NeverVisible, 1)]);
}

#[test]
fn a_write_that_shows_between_the_confirming_looks_is_visible() {
    assert_eq!(found(&once(|write| write.shown_after(3_000))), [(Check::Visible, 1)]);
}

#[test]
fn what_was_seen_and_is_gone_in_all_looks_of_the_recheck_is_reverted() {
    let measured = once(|write| write.shown_after(0).and(1_000, json!({"ref": null})));
    assert_eq!(measured.reads().len(), 1 + 4);
    assert_eq!(found(&measured), [(Check::Visible, 1), (Check::Reverted, 1)]);
}

#[test]
fn what_was_seen_is_gone_and_there_again_is_a_stale_read() {
    let measured = once(|write| {
        let back = write.attributes.clone();
        write.shown_after(0).and(1_000, json!({"ref": null})).and(3_500, back)
    });
    assert_eq!(found(&measured), [(Check::Visible, 1), (Check::StaleRead, 1)]);
}

#[test]
fn a_write_that_was_refused_or_failed_is_looked_for_once_at_the_bound() {
    let clean = once(|_| refused(429));
    assert_eq!((clean.reads(), found(&clean)), (vec![2_010], vec![]));
    assert_eq!(clean.found(Check::Phantom).checked, 1);
    let failed = |write: &Written| Effect { changes: vec![(0, write.attributes.clone())], ..refused(500) };
    let phantom = once(failed);
    assert_eq!((phantom.reads(), found(&phantom)), (vec![2_010], vec![(Check::Phantom, 1)]));
}

#[test]
fn what_nobody_answered_is_not_looked_for_and_nobody_can_tell() {
    let measured = once(|_| refused(504));
    assert_eq!((measured.asked.len(), measured.given_up()), (0, vec!["no answer came"]));
    assert_eq!(found(&measured), [(Check::Indeterminate, 1)]);
}

#[test]
fn a_look_that_shows_a_later_write_of_the_same_attribute_ends_the_search() {
    let measured = run(&format!("{}{VISIBILITY}", operations(2)), |write| match write.number {
        0 => refused(202),
        _ => write.shown_after(0),
    });
    // The first operation's looks at 110, 220, 430 ms miss; the one after the second operation shows that.
    assert_eq!(measured.reads(), [110, 220, 430, 620, 840, 3_630]);
    // The second one would not have been missed for sure: the first may come after it.
    assert_eq!(found(&measured), [(Check::Indeterminate, 1)]);
}

#[test]
fn looks_that_a_quota_refuses_are_made_later_and_are_no_misses() {
    let settings = format!("{}{VISIBILITY}", operations(1));
    let measured = run_trial(&Trial { settings: &settings, throttled_reads: 1, ..TRIAL }, |write| write.shown_after(0));
    assert_eq!(measured.reads()[..2], [110, 1_220]);
    assert_eq!(found(&measured), [(Check::Visible, 1)]);
    let measured =
        run_trial(&Trial { settings: &settings, throttled_reads: 99, ..TRIAL }, |write| write.shown_after(0));
    assert_eq!(measured.given_up(), ["the attributes could not be read"]);
    assert_eq!(found(&measured), [(Check::Indeterminate, 1)]);
}

/// One operation, after which one is repeated in a mode.
fn repeated(mode: &str, script: impl Fn(&Written) -> Effect + 'static) -> Measured {
    let checks = format!(
        "{}[checks.idempotency]\nshare = \"100%\"\nmodes = [\"{mode}\"]\nconcurrent = 3\nsettle = \"1s\"\n\
         volatile = [\"/id\"]\n",
        operations(1)
    );
    run(&checks, script)
}

/// A server that does a request with the same key once, and refuses another body with it.
fn keeps_keys(write: &Written) -> Effect {
    let is_own = write.key.as_ref().is_none_or(|key| key.ends_with(&format!("-{}\"", write.number)));
    if is_own { write.shown_after(50) } else { refused(422) }
}

#[test]
fn a_server_that_keeps_its_word_shows_no_violation_in_any_mode() {
    for (mode, writes) in [(Mode::Replay, 2), (Mode::Concurrent, 3), (Mode::Retry, 2), (Mode::Keyed, 3)] {
        let measured = repeated(mode.name(), keeps_keys);
        let repetitions = measured.repetitions(mode);
        assert_eq!((repetitions.pairs, repetitions.violations, repetitions.inconclusive), (1, 0, 0), "{mode}");
        assert_eq!(measured.totals.checks.as_ref().unwrap().effort.writes, writes, "{mode}");
        assert_eq!(measured.totals.all().counts.attempts(), 1, "what checks send is no load");
    }
}

#[test]
fn a_repetition_that_changes_more_than_the_first_request_is_a_violation_of_the_state() {
    for mode in [Mode::Replay, Mode::Concurrent, Mode::Retry, Mode::Keyed] {
        let measured = repeated(mode.name(), |write| {
            let effect = keeps_keys(write);
            if write.nth == 1 { effect.and(60, json!({"other": "twice"})) } else { effect }
        });
        let repetitions = measured.repetitions(mode);
        assert_eq!((repetitions.pairs, repetitions.violations, repetitions.same_state), (1, 1, 0), "{mode}");
    }
}

#[test]
fn answers_that_differ_are_violations_but_for_what_is_volatile() {
    let replay = |field: &'static str| {
        let measured = repeated("replay", move |write| {
            let body = format!("{{\"{field}\": {}}}", write.nth);
            Effect { body, ..write.shown_after(0) }
        });
        let repetitions = measured.repetitions(Mode::Replay);
        (repetitions.pairs, repetitions.same_status, repetitions.same_response, repetitions.violations)
    };
    assert_eq!(replay("id"), (1, 1, 1, 0));
    assert_eq!(replay("version"), (1, 1, 0, 1));
    let again = repeated("replay", |write| if write.nth == 1 { refused(409) } else { write.shown_after(0) });
    let repetitions = again.repetitions(Mode::Replay);
    assert_eq!((repetitions.pairs, repetitions.same_status, repetitions.violations), (1, 0, 1));
}

#[test]
fn a_key_that_is_accepted_with_another_body_is_a_violation() {
    let measured = repeated("keyed", |write| write.shown_after(0));
    let repetitions = measured.repetitions(Mode::Keyed);
    assert_eq!((repetitions.pairs, repetitions.same_status, repetitions.violations), (1, 0, 1));
}

#[test]
fn a_repetition_of_which_a_part_is_missing_is_inconclusive() {
    let is_first_of_load = |write: &Written| write.number == 0;
    let scripts: [fn(&Written) -> Effect; 3] = [
        |_| refused(429),
        // It is dropped, so that nobody sees it.
        |_| refused(202),
        |write| if write.nth == 0 { write.shown_after(0) } else { refused(503) },
    ];
    for script in scripts {
        let measured =
            repeated("replay", move |write| if is_first_of_load(write) { write.shown_after(0) } else { script(write) });
        let repetitions = measured.repetitions(Mode::Replay);
        assert_eq!((repetitions.pairs, repetitions.inconclusive), (0, 1));
    }
}

#[test]
fn open_checks_are_finished_after_the_schedule_and_change_no_figure_of_the_load() {
    let load = "[load]\nstages = [{ for = \"1s\", users = 3 }]\nspread = \"0s\"\nthink_time = \"90ms\"\n";
    let checks = format!("{load}[checks]\ntrack = \"k{{{{ user }}}}\"\n{VISIBILITY}");
    let with = run(&checks, |write| write.shown_after(500));
    let without = run(load, |write| write.shown_after(500));
    assert!(with.ended > Duration::from_secs(4) && without.ended < Duration::from_millis(1_100));
    assert_eq!(with.load, without.load);
    let figures = |measured: &Measured| (measured.totals.elapsed_s.to_bits(), measured.totals.main_s.to_bits());
    assert_eq!(figures(&with), figures(&without));
    let counts = |measured: &Measured| format!("{:?}", measured.totals.all().counts);
    assert_eq!(counts(&with), counts(&without));
    assert!(with.given_up().is_empty(), "{:?}", with.given_up());
    assert_eq!((without.asked.len(), without.events.len()), (0, 0), "no checks, no cost");
    assert_eq!(without.totals.checks, None);
}

#[test]
fn a_stop_gives_open_checks_up_at_once() {
    let settings = format!("{}{VISIBILITY}", operations(3));
    for stop in [700, 12_000] {
        let stop = Duration::from_millis(stop);
        let trial = Trial { settings: &settings, stop: Some(stop), ..TRIAL };
        let measured = run_trial(&trial, |_| refused(202));
        assert!(measured.ended <= stop + Duration::from_millis(20), "{:?}", measured.ended);
        assert_eq!(measured.given_up().is_empty(), stop > Duration::from_secs(10));
        assert!(measured.asked.iter().all(|(_, at)| *at <= stop));
    }
}

#[test]
fn what_has_no_room_is_not_sampled_and_counted() {
    let settings = format!("{}{VISIBILITY}", operations(3));
    let measured = run_trial(&Trial { settings: &settings, room: 1, ..TRIAL }, |_| refused(202));
    assert_eq!(measured.totals.checks.as_ref().unwrap().effort.not_sampled, 2);
}

#[test]
fn checks_stop_when_their_part_of_the_budget_is_used_up() {
    let limit = "[limit]\nrate = \"100/s\"\nbudget = 60\n";
    let settings = format!(
        "[load]\nstages = [{{ for = \"10s\", users = 1 }}]\nspread = \"0s\"\nthink_time = \"100ms\"\n\
         [checks]\ntrack = \"ref\"\n{VISIBILITY}{limit}"
    );
    let measured = run(&settings, |_| refused(202));
    assert!(measured.load.len() + measured.asked.len() <= 60, "{} and {}", measured.load.len(), measured.asked.len());
    assert!(!measured.asked.is_empty());
}

#[test]
fn what_an_answer_says_about_the_effect() {
    let of = |outcome, status| ack_of(&Answer { status: Some(status), ..Answer::bare(outcome) });
    for (outcome, status, ack) in [
        (Outcome::Accepted, 202, Ack::Accepted),
        (Outcome::Unexpected, 200, Ack::Unknown),
        (Outcome::Throttled, 429, Ack::Refused),
        (Outcome::Rejected, 404, Ack::Refused),
        (Outcome::Rejected, 408, Ack::Unknown),
        (Outcome::Failed, 500, Ack::Failed),
        (Outcome::Failed, 504, Ack::Unknown),
    ] {
        assert_eq!(of(outcome, status), ack, "{status}");
    }
    assert_eq!(ack_of(&Answer::bare(Outcome::Broken)), Ack::Unknown);
    assert_eq!(ack_of(&Answer { not_sent: true, ..Answer::bare(Outcome::Broken) }), Ack::NotSent);
}

#[test]
fn every_attempt_is_an_event_with_the_name_of_its_attribute_kept_once() {
    let retry = "[retry]\non = [429]\nmax = 1\nbackoff = { first = \"1s\", jitter = false }\n";
    let lost_updates = "[checks.lost_updates]\nenabled = true\n";
    let settings = format!("{}{lost_updates}{retry}", operations(2));
    let measured = run(&settings, |write| if write.nth == 0 { refused(429) } else { write.shown_after(0) });
    let writes = measured.events.iter().filter_map(|event| match event {
        Event::Write(write) => Some((write.value, write.ack, write.sent.as_millis(), write.place.key.clone())),
        _ => None,
    });
    let writes: Vec<_> = writes.collect();
    let told: Vec<_> = writes.iter().map(|(value, ack, sent, _)| (*value, *ack, *sent)).collect();
    let (no, yes) = (Ack::Refused, Ack::Accepted);
    assert_eq!(told, [(0, no, 0), (0, yes, 1_010), (1, no, 1_520), (1, yes, 2_530)]);
    assert!(writes.iter().all(|(.., key)| Arc::ptr_eq(key, &writes[0].3) && &**key == "ref"));
    assert!(measured.asked.is_empty(), "nothing is looked for");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn load_and_checks_together_keep_the_limit_and_checks_their_share(
        rate in 5..60_u32, burst in 1..5_u32, users in 4..12_u32, percent in 5..50_u32,
    ) {
        let settings = format!(
            "[load]\nstages = [{{ for = \"8s\", users = {users} }}]\nspread = \"0s\"\n\
             [limit]\nrate = \"{rate}/s\"\nburst = {burst}\n\
             [checks]\ntrack = \"k{{{{ user }}}}\"\nlimit_share = \"{percent}%\"\n{VISIBILITY}"
        );
        let measured = run(&settings, |write| if write.number % 2 == 0 { refused(202) } else { write.shown_after(700) });
        let mut sent: Vec<_> = measured.asked.iter().map(|(_, at)| *at).chain(measured.load.iter().copied()).collect();
        sent.sort();
        for (i, start) in sent.iter().enumerate() {
            for (n, end) in sent[i..].iter().enumerate() {
                let window = (end.saturating_sub(*start) + Duration::from_millis(20)).as_secs_f64();
                let (allowed, count) = (f64::from(rate) * window + f64::from(burst), u32::try_from(n + 1).unwrap());
                prop_assert!(f64::from(count) <= allowed + 1e-6, "{count} requests, {allowed} allowed");
            }
        }
        // Of all permits that the limit offers, whatever the load does with the rest; after the load, too.
        let share = f64::from(rate) * f64::from(percent) / 100.0;
        for (n, (_, at)) in measured.asked.iter().enumerate() {
            let (checks, allowed) = (f64::from(u32::try_from(n + 1).unwrap()), share * at.as_secs_f64());
            prop_assert!(checks <= allowed + 1e-3, "{checks} checks until {at:?}, {allowed} allowed");
        }
        let effort = measured.totals.checks.as_ref().unwrap().effort;
        prop_assert_eq!(usize::try_from(effort.reads).unwrap(), measured.reads().len());
        prop_assert!(effort.not_sampled > 0, "more is drawn than fits");
    }
}
