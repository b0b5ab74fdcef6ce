//! One participant: its attributes, and the writes that are not visible yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::change::{Attributes, Extent};
use super::id::Id;
use crate::scenario::Role;

/// How many writes a participant remembers to recognise a repetition.
const RECENT: usize = 8;

/// The attribute that repeated writes grow.
const COUNTER: &str = "counter";

/// One participant.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) id: Id,
    /// What it is, whatever the data rows say.
    pub(super) role: Role,
    /// Grows with each write that is to be applied, at its acceptance.
    pub(super) version: u64,
    visible: Attributes,
    /// The keys that a write has set which will be undone.
    passing: BTreeMap<Box<str>, Passing>,
    /// What was visible before the last change; kept only where reads may be stale.
    previous: Option<Attributes>,
    /// Changes that are decided and not yet visible, by the instant at which each will be.
    pending: VecDeque<(Duration, Step)>,
    /// Fingerprints of its latest writes, the newest last; empty where repetitions have no effect.
    recent: VecDeque<u64>,
    /// Writes so far that are or were to be undone: the number of the latest one.
    undoable: u64,
}

/// A change that becomes visible at an instant.
#[derive(Debug)]
enum Step {
    /// A write, and how long after it is undone.
    Write { attributes: Attributes, extent: Extent, undone_after: Option<Duration> },
    /// The write with this number is undone.
    Undo { write: u64 },
    /// The counter grows by 1.
    Count,
}

/// The values of a key that come and go: each write that will be undone lies on those before it.
#[derive(Debug)]
struct Passing {
    /// What is there when all of them are undone.
    lasting: Value,
    /// Each with the number of its write, the latest last; never empty.
    layers: Vec<(u64, Value)>,
}

/// The value of a key; `None` where there is none.
type Value = Option<Box<str>>;

/// A write that is accepted, and when it takes effect.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) attributes: Attributes,
    pub(super) extent: Extent,
    /// A read shows it from this instant on.
    pub(super) visible_at: Duration,
    /// It is undone so long after.
    pub(super) undone_after: Option<Duration>,
}

impl Participant {
    /// Without attributes. `keeps_previous` where reads may be stale.
    pub(super) fn new(id: Id, role: Role, keeps_previous: bool) -> Self {
        Self {
            id,
            role,
            version: 1,
            visible: Attributes::new(),
            passing: BTreeMap::new(),
            previous: keeps_previous.then(Attributes::new),
            pending: VecDeque::new(),
            recent: VecDeque::new(),
            undoable: 0,
        }
    }

    /// Takes a write on. Latencies differ, so an earlier request may be answered later: writes are kept in the order of their
    /// answers.
    pub(super) fn write(&mut self, accepted: Accepted) {
        let Accepted { attributes, extent, visible_at, undone_after } = accepted;
        self.version += 1;
        self.push(visible_at, Step::Write { attributes, extent, undone_after });
    }

    /// Remembers a write by its fingerprint; whether it repeats one of the latest.
    pub(super) fn repeats(&mut self, fingerprint: u64) -> bool {
        let is_repeated = self.recent.contains(&fingerprint);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(fingerprint);
        is_repeated
    }

    /// Grows the counter at an instant.
    pub(super) fn count(&mut self, at: Duration) {
        self.push(at, Step::Count);
    }

    /// What is visible, of a participant that was settled.
    pub(super) fn visible(&self) -> &Attributes {
        &self.visible
    }

    /// What was visible before the last change.
    pub(super) fn previous(&self) -> &Attributes {
        self.previous.as_ref().unwrap_or(&self.visible)
    }

    /// Applies everything that is visible by now.
    pub(super) fn settle(&mut self, now: Duration) {
        while self.pending.front().is_some_and(|(at, _)| *at <= now)
            && let Some((at, step)) = self.pending.pop_front()
        {
            if let Some(previous) = &mut self.previous {
                previous.clone_from(&self.visible);
            }
            self.apply(at, step);
        }
    }

    fn push(&mut self, at: Duration, step: Step) {
        let place = self.pending.partition_point(|(other, _)| *other <= at);
        self.pending.insert(place, (at, step));
    }

    fn apply(&mut self, at: Duration, step: Step) {
        match step {
            Step::Write { attributes, extent, undone_after: None } => self.set(attributes, extent),
            Step::Write { attributes, extent, undone_after: Some(after) } => {
                self.undoable += 1;
                self.lay(self.undoable, attributes, extent);
                self.push(at.saturating_add(after), Step::Undo { write: self.undoable });
            }
            Step::Undo { write } => self.undo(write),
            Step::Count => {
                let count = self.visible.get(COUNTER).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
                let grown = Attributes::from([(COUNTER.into(), count.saturating_add(1).to_string().into())]);
                self.set(grown, Extent::Merge);
            }
        }
    }

    /// Sets values that stay: whatever comes or goes beneath them is no longer seen.
    fn set(&mut self, attributes: Attributes, extent: Extent) {
        match extent {
            Extent::Merge => {
                self.passing.retain(|key, _| !attributes.contains_key(key));
                self.visible.extend(attributes);
            }
            Extent::Replace => {
                self.passing.clear();
                self.visible = attributes;
            }
        }
    }

    /// Sets values that a write with this number will take back.
    fn lay(&mut self, write: u64, attributes: Attributes, extent: Extent) {
        let mut values: BTreeMap<Box<str>, Value> =
            attributes.into_iter().map(|(key, value)| (key, Some(value))).collect();
        if extent == Extent::Replace {
            // Also keys that another such write hides for a time: they must not come back beneath this one.
            for key in self.visible.keys().chain(self.passing.keys()) {
                if !values.contains_key(key) {
                    values.insert(key.clone(), None);
                }
            }
        }
        for (key, value) in values {
            let lasting = self.visible.get(&key).cloned();
            let passing = self.passing.entry(key.clone()).or_insert(Passing { lasting, layers: Vec::new() });
            passing.layers.push((write, value.clone()));
            self.show(key, value);
        }
    }

    /// Takes back what the write with this number has set, wherever nothing that stays was set since.
    fn undo(&mut self, write: u64) {
        let mut shown = Vec::new();
        self.passing.retain(|key, passing| {
            let before = passing.layers.len();
            passing.layers.retain(|(other, _)| *other != write);
            if passing.layers.len() < before {
                let value = passing.layers.last().map_or(&passing.lasting, |(_, value)| value);
                shown.push((key.clone(), value.clone()));
            }
            !passing.layers.is_empty()
        });
        for (key, value) in shown {
            self.show(key, value);
        }
    }

    fn show(&mut self, key: Box<str>, value: Value) {
        match value {
            Some(value) => drop(self.visible.insert(key, value)),
            None => drop(self.visible.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn participant() -> Participant {
        Participant::new(Id::parse("00000000-0000-4000-8000-000000000000").unwrap(), Role::Agent, true)
    }

    fn map(entries: &[(&str, &str)]) -> Attributes {
        entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn accepted(entries: &[(&str, &str)], at: u64) -> Accepted {
        Accepted { attributes: map(entries), extent: Extent::Merge, visible_at: ms(at), undone_after: None }
    }

    fn visible(participant: &mut Participant, at: u64) -> String {
        participant.settle(ms(at));
        participant.visible().iter().fold(String::new(), |text, (key, value)| text + key + "=" + value + " ")
    }

    #[test]
    fn a_write_is_visible_from_its_instant_and_not_before() {
        let mut participant = participant();
        participant.write(accepted(&[("a", "1")], 100));
        assert_eq!(visible(&mut participant, 99), "");
        assert_eq!(visible(&mut participant, 100), "a=1 ");
    }

    #[test]
    fn writes_merge_per_key_in_the_order_of_their_answers() {
        let mut participant = participant();
        participant.write(accepted(&[("a", "late"), ("b", "1")], 300));
        participant.write(accepted(&[("a", "early"), ("c", "1")], 200));
        participant.write(accepted(&[("c", "2")], 200));
        assert_eq!(visible(&mut participant, 200), "a=early c=2 ");
        assert_eq!(visible(&mut participant, 300), "a=late b=1 c=2 ");
        assert!(participant.pending.is_empty());
        assert_eq!(participant.version, 4);
    }

    #[test]
    fn a_reverted_write_gives_back_what_nobody_changed_since() {
        let mut participant = participant();
        participant.write(accepted(&[("a", "0"), ("b", "0")], 0));
        participant
            .write(Accepted { undone_after: Some(ms(50)), ..accepted(&[("a", "1"), ("b", "1"), ("c", "1")], 10) });
        participant.write(accepted(&[("b", "2")], 30));
        assert_eq!(visible(&mut participant, 40), "a=1 b=2 c=1 ");
        assert_eq!(visible(&mut participant, 59), "a=1 b=2 c=1 ");
        assert_eq!(visible(&mut participant, 60), "a=0 b=2 ");
    }

    proptest! {
        #[test]
        fn what_is_visible_is_what_the_writes_that_are_in_force_amount_to(
            writes in proptest::collection::vec(
                (proptest::collection::btree_map("[abc]", "[12]", 0..3), any::<bool>(), 0..50_u64, proptest::option::of(0..40_u64)),
                1..12,
            ),
        ) {
            let mut participant = participant();
            let mut accepted: Vec<_> = writes
                .into_iter()
                .map(|(map, replaces, at, after)| {
                    let attributes = map.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
                    let extent = if replaces { Extent::Replace } else { Extent::Merge };
                    Accepted { attributes, extent, visible_at: ms(at), undone_after: after.map(ms) }
                })
                .collect();
            for Accepted { attributes, extent, visible_at, undone_after } in &accepted {
                let (attributes, extent, visible_at) = (attributes.clone(), *extent, *visible_at);
                participant.write(Accepted { attributes, extent, visible_at, undone_after: *undone_after });
            }
            accepted.sort_by_key(|write| write.visible_at);
            for now in (0..100).map(ms) {
                let mut expected = Attributes::new();
                for write in &accepted {
                    let ends = write.undone_after.map(|after| write.visible_at + after);
                    if write.visible_at <= now && ends.is_none_or(|ends| now < ends) {
                        if write.extent == Extent::Replace {
                            expected.clear();
                        }
                        expected.extend(write.attributes.clone());
                    }
                }
                participant.settle(now);
                prop_assert_eq!(participant.visible(), &expected, "at {:?}", now);
            }
            prop_assert!(participant.passing.is_empty());
        }
    }

    #[test]
    fn a_counter_that_is_full_stays_full() {
        let mut participant = participant();
        participant.write(accepted(&[("counter", "18446744073709551615")], 0));
        participant.count(ms(1));
        assert_eq!(visible(&mut participant, 1), "counter=18446744073709551615 ");
    }

    #[test]
    fn a_write_that_repeats_one_of_the_latest_is_itself_one_of_them() {
        let mut participant = participant();
        let repeats = [1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 1].map(|fingerprint| participant.repeats(fingerprint));
        assert_eq!(repeats.iter().rposition(|repeats| *repeats), Some(10), "the one before was two writes ago");
        assert_eq!(repeats.iter().filter(|repeats| **repeats).count(), 2);
    }

    #[test]
    fn a_replacing_write_that_is_undone_gives_back_what_it_removed() {
        let mut participant = participant();
        participant.write(accepted(&[("a", "1"), ("b", "1")], 0));
        participant.write(Accepted {
            extent: Extent::Replace,
            undone_after: Some(ms(50)),
            ..accepted(&[("b", "2"), ("c", "2")], 10)
        });
        participant.write(accepted(&[("c", "3")], 20));
        assert_eq!(visible(&mut participant, 59), "b=2 c=3 ");
        assert_eq!(visible(&mut participant, 60), "a=1 b=1 c=3 ");
    }

    #[test]
    fn a_replacing_write_loses_what_it_did_not_know() {
        let mut participant = participant();
        participant.write(accepted(&[("a", "1")], 10));
        participant.write(Accepted { extent: Extent::Replace, ..accepted(&[("b", "1")], 20) });
        assert_eq!(visible(&mut participant, 20), "b=1 ");
        assert_eq!(*participant.previous(), map(&[("a", "1")]));
    }

    #[test]
    fn a_repetition_is_recognised_among_the_latest_writes_and_grows_the_counter() {
        let mut participant = participant();
        assert!((0..9).all(|fingerprint| !participant.repeats(fingerprint)));
        assert!(participant.repeats(1) && participant.repeats(8));
        assert!(!participant.repeats(0), "the oldest of nine is forgotten");
        participant.count(ms(5));
        participant.count(ms(7));
        assert_eq!(
            (visible(&mut participant, 5), visible(&mut participant, 7)),
            ("counter=1 ".into(), "counter=2 ".into())
        );
    }
}
