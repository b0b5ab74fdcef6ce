//! One participant: its attributes, and the writes that are not visible yet.

use std::collections::VecDeque;
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
    /// What was visible before the last change; kept only where reads may be stale.
    previous: Option<Attributes>,
    /// Changes that are decided and not yet visible, by the instant at which each will be.
    pending: VecDeque<(Duration, Step)>,
    /// Fingerprints of its latest writes, the newest last; empty where repetitions have no effect.
    recent: VecDeque<u64>,
}

/// A change that becomes visible at an instant.
#[derive(Debug)]
enum Step {
    /// A write, and how long after it is undone.
    Write { attributes: Attributes, extent: Extent, undone_after: Option<Duration> },
    /// The values of keys before and after a write: only those that nobody changed since go back.
    Undo { values: Vec<(Box<str>, Undone)> },
    /// The counter grows by 1.
    Count,
}

/// The value of a key after a write, and the one before it; `None` where the key was not there.
#[derive(Debug)]
struct Undone {
    after: Option<Box<str>>,
    before: Option<Box<str>>,
}

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
            previous: keeps_previous.then(Attributes::new),
            pending: VecDeque::new(),
            recent: VecDeque::new(),
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
            self.apply(at, step);
        }
    }

    /// The keys that a write would change now.
    fn changed_by(&self, attributes: &Attributes, extent: Extent) -> Vec<(Box<str>, Undone)> {
        let set = attributes.iter().map(|(key, value)| {
            (key.clone(), Undone { after: Some(value.clone()), before: self.visible.get(key).cloned() })
        });
        let gone = self.visible.iter().filter(|(key, _)| extent == Extent::Replace && !attributes.contains_key(*key));
        let gone = gone.map(|(key, value)| (key.clone(), Undone { after: None, before: Some(value.clone()) }));
        set.chain(gone).collect()
    }

    fn push(&mut self, at: Duration, step: Step) {
        let place = self.pending.partition_point(|(other, _)| *other <= at);
        self.pending.insert(place, (at, step));
    }

    fn apply(&mut self, at: Duration, step: Step) {
        if let Some(previous) = &mut self.previous {
            previous.clone_from(&self.visible);
        }
        match step {
            Step::Write { attributes, extent, undone_after } => {
                if let Some(after) = undone_after {
                    let values = self.changed_by(&attributes, extent);
                    self.push(at.saturating_add(after), Step::Undo { values });
                }
                match extent {
                    Extent::Merge => self.visible.extend(attributes),
                    Extent::Replace => self.visible = attributes,
                }
            }
            Step::Undo { values } => {
                for (key, Undone { after, before }) in values {
                    if self.visible.get(&key) == after.as_ref() {
                        match before {
                            Some(before) => drop(self.visible.insert(key, before)),
                            None => drop(self.visible.remove(&key)),
                        }
                    }
                }
            }
            Step::Count => {
                let count = self.visible.get(COUNTER).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
                self.visible.insert(COUNTER.into(), (count + 1).to_string().into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
