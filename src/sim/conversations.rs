//! Conversations with their participants, and when a write becomes visible.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::body::Attributes;
use super::fault::{Fault, to_json};
use super::id::Id;
use crate::scenario::population;

/// All conversations.
#[derive(Debug)]
pub(super) struct Conversations {
    /// When all of them started.
    started: String,
    participants: HashMap<Id, Vec<Participant>>,
}

#[derive(Debug)]
struct Participant {
    id: Id,
    role: &'static str,
    visible: Attributes,
    /// Writes that are accepted and not yet visible, by the instant at which each will be.
    pending: VecDeque<(Duration, Attributes)>,
}

/// The answer to a read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: Id,
    start_time: &'a str,
    participants: Vec<ParticipantView<'a>>,
}

#[derive(Serialize)]
struct ParticipantView<'a> {
    id: Id,
    purpose: &'static str,
    attributes: &'a Attributes,
}

impl Conversations {
    /// The population of this seed, without attributes. All conversations start at `started` and never end.
    pub(super) fn new(seed: u64, count: u32, started: SystemTime) -> Self {
        let own = |id: &str| Id::parse(id).expect("the population has UUIDs for ids");
        let mut participants: HashMap<Id, Vec<Participant>> =
            HashMap::with_capacity(usize::try_from(count).unwrap_or(usize::MAX));
        for participant in population(seed, count) {
            participants.entry(own(&participant.conversation_id)).or_insert_with(|| Vec::with_capacity(2)).push(
                Participant {
                    id: own(&participant.participant_id),
                    role: participant.role,
                    visible: Attributes::new(),
                    pending: VecDeque::new(),
                },
            );
        }
        Self { started: humantime::format_rfc3339_millis(started).to_string(), participants }
    }

    /// Accepts a write that becomes visible at `visible_at`.
    pub(super) fn write(
        &mut self,
        (conversation, participant): (&str, &str),
        attributes: Attributes,
        now: Duration,
        visible_at: Duration,
    ) -> Result<(), Fault> {
        let (_, participants) = self.find(conversation)?;
        let participant = Id::parse(participant)
            .and_then(|id| participants.iter_mut().find(|known| known.id == id))
            .ok_or_else(|| Fault::UnknownParticipant { id: participant.to_owned() })?;
        participant.write(attributes, visible_at);
        // Here too, so that what waits to become visible stays bounded when nobody reads.
        participant.settle(now);
        Ok(())
    }

    /// The JSON of a conversation as it is visible at `now`.
    pub(super) fn read(&mut self, conversation: &str, now: Duration) -> Result<Vec<u8>, Fault> {
        // A field of its own is borrowed beside the participants.
        let started = std::mem::take(&mut self.started);
        let json = self.find(conversation).map(|(id, participants)| {
            for participant in participants.iter_mut() {
                participant.settle(now);
            }
            let participants = participants
                .iter()
                .map(|known| ParticipantView { id: known.id, purpose: known.role, attributes: &known.visible })
                .collect();
            to_json(&View { id, start_time: &started, participants })
        });
        self.started = started;
        json
    }

    fn find(&mut self, conversation: &str) -> Result<(Id, &mut Vec<Participant>), Fault> {
        Id::parse(conversation)
            .and_then(|id| Some((id, self.participants.get_mut(&id)?)))
            .ok_or_else(|| Fault::UnknownConversation { id: conversation.to_owned() })
    }
}

impl Participant {
    /// Latencies differ, so an earlier request may be answered later: writes are kept in the order of their answers.
    fn write(&mut self, attributes: Attributes, visible_at: Duration) {
        let place = self.pending.partition_point(|(at, _)| *at <= visible_at);
        self.pending.insert(place, (visible_at, attributes));
    }

    /// Merges all writes that are visible by now, key by key.
    fn settle(&mut self, now: Duration) {
        while self.pending.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, attributes)) = self.pending.pop_front()
        {
            self.visible.extend(attributes);
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
        Participant {
            id: Id::parse("00000000-0000-4000-8000-000000000000").unwrap(),
            role: "agent",
            visible: Attributes::new(),
            pending: VecDeque::new(),
        }
    }

    fn write(participant: &mut Participant, entries: &[(&str, &str)], at: u64) {
        participant.write(entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(), ms(at));
    }

    fn visible(participant: &mut Participant, at: u64) -> String {
        participant.settle(ms(at));
        participant.visible.iter().fold(String::new(), |text, (key, value)| text + key + "=" + value + " ")
    }

    #[test]
    fn a_write_is_visible_from_its_instant_and_not_before() {
        let mut participant = participant();
        write(&mut participant, &[("a", "1")], 100);
        assert_eq!(visible(&mut participant, 99), "");
        assert_eq!(visible(&mut participant, 100), "a=1 ");
    }

    #[test]
    fn writes_merge_per_key_in_the_order_of_their_answers() {
        let mut participant = participant();
        write(&mut participant, &[("a", "late"), ("b", "1")], 300);
        write(&mut participant, &[("a", "early"), ("c", "1")], 200);
        write(&mut participant, &[("c", "2")], 200);
        assert_eq!(visible(&mut participant, 200), "a=early c=2 ");
        assert_eq!(visible(&mut participant, 300), "a=late b=1 c=2 ");
        assert!(participant.pending.is_empty());
    }
}
