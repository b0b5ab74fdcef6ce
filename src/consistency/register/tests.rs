//! The rows of the table of what reads may show, one register each. Instants are milliseconds.

use crate::consistency::store::{bounds, ms, violations};
use crate::consistency::{Ack, Bounds, Event, Ledger, Look, Occasion, Place, REPEATED, Seen, Untracked, Write};
use crate::measure::{Check, Checks};

const KEY: &str = "ref";

/// A history of two rows; the judge waits for a second, wants three confirming looks and two of the audit.
struct History(Ledger, Bounds);

impl History {
    fn new() -> Self {
        Self(Ledger::new(1_000_000, 1), Bounds { audits: 2, ..bounds(0) })
    }

    fn write_to(mut self, key: &str, value: u64, at: [u64; 2], ack: Ack) -> Self {
        let place = Place { row: 0, key: key.into() };
        self.0.add(Event::Write(Write { place, value, variant: 0, sent: ms(at[0]), done: ms(at[1]), ack }));
        self
    }

    fn write(self, value: u64, at: [u64; 2], ack: Ack) -> Self {
        self.write_to(KEY, value, at, ack)
    }

    fn look(mut self, occasion: Occasion, at: u64, seen: Seen) -> Self {
        let place = Place { row: 0, key: KEY.into() };
        self.0.add(Event::Look(Look { place, occasion, sent: ms(at), done: ms(at + 5), seen }));
        self
    }

    fn looks<const N: usize>(self, occasion: Occasion, at: [u64; N], seen: Seen) -> Self {
        at.into_iter().fold(self, |history, at| history.look(occasion, at, seen))
    }

    fn give_up(mut self, value: u64) -> Self {
        self.0.add(Event::GivenUp { row: 0, value, variant: 0, why: "no room" });
        self
    }

    fn judge(&self) -> Checks {
        self.0.judge(&self.1, &|_| Vec::new())
    }

    /// Checked and found.
    fn counts(&self, check: Check) -> (u64, u64) {
        let findings = &self.judge().variants[0].findings[check.index()];
        (findings.checked, findings.found)
    }

    fn sample(&self, check: Check) -> String {
        self.judge().variants[0].findings[check.index()].sample.clone().unwrap()
    }

    /// The violations, which are at most one.
    fn found(&self) -> Option<Check> {
        let found = violations(&self.judge());
        assert!(found.values().sum::<u64>() < 2, "{found:?}");
        found.into_keys().next()
    }
}

/// Looks from 1,005 ms on decide about a write that was accepted at 5 ms.
const DECISIVE: [u64; 4] = [1005, 1210, 1420, 1630];

fn accepted() -> History {
    History::new().write(1, [0, 5], Ack::Accepted)
}

fn seen() -> History {
    accepted().look(Occasion::Poll(1), 10, Seen::Nothing).look(Occasion::Poll(1), 30, Seen::Value(1))
}

#[test]
fn a_write_that_is_seen_is_visible_from_its_answer_to_the_end_of_the_look() {
    let history = seen();
    let checks = history.judge();
    assert_eq!((history.found(), history.counts(Check::Visible)), (None, (1, 1)));
    let variant = &checks.variants[0];
    assert_eq!((variant.visible.max(), variant.resolution.max()), (30_015, 25_007), "30 ms and 25 ms, to three digits");
    assert_eq!(history.counts(Check::Indeterminate), (1, 0));
    assert_eq!(history.sample(Check::Visible), "operation 1, data row 1, `ref`: accepted at 0.005s, seen at 0.035s");
}

#[test]
fn a_write_that_the_first_look_shows_was_seen_somewhen_since_its_answer() {
    let checks = accepted().look(Occasion::Poll(1), 10, Seen::Value(1)).judge();
    let (visible, resolution) = (&checks.variants[0].visible, &checks.variants[0].resolution);
    assert_eq!((visible.max(), resolution.max()), (10_007, 10_007));
}

#[test]
fn an_acknowledged_write_that_no_look_shows_is_never_visible() {
    let history =
        accepted().look(Occasion::Poll(1), 10, Seen::Nothing).looks(Occasion::Poll(1), DECISIVE, Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::NeverVisible)), (Some(Check::NeverVisible), (1, 1)));
    assert_eq!((history.counts(Check::Visible), history.counts(Check::Indeterminate)), ((1, 0), (1, 0)));
    assert_eq!(
        history.sample(Check::NeverVisible),
        "operation 1, data row 1, `ref`: accepted at 0.005s, not seen in 5 looks up to 1.635s, the last of which showed \
         no write of the run"
    );
}

#[test]
fn a_write_is_not_called_never_visible_before_the_last_confirming_look() {
    let history = accepted().looks(Occasion::Poll(1), [1005, 1210, 1420], Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (1, 1)));
    assert!(history.sample(Check::Indeterminate).ends_with("no look was late enough"));
}

#[test]
fn looks_before_the_bound_do_not_decide() {
    let history = accepted().looks(Occasion::Poll(1), [990, 994, 998, 1002, 1004], Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::NeverVisible)), (None, (0, 0)));
}

#[test]
fn a_look_that_was_not_sent_makes_a_case_indeterminate_with_its_reason() {
    let history = accepted().look(Occasion::Poll(1), 10, Seen::Nothing).give_up(1);
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (1, 1)));
    assert!(history.sample(Check::Indeterminate).ends_with("no room"));
    assert_eq!(seen().give_up(1).counts(Check::Indeterminate), (1, 0), "it was seen before");
}

#[test]
fn a_write_that_is_seen_after_the_bound_alone_was_never_visible_in_time() {
    for occasion in [Occasion::Poll(2), Occasion::Audit] {
        let late = accepted().looks(Occasion::Poll(1), DECISIVE, Seen::Nothing).look(occasion, 5000, Seen::Value(1));
        assert_eq!((late.found(), late.counts(Check::Visible)), (Some(Check::NeverVisible), (1, 0)), "{occasion:?}");
        assert!(
            late.sample(Check::NeverVisible).ends_with("the last of which showed no write of the run; seen at 5.005s")
        );
    }
}

#[test]
fn what_is_seen_at_the_audit_alone_says_nothing_about_the_time_before() {
    let history = accepted().look(Occasion::Poll(1), 10, Seen::Nothing).look(Occasion::Audit, 5000, Seen::Value(1));
    assert_eq!(
        (history.found(), history.counts(Check::Visible), history.counts(Check::NeverVisible)),
        (None, (0, 0), (0, 0))
    );
    assert!(history.judge().variants[0].visible.is_empty());
}

#[test]
fn what_was_seen_when_looks_would_not_have_told_that_it_is_missing_does_not_count_as_checked() {
    let mut stopped = seen();
    stopped.1.end = ms(1500);
    assert_eq!((stopped.counts(Check::Visible), stopped.counts(Check::NeverVisible)), ((0, 0), (0, 0)), "too early");
    assert_eq!(stopped.judge().variants[0].visible.len(), 1, "its time is known all the same");
    let given_up = seen().give_up(1);
    assert_eq!((given_up.counts(Check::Visible), given_up.counts(Check::NeverVisible)), ((0, 0), (0, 0)));
}

#[test]
fn an_untracked_write_that_may_have_written_the_key_makes_a_miss_indeterminate_and_any_other_makes_it_lost() {
    let with = |names_key, at: [u64; 2]| {
        let mut history = accepted();
        let (sent, done, ack) = (ms(at[0]), ms(at[1]), Ack::Accepted);
        let untracked = Untracked { row: 0, number: 7, variant: 0, names_key, sent, done, ack };
        history.0.add(Event::Untracked(untracked));
        history.looks(Occasion::Poll(1), DECISIVE, Seen::Nothing)
    };
    assert_eq!(with(true, [500, 505]).found(), None);
    assert_eq!(with(true, [500, 505]).counts(Check::Indeterminate), (1, 1));
    assert_eq!(with(false, [500, 505]).found(), Some(Check::Lost));
    assert_eq!(with(true, [2000, 2005]).found(), Some(Check::NeverVisible));
    let ended = |names_key| with(names_key, [2000, 2005]).looks(Occasion::Audit, [5000, 5100], Seen::Nothing);
    assert_eq!(ended(true).counts(Check::Lost), (0, 0), "the last write may be that one");
    assert_eq!(ended(false).counts(Check::Lost), (1, 0), "it was missing before");
}

#[test]
fn an_older_value_does_not_excuse_a_missing_write() {
    let history = History::new().write(1, [0, 5], Ack::Accepted).write(2, [100, 105], Ack::Accepted).looks(
        Occasion::Poll(2),
        [1105, 1310, 1520, 1730],
        Seen::Value(1),
    );
    assert_eq!(history.found(), Some(Check::NeverVisible));
    assert!(history.sample(Check::NeverVisible).starts_with("operation 2,"));
}

#[test]
fn a_write_that_overlaps_may_have_been_applied_later_and_makes_a_miss_indeterminate() {
    let with = |at, value| {
        accepted().write(2, at, Ack::Accepted).looks(Occasion::Poll(1), DECISIVE, Seen::Value(value)).found()
    };
    assert_eq!(with([3, 8], 2), None, "overlaps");
    assert_eq!(with([500, 505], 2), None, "is later");
    assert_eq!(with([500, 505], 3), None, "is later and not seen either");
}

#[test]
fn a_write_whose_answer_did_not_come_may_be_applied_at_any_later_time() {
    let history = History::new().write(1, [0, 5], Ack::Unknown).write(2, [100, 105], Ack::Accepted).looks(
        Occasion::Poll(2),
        [1105, 1310, 1520, 1730],
        Seen::Value(1),
    );
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (1, 1)));
    let audited = history.looks(Occasion::Audit, [3000, 3100], Seen::Value(1));
    assert_eq!(audited.found(), None, "in the end it may be the last one, too");
}

#[test]
fn a_write_whose_answer_did_not_come_is_indeterminate_whether_it_is_seen_or_not() {
    for shown in [Seen::Nothing, Seen::Value(1)] {
        let history = History::new().write(1, [0, 5], Ack::Unknown).looks(Occasion::Poll(1), DECISIVE, shown).looks(
            Occasion::Audit,
            [3000, 3100],
            Seen::Nothing,
        );
        assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (1, 1)));
    }
}

#[test]
fn a_retry_that_is_accepted_is_what_counts() {
    let retried = || History::new().write(1, [0, 5], Ack::Failed).write(1, [20, 25], Ack::Accepted);
    assert_eq!(retried().look(Occasion::Poll(1), 30, Seen::Value(1)).found(), None, "no phantom");
    let missing = retried().looks(Occasion::Poll(1), [1025, 1230, 1440, 1650], Seen::Nothing);
    assert_eq!(missing.found(), Some(Check::NeverVisible));
}

#[test]
fn a_write_that_is_seen_and_gone_for_good_is_reverted() {
    let history =
        seen().look(Occasion::Recheck(1), 300, Seen::Nothing).looks(Occasion::Recheck(1), DECISIVE, Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::Reverted)), (Some(Check::Reverted), (1, 1)));
    assert_eq!(
        history.sample(Check::Reverted),
        "operation 1, data row 1, `ref`: seen until 0.035s, gone from 0.300s to 1.635s, when no write of the run was shown"
    );
}

#[test]
fn a_write_is_not_called_reverted_where_the_key_was_written_meanwhile() {
    let history = seen().write(2, [200, 205], Ack::Unknown);
    let history = history.looks(Occasion::Recheck(1), DECISIVE, Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::Reverted)), (None, (0, 0)));
}

#[test]
fn a_write_that_is_gone_and_there_again_was_read_stale() {
    let history = seen().look(Occasion::Recheck(1), 300, Seen::Nothing).look(Occasion::Recheck(1), 510, Seen::Value(1));
    assert_eq!((history.found(), history.counts(Check::StaleRead)), (Some(Check::StaleRead), (2, 1)));
    assert_eq!(history.counts(Check::Reverted), (1, 0));
    assert_eq!(
        history.sample(Check::StaleRead),
        "operation 1, data row 1, `ref`: seen before 0.300s and after it again, but then no write of the run"
    );
}

#[test]
fn a_read_that_overlaps_the_looks_around_it_is_not_stale() {
    let mut history = seen().look(Occasion::Recheck(1), 310, Seen::Value(1));
    let place = Place { row: 0, key: KEY.into() };
    let (sent, done) = (ms(32), ms(500));
    history.0.add(Event::Look(Look { place, occasion: Occasion::Poll(1), sent, done, seen: Seen::Nothing }));
    assert_eq!(history.found(), None);
}

#[test]
fn each_stale_read_is_found_in_the_longest_history_too() {
    let history = seen()
        .looks(Occasion::Poll(1), [100, 200], Seen::Nothing)
        .look(Occasion::Poll(1), 300, Seen::Value(1))
        .look(Occasion::Poll(1), 400, Seen::Nothing)
        .look(Occasion::Poll(1), 500, Seen::Value(1));
    assert_eq!(history.counts(Check::StaleRead), (5, 3));
}

#[test]
fn a_refused_write_that_is_seen_is_a_phantom() {
    let history = History::new().write(1, [0, 5], Ack::Refused).look(Occasion::Poll(1), 1005, Seen::Value(1));
    assert_eq!((history.found(), history.counts(Check::Phantom)), (Some(Check::Phantom), (1, 1)));
    assert_eq!(history.sample(Check::Phantom), "operation 1, data row 1, `ref`: was refused at 0.005s, seen at 1.010s");
}

#[test]
fn a_failed_write_that_is_seen_is_a_phantom_if_it_was_sampled_and_legal_else() {
    let failed = || History::new().write(1, [0, 5], Ack::Failed);
    assert_eq!(failed().look(Occasion::Poll(1), 1005, Seen::Value(1)).found(), Some(Check::Phantom));
    assert_eq!(failed().looks(Occasion::Audit, [3000, 3100], Seen::Value(1)).found(), None);
}

#[test]
fn a_refused_write_that_is_not_seen_is_checked_if_the_look_was_late_enough() {
    let refused = |at| History::new().write(1, [0, 5], Ack::Refused).look(Occasion::Poll(1), at, Seen::Nothing);
    assert_eq!((refused(1005).counts(Check::Phantom), refused(1005).counts(Check::Indeterminate)), ((1, 0), (1, 0)));
    assert_eq!((refused(900).counts(Check::Phantom), refused(900).counts(Check::Indeterminate)), ((0, 0), (1, 1)));
}

#[test]
fn a_phantom_excuses_the_write_that_it_took_the_place_of() {
    let history = accepted()
        .write(2, [100, 105], Ack::Refused)
        .looks(Occasion::Poll(1), DECISIVE, Seen::Value(2))
        .looks(Occasion::Audit, [3000, 3100], Seen::Value(2));
    assert_eq!(
        history.found(),
        None,
        "nobody looked for the refused one, which would be a sample of those that are met"
    );
}

#[test]
fn a_last_write_that_is_missing_in_the_end_is_lost_where_other_keys_were_written_since() {
    let missing = |at| {
        let history = accepted().write_to("other", 2, at, Ack::Accepted);
        history.looks(Occasion::Audit, [3000, 3100], Seen::Nothing)
    };
    assert_eq!((missing([10, 15]).found(), missing([10, 15]).counts(Check::Lost)), (Some(Check::Lost), (1, 1)));
    assert_eq!(
        missing([10, 15]).sample(Check::Lost),
        "operation 1, data row 1, `ref`: accepted at 0.005s, never seen, missing at 3.105s, when no write of the run was \
         shown; other keys of the row were written meanwhile"
    );
}

#[test]
fn a_last_write_that_nobody_looked_for_and_is_missing_in_the_end_is_lost_whoever_took_it_away() {
    let before = History::new().write_to("other", 2, [0, 5], Ack::Accepted).write(1, [1010, 1015], Ack::Accepted);
    let before = before.looks(Occasion::Audit, [3000, 3100], Seen::Nothing);
    assert_eq!((before.found(), before.counts(Check::NeverVisible)), (Some(Check::Lost), (0, 0)));
    assert!(before.sample(Check::Lost).ends_with("no write of the run was shown"));
}

#[test]
fn a_write_that_is_missing_is_lost_where_another_key_was_written_meanwhile_and_never_visible_or_reverted_elsewhere() {
    // What the other write does may be seen up to a second after its answer.
    for (at, expected) in [([10, 15], Check::Lost), ([0, 5], Check::Lost), ([1630, 1635], Check::Lost)] {
        let never = accepted().write_to("other", 2, at, Ack::Accepted);
        let never = never.looks(Occasion::Poll(1), DECISIVE, Seen::Nothing);
        assert_eq!((never.found(), never.counts(Check::NeverVisible)), (Some(expected), (0, 0)), "{at:?}");
    }
    let never = accepted().write_to("other", 2, [1700, 1705], Ack::Accepted);
    assert_eq!(never.looks(Occasion::Poll(1), DECISIVE, Seen::Nothing).found(), Some(Check::NeverVisible));
    let gone = |at| {
        let history = seen().write_to("other", 2, at, Ack::Accepted);
        history.looks(Occasion::Recheck(1), [1300, 1510, 1720, 1930], Seen::Nothing)
    };
    for at in [[0, 5], [500, 505], [1930, 1933]] {
        assert_eq!((gone(at).found(), gone(at).counts(Check::Reverted)), (Some(Check::Lost), (0, 0)), "{at:?}");
    }
    assert_eq!(gone([1940, 1945]).found(), Some(Check::Reverted));
    assert!(gone([500, 505]).sample(Check::Lost).ends_with("other keys of the row were written meanwhile"));
}

#[test]
fn a_write_that_stays_counts_among_those_that_could_have_been_found_as_if_it_were_missing() {
    let with = |at| {
        let history = seen().write_to("other", 2, at, Ack::Accepted).look(Occasion::Recheck(1), 2500, Seen::Value(1));
        [Check::NeverVisible, Check::Reverted, Check::Lost].map(|check| history.counts(check).0)
    };
    assert_eq!(with([500, 505]), [0, 0, 1], "whatever took it away");
    assert_eq!(with([2200, 2205]), [1, 0, 1], "it was seen before");
    assert_eq!(with([9000, 9005]), [1, 1, 0]);
}

#[test]
fn a_last_write_that_was_seen_and_is_missing_in_the_end_is_reverted_where_nothing_else_was_written() {
    let history = seen().looks(Occasion::Audit, [3000, 3100], Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::Reverted)), (Some(Check::Reverted), (1, 1)));
}

#[test]
fn what_was_found_by_looks_is_not_found_again_by_the_audit() {
    let never = accepted().looks(Occasion::Poll(1), DECISIVE, Seen::Nothing);
    let never = never.looks(Occasion::Audit, [3000, 3100], Seen::Nothing);
    assert_eq!((never.counts(Check::NeverVisible), never.counts(Check::Lost)), ((1, 1), (1, 0)));
    let reverted =
        seen().look(Occasion::Recheck(1), 300, Seen::Nothing).looks(Occasion::Recheck(1), DECISIVE, Seen::Nothing);
    let reverted = reverted.looks(Occasion::Audit, [3000, 3100], Seen::Nothing);
    assert_eq!((reverted.counts(Check::Reverted), reverted.counts(Check::Lost)), ((1, 1), (0, 0)));
}

#[test]
fn a_write_that_stays_until_after_its_recheck_and_is_missing_in_the_end_counts_once() {
    let history = seen().look(Occasion::Recheck(1), 300, Seen::Value(1));
    assert_eq!(history.counts(Check::Reverted), (1, 0));
    let history = history.looks(Occasion::Audit, [3000, 3100], Seen::Nothing);
    assert_eq!(history.counts(Check::Reverted), (1, 1));
}

#[test]
fn one_look_of_the_audit_is_not_enough_to_call_a_write_missing() {
    let once = accepted().look(Occasion::Audit, 3000, Seen::Nothing);
    assert_eq!((once.found(), once.counts(Check::Lost)), (None, (0, 0)));
    let disagreeing = once.look(Occasion::Audit, 3100, Seen::Value(1));
    assert_eq!((disagreeing.found(), disagreeing.counts(Check::Lost)), (None, (1, 0)));
    let early = accepted().looks(Occasion::Audit, [500, 600], Seen::Nothing);
    assert_eq!((early.found(), early.counts(Check::Lost)), (None, (0, 0)), "it may still become visible");
}

#[test]
fn how_the_audit_ends_is_what_its_last_looks_agree_on() {
    let audit = |sightings, shown: &[Seen]| {
        let looks = (0..).zip(shown).map(|(i, seen)| (3000 + 100 * i, *seen));
        let mut history = looks.fold(accepted(), |history, (at, seen)| history.look(Occasion::Audit, at, seen));
        history.1.sightings = sightings;
        history.counts(Check::Lost)
    };
    let (hit, miss) = (Seen::Value(1), Seen::Nothing);
    for (sightings, shown, expected) in [
        (1, &[hit][..], (1, 0)),
        (1, &[hit, miss], (0, 0)),
        (1, &[hit, miss, miss], (1, 1)),
        (1, &[miss, miss, hit], (1, 0)),
        (2, &[hit], (0, 0)),
        (2, &[hit, hit], (1, 0)),
        (2, &[miss, hit], (0, 0)),
        (2, &[hit, miss, hit, hit], (1, 0)),
    ] {
        assert_eq!(audit(sightings, shown), expected, "{sightings} {shown:?}");
    }
}

#[test]
fn of_overlapping_writes_either_may_be_the_last() {
    for (shown, expected) in [(1, None), (2, None), (3, Some(Check::Lost))] {
        let history = History::new()
            .write(3, [0, 5], Ack::Accepted)
            .write(1, [10, 20], Ack::Accepted)
            .write(2, [15, 30], Ack::Accepted)
            .looks(Occasion::Audit, [3000, 3100], Seen::Value(shown));
        assert_eq!(history.found(), expected, "operation {shown}");
    }
}

#[test]
fn a_timed_out_attempt_of_an_accepted_operation_may_overwrite_newer_data() {
    let history = History::new()
        .write(1, [0, 5], Ack::Unknown)
        .write(1, [10, 15], Ack::Accepted)
        .write(2, [20, 25], Ack::Accepted)
        .looks(Occasion::Audit, [3000, 3100], Seen::Value(1));
    assert_eq!(history.found(), None);
}

#[test]
fn where_an_api_orders_writes_late_those_close_together_may_be_in_either_order() {
    let mut history = History::new().write(1, [0, 5], Ack::Accepted).write(2, [100, 105], Ack::Accepted).looks(
        Occasion::Audit,
        [3000, 3100],
        Seen::Value(1),
    );
    assert_eq!(history.found(), Some(Check::Lost));
    history.1.order = ms(96);
    assert_eq!(history.found(), None);
}

#[test]
fn one_foreign_value_is_what_was_there_before_and_two_are_somebody_else() {
    let one = accepted().looks(Occasion::Poll(1), DECISIVE, Seen::Foreign(1));
    assert_eq!(one.found(), Some(Check::NeverVisible));
    let two = one.look(Occasion::Audit, 3000, Seen::Foreign(2));
    assert_eq!((two.found(), two.counts(Check::Indeterminate)), (None, (1, 1)));
    assert!(two.sample(Check::Indeterminate).ends_with("somebody else writes the key, too"));
    let new = accepted().look(Occasion::Before, 0, Seen::Nothing).looks(Occasion::Poll(1), DECISIVE, Seen::Foreign(1));
    assert_eq!(new.found(), None, "it was not there before the run");
}

#[test]
fn a_number_that_no_operation_has_is_foreign() {
    let history =
        accepted().look(Occasion::Poll(1), 10, Seen::Value(77)).looks(Occasion::Poll(1), DECISIVE, Seen::Value(77));
    assert_eq!(history.found(), Some(Check::NeverVisible));
    assert_eq!(history.look(Occasion::Poll(1), 4000, Seen::Value(78)).found(), None);
}

#[test]
fn a_value_that_an_earlier_run_left_says_nothing_about_the_operation_with_its_number() {
    let history = History::new().look(Occasion::Before, 0, Seen::Value(1)).write(1, [100, 105], Ack::Refused).look(
        Occasion::Poll(1),
        1200,
        Seen::Value(1),
    );
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (1, 1)));
}

#[test]
fn operations_that_are_repeated_are_not_looked_for() {
    let value = REPEATED + 1;
    let history =
        History::new().write(value, [0, 5], Ack::Accepted).looks(Occasion::Poll(value), DECISIVE, Seen::Nothing);
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (0, 0)));
}

#[test]
fn a_write_that_was_never_sent_is_not_checked() {
    let history = History::new().write(1, [0, 0], Ack::NotSent).give_up(1);
    assert_eq!((history.found(), history.counts(Check::Indeterminate)), (None, (0, 0)));
}

#[test]
fn writes_that_others_followed_within_the_bound_do_not_dilute_the_share_of_those_never_visible() {
    let followed = seen().write(2, [500, 505], Ack::Accepted);
    assert_eq!((followed.counts(Check::Visible), followed.counts(Check::NeverVisible)), ((0, 0), (0, 0)));
    assert_eq!(seen().counts(Check::NeverVisible), (1, 0));
}

#[test]
fn a_write_that_takes_no_time_and_is_seen_in_time_is_not_called_never_visible() {
    let history = History::new().write(1, [5, 5], Ack::Accepted).look(Occasion::Poll(1), 30, Seen::Value(1));
    let history = history.looks(Occasion::Poll(2), DECISIVE, Seen::Value(1));
    assert_eq!((history.found(), history.counts(Check::Visible)), (None, (1, 1)));
}
