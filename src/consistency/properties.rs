//! Histories of a faultless store give no finding, and each fault that can be observed is found, as what it is and once.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Ack;
use super::store::{Attempt, Effect, Sampling, WITHIN, World, violations};
use crate::measure::{Check, Checks, Findings, Merge};

/// What becomes of an operation in a faultless store.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Accepted,
    Refused,
    Failed,
    /// No answer; applied so long after it was sent, or not at all.
    Unknown(Option<u64>),
    /// The first attempt fails or is refused, the second is accepted.
    Retried(Ack),
    /// The first attempt has no answer and is applied at its own time or never, the second is accepted.
    TimedOutAndRetried(Option<u64>),
    NotSent,
}

#[derive(Debug, Clone, Copy)]
struct Op {
    row: u32,
    key: u8,
    sent: u64,
    took: u64,
    /// Where between sending and answer it is applied, in percent.
    point: u64,
    /// How long after that it is seen, where writes have delays of their own.
    delay: u64,
    kind: Kind,
    sampling: Sampling,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let late = || option::of(0..3000_u64);
    prop_oneof![
        6 => Just(Kind::Accepted),
        1 => Just(Kind::Refused),
        1 => Just(Kind::Failed),
        1 => late().prop_map(Kind::Unknown),
        1 => prop_oneof![Just(Ack::Refused), Just(Ack::Failed)].prop_map(Kind::Retried),
        1 => late().prop_map(Kind::TimedOutAndRetried),
        1 => Just(Kind::NotSent),
    ]
}

fn samplings() -> impl Strategy<Value = Sampling> {
    prop_oneof![2 => Just(Sampling::No), 3 => Just(Sampling::Whole), 1 => Just(Sampling::CutShort)]
}

prop_compose! {
    fn ops()(
        row in 0..2_u32,
        key in 0..3_u8,
        sent in 1..4000_u64,
        took in 0..300_u64,
        point in 0..=100_u64,
        delay in 0..=WITHIN * 8 / 10,
        kind in kinds(),
        sampling in samplings(),
    ) -> Op {
        Op { row, key, sent, took, point, delay, kind, sampling }
    }
}

/// How long after their application writes are seen.
#[derive(Debug, Clone, Copy)]
enum Delay {
    /// All the same, so that they are seen in the order in which they are applied.
    Same(u64),
    /// Each its own.
    Own,
}

fn delays() -> impl Strategy<Value = Delay> {
    prop_oneof![(0..=WITHIN * 8 / 10).prop_map(Delay::Same), Just(Delay::Own)]
}

/// Values that were there before the run: of nobody, or of an operation with the same number in an earlier run.
fn initials() -> impl Strategy<Value = BTreeMap<(u32, u8), String>> {
    let values = prop_oneof![Just("unknown".to_owned()), (0..12_u64).prop_map(|value| format!("op-{value}"))];
    proptest::collection::btree_map((0..2_u32, 0..3_u8), values, 0..4)
}

impl World {
    fn attempt(&mut self, op: &Op, value: u64, sent: u64, ack: Ack) -> u64 {
        let done = sent + op.took;
        self.sent.push(Attempt { row: op.row, key: op.key, value, sent, done, ack });
        done
    }

    fn apply(&mut self, op: &Op, value: u64, at: u64, delay: Delay) {
        let delay = if let Delay::Same(delay) = delay { delay } else { op.delay };
        let visible = at + delay;
        self.effects.push(Effect { row: op.row, key: op.key, value, visible, until: None, replaces: false });
    }

    /// What the operation with this number does.
    fn operate(&mut self, value: u64, op: &Op, delay: Delay) {
        let point = |sent| sent + op.took * op.point / 100;
        let again = op.sent + op.took + 10;
        match op.kind {
            Kind::Accepted => {
                self.attempt(op, value, op.sent, Ack::Accepted);
                self.apply(op, value, point(op.sent), delay);
            }
            Kind::Refused => drop(self.attempt(op, value, op.sent, Ack::Refused)),
            Kind::Failed => drop(self.attempt(op, value, op.sent, Ack::Failed)),
            Kind::NotSent => drop(self.attempt(op, value, op.sent, Ack::NotSent)),
            Kind::Unknown(late) | Kind::TimedOutAndRetried(late) => {
                self.attempt(op, value, op.sent, Ack::Unknown);
                if let Some(late) = late {
                    self.apply(op, value, op.sent + late, delay);
                }
                if let Kind::TimedOutAndRetried(_) = op.kind {
                    self.attempt(op, value, again, Ack::Accepted);
                    self.apply(op, value, point(again), delay);
                }
            }
            Kind::Retried(ack) => {
                self.attempt(op, value, op.sent, ack);
                self.attempt(op, value, again, Ack::Accepted);
                self.apply(op, value, point(again), delay);
            }
        }
        if op.sampling != Sampling::No {
            self.sampled.insert(value, op.sampling);
        }
    }
}

prop_compose! {
    /// A faultless store with overlapping writers, several keys and rows.
    fn legal()(ops in vec(ops(), 0..12), delay in delays(), initial in initials()) -> (World, Delay) {
        let order = if let Delay::Own = delay { WITHIN } else { 0 };
        let mut world = World { initial, order, ..World::default() };
        for (value, op) in (0..).zip(&ops) {
            world.operate(value, op, delay);
        }
        (world, delay)
    }
}

/// What is done to the target, which is alone on its register for long enough to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Accepted and never applied, looked for.
    Dropped,
    /// The same as the last write of its register, and not looked for.
    DroppedInTheEnd,
    /// Seen, and gone when it is looked at again.
    Reverted,
    /// Seen, and gone after it was looked at again.
    RevertedInTheEnd,
    /// Taken away by a later write to another key.
    Replaced(Sampling),
    /// Applied although the answer says no.
    AppliedAlthough(Ack),
    /// One read shows what was before it.
    StaleRead,
    /// An attribute that nobody names changes.
    Touched,
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Dropped),
        Just(Fault::DroppedInTheEnd),
        Just(Fault::Reverted),
        Just(Fault::RevertedInTheEnd),
        samplings().prop_map(Fault::Replaced),
        Just(Fault::AppliedAlthough(Ack::Refused)),
        Just(Fault::AppliedAlthough(Ack::Failed)),
        Just(Fault::StaleRead),
        Just(Fault::Touched),
    ]
}

impl Fault {
    fn check(self) -> Check {
        match self {
            Self::Dropped => Check::NeverVisible,
            Self::Reverted | Self::RevertedInTheEnd => Check::Reverted,
            // What nobody looked for before the end may be missing for any reason.
            Self::Replaced(_) | Self::DroppedInTheEnd => Check::Lost,
            Self::AppliedAlthough(_) => Check::Phantom,
            Self::StaleRead => Check::StaleRead,
            Self::Touched => Check::UntouchedChanged,
        }
    }

    /// Whether it shows only if nothing is written to the register afterwards.
    fn is_last(self) -> bool {
        matches!(self, Self::DroppedInTheEnd | Self::RevertedInTheEnd | Self::Replaced(_))
    }

    fn sampling(self) -> Sampling {
        match self {
            Self::DroppedInTheEnd | Self::Touched => Sampling::No,
            Self::Replaced(sampling) => sampling,
            _ => Sampling::Whole,
        }
    }
}

const ROW: u32 = 9;
const TARGET: u64 = 100;

/// Puts a fault into a world, on a row of its own. `earlier` are accepted writes to the row that are long over.
fn plant(world: &mut World, delay: Delay, fault: Fault, earlier: &[Op], has_later: bool) {
    let target = Op {
        row: ROW,
        key: 0,
        sent: 4000,
        took: 20,
        point: 50,
        delay: 300,
        kind: Kind::Accepted,
        sampling: fault.sampling(),
    };
    for (value, op) in (50..).zip(earlier) {
        // What a write to another key takes away must be the target alone.
        let key = if fault.check() == Check::Lost { 0 } else { op.key };
        let op = Op { row: ROW, key, sent: 1 + op.sent / 8, kind: Kind::Accepted, ..*op };
        world.operate(value, &op, delay);
    }
    world.operate(TARGET, &target, delay);
    let effect = world.effects.len() - 1;
    let sent = world.sent.len() - 1;
    match fault {
        Fault::Dropped | Fault::DroppedInTheEnd => drop(world.effects.remove(effect)),
        // The longest pause between two looks is shorter, and that before the second look longer.
        Fault::Reverted => world.effects[effect].until = Some(world.effects[effect].visible + 260),
        Fault::RevertedInTheEnd => world.effects[effect].until = Some(8000),
        Fault::Replaced(_) => {
            world.operate(TARGET + 1, &Op { key: 1, sent: 8000, sampling: Sampling::No, ..target }, delay);
            world.effects[effect + 1].replaces = true;
        }
        Fault::AppliedAlthough(ack) => world.sent[sent].ack = ack,
        Fault::StaleRead => world.stale = Some(TARGET),
        Fault::Touched => world.touched = Some(ROW),
    }
    if has_later && !fault.is_last() {
        world.operate(TARGET + 2, &Op { sent: 9000, sampling: Sampling::Whole, ..target }, delay);
    }
}

/// What a store does with an effect.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Dropped,
    /// It is taken back so long after it was seen first.
    Undone(u64),
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![3 => Just(Fate::Kept), 1 => Just(Fate::Dropped), 1 => (1..4000_u64).prop_map(Fate::Undone)]
}

impl Fate {
    fn of(self, effect: Effect) -> Option<Effect> {
        match self {
            Self::Kept => Some(effect),
            Self::Dropped => None,
            Self::Undone(after) => Some(Effect { until: Some(effect.visible + after), ..effect }),
        }
    }
}

fn findings(checks: &Checks) -> Vec<&[Findings]> {
    checks.variants.iter().map(|variant| &variant.findings[..]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_faultless_store_gives_no_finding((world, _) in legal()) {
        let checks = world.judge();
        prop_assert_eq!(violations(&checks), BTreeMap::new(), "{:#?}", findings(&checks));
    }

    #[test]
    fn each_observable_fault_is_found_as_what_it_is_and_nothing_else(
        (world, delay) in legal(),
        fault in faults(),
        earlier in vec(ops(), 0..4),
        has_later in any::<bool>(),
    ) {
        let mut world = world;
        plant(&mut world, delay, fault, &earlier, has_later);
        let checks = world.judge();
        prop_assert_eq!(violations(&checks), BTreeMap::from([(fault.check(), 1)]), "{:#?}", findings(&checks));
        let variants = (0..2).filter(|variant| checks.variants[*variant].findings[fault.check().index()].found > 0);
        // The later write is of the same variant as the target; only the last one can be told to have touched the row.
        prop_assert_eq!(variants.collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_is_missing_where_another_key_was_written_meanwhile_is_lost(
        (world, delay) in legal(),
        fault in prop_oneof![Just(Fault::Dropped), Just(Fault::Reverted)],
        sent in 4100..4400_u64,
        sampling in samplings(),
    ) {
        let mut world = world;
        plant(&mut world, delay, fault, &[], false);
        let (took, point, kind) = (20, 50, Kind::Accepted);
        world.operate(TARGET + 2, &Op { row: ROW, key: 1, sent, took, point, delay: 0, kind, sampling }, delay);
        prop_assert_eq!(violations(&world.judge()), BTreeMap::from([(Check::Lost, 1)]));
    }

    #[test]
    fn how_writes_merge_is_told_truly_or_not_at_all(
        (world, _) in legal(),
        fates in vec(fates(), 24),
        replaces in any::<bool>(),
    ) {
        let mut world = world;
        let fated = std::mem::take(&mut world.effects).into_iter().zip(fates);
        world.effects = fated.filter_map(|(effect, fate)| fate.of(effect)).collect();
        world.effects.iter_mut().for_each(|effect| effect.replaces = replaces);
        let merge = world.judge().merge;
        let expected = if replaces { Merge::WholeMap } else { Merge::PerKey };
        prop_assert!(merge.is_none_or(|merge| merge == expected), "{merge:?}, expected {expected:?}");
    }

    #[test]
    fn what_is_found_was_checked_and_all_that_is_sampled_is_concluded_or_indeterminate((world, _) in legal()) {
        let checks = world.judge();
        for findings in checks.variants.iter().flat_map(|variant| &variant.findings) {
            prop_assert!(findings.found <= findings.checked);
            prop_assert_eq!(findings.sample.is_some(), findings.found > 0);
        }
        let sum = |check: Check| checks.variants.iter().map(|v| v.findings[check.index()].checked).sum::<u64>();
        let was_sent = |value: &u64| world.sent.iter().any(|sent| sent.value == *value && sent.ack != Ack::NotSent);
        let sampled = world.sampled.keys().filter(|value| was_sent(value)).count() as u64;
        prop_assert_eq!(sum(Check::Indeterminate), sampled);
        prop_assert!(sum(Check::Visible) <= sampled);
        let hits: u64 = checks.variants.iter().map(|variant| variant.visible.len()).sum();
        let visible: u64 = checks.variants.iter().map(|v| v.findings[Check::Visible.index()].found).sum();
        prop_assert!(visible <= hits);
    }

    #[test]
    fn the_order_in_which_events_come_does_not_matter((world, _) in legal(), seed in any::<u64>()) {
        let ledger = world.run();
        let mut events: Vec<_> = ledger.history().collect();
        events.sort_by_cached_key(|event| super::reading::hash(format!("{seed}{event:?}").as_bytes()));
        let mut shuffled = super::Ledger::new(100_000, 2);
        for event in events {
            shuffled.add(event);
        }
        let judge = |ledger: &super::Ledger| ledger.judge(&super::store::bounds(world.order), &|_| Vec::new());
        let without_untouched = |ledger: &super::Ledger| {
            let mut checks = judge(ledger);
            for variant in &mut checks.variants {
                variant.findings[Check::UntouchedChanged.index()] = Findings::default();
            }
            checks
        };
        prop_assert_eq!(without_untouched(&ledger), without_untouched(&shuffled));
    }
}
