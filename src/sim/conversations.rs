//! Conversations with their participants, and how they change over time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::change::{Attributes, Change, Claims, Extent, State};
use super::id::Id;
use super::participant::{Accepted, Participant};
use super::refusal::{Refusal, to_json};
use super::route::{Route, Whom};
use crate::scenario::{Course, Dialect, Life, Simulator, population};

/// All conversations.
#[derive(Debug)]
pub(super) struct Conversations {
    dialect: Dialect,
    /// For so long after a conversation was connected its participants are not known everywhere.
    known_after: Duration,
    /// When the server started, and all conversations with it.
    started: SystemTime,
    start_time: String,
    by_id: HashMap<Id, Conversation>,
    /// The conversation of each participant, for the forum's path without one; empty in other dialects.
    of_participant: HashMap<Id, Id>,
}

#[derive(Debug)]
struct Conversation {
    participants: Vec<Participant>,
    /// `None` when it is connected from start to end.
    course: Option<Course>,
    /// A read has brought it from draft to alerting.
    is_active: bool,
    /// When somebody hung up.
    hung_up: Option<Duration>,
}

/// How a write that was accepted is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Application {
    /// A read shows it from this instant on; `None` for never.
    pub(super) visible_at: Option<Duration>,
    /// It is undone so long after.
    pub(super) undone_after: Option<Duration>,
    /// It replaces the whole map by what its writer could have read, with its own changes.
    pub(super) replaces: bool,
    pub(super) repetition: Repetition,
}

/// What it matters that a write repeats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    /// Nothing, for all writes.
    Ignored,
    /// Nothing for this one, which later ones may repeat.
    Remembered,
    /// It grows a counter.
    Counted,
}

/// What a read shows of the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// What is visible.
    Current,
    /// What was visible before the last change.
    Stale,
}

/// The answer to a read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: Id,
    start_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    participants: Vec<ParticipantView<'a>>,
}

#[derive(Serialize)]
struct ParticipantView<'a> {
    id: Id,
    purpose: &'static str,
    #[serde(flatten)]
    standing: Option<Standing>,
    attributes: &'a Attributes,
}

/// What the forum's payloads speak of beside the attributes.
#[derive(Serialize)]
struct Standing {
    r#type: &'static str,
    state: &'static str,
    version: u64,
}

impl Conversations {
    /// The population of this configuration, without attributes. All conversations start at `started`.
    pub(super) fn new(config: &Simulator, started: SystemTime) -> Self {
        let own = |id: &str| Id::parse(id).expect("the population has UUIDs for ids");
        let keeps_previous = config.faults.stale_read.share.get() > 0.0;
        let mut all = Self {
            dialect: config.dialect,
            known_after: config.life.map_or(Duration::ZERO, |life| life.known_after),
            started,
            start_time: humantime::format_rfc3339_millis(started).to_string(),
            by_id: HashMap::with_capacity(usize::try_from(config.conversations).unwrap_or(usize::MAX)),
            of_participant: HashMap::new(),
        };
        for known in population(config) {
            let (id, conversation) = (own(&known.participant_id), own(&known.conversation_id));
            if config.dialect == Dialect::Forum {
                all.of_participant.insert(id, conversation);
            }
            let course = |life: Life| life.course(config.seed, known.conversation);
            let fresh = || Conversation {
                participants: Vec::with_capacity(2),
                course: config.life.and_then(course),
                is_active: false,
                hung_up: None,
            };
            let conversation = all.by_id.entry(conversation).or_insert_with(fresh);
            conversation.participants.push(Participant::new(id, known.actual, keeps_previous));
        }
        all
    }

    /// Checks a write against the state at `now`.
    pub(super) fn check(&mut self, whom: Whom<'_>, claims: &Claims, now: Duration) -> Result<(), Refusal> {
        let (dialect, known_after) = (self.dialect, self.known_after);
        let (_, conversation) = self.find(whom)?;
        let state = conversation.state(now);
        // A conversation that was connected from the start has long been known.
        let known_from = conversation.course.map(|course| course.connected.saturating_add(known_after));
        let participant = conversation.participant(whom)?;
        if dialect == Dialect::Documented {
            // What becomes of a write before or after the call is not documented: it is taken like any other.
            return Ok(());
        }
        let is_unknown = claims.known && known_from.is_some_and(|known_from| now < known_from);
        if state == State::Draft || is_unknown {
            return Err(Refusal::unknown_participant(whom.participant));
        }
        if state == State::Terminated {
            return Err(Refusal::Conflict { reason: "the participant has left the conversation".to_owned() });
        }
        if claims.role.is_some_and(|role| role != participant.role) {
            return Err(Refusal::field("type", "does not match the participant's role"));
        }
        if let Some(claimed) = claims.state.filter(|claimed| *claimed != state) {
            let reason = format!("the state is {}, not {}", state.name(), claimed.name());
            return Err(Refusal::Conflict { reason });
        }
        let version = participant.version;
        if let Some(claimed) = claims.version.filter(|claimed| *claimed != version) {
            return Err(Refusal::Conflict { reason: format!("the version is {version}, not {claimed}") });
        }
        Ok(())
    }

    /// Applies a write that [`check`](Self::check) let pass; whether it was counted as a repetition.
    pub(super) fn apply(
        &mut self,
        whom: Whom<'_>,
        change: Change,
        how: &Application,
        now: Duration,
    ) -> Result<bool, Refusal> {
        let (_, conversation) = self.find(whom)?;
        let participant = conversation.participant(whom)?;
        // Here too, so that what waits to become visible stays bounded when nobody reads.
        participant.settle(now);
        let Application { visible_at, undone_after, replaces, repetition } = *how;
        let repeats = repetition != Repetition::Ignored && participant.repeats(change.fingerprint);
        let is_counted = repeats && repetition == Repetition::Counted;
        // What is never applied changes nothing, not even the version.
        let Some(visible_at) = visible_at else { return Ok(false) };
        let Change { mut attributes, mut extent, .. } = change;
        if replaces {
            let mut whole = participant.visible().clone();
            whole.append(&mut attributes);
            (attributes, extent) = (whole, Extent::Replace);
        }
        participant.write(Accepted { attributes, extent, visible_at, undone_after });
        if is_counted {
            participant.count(visible_at);
        }
        Ok(is_counted)
    }

    /// Ends the call of a participant.
    pub(super) fn hang_up(&mut self, whom: Whom<'_>, now: Duration) -> Result<(), Refusal> {
        let (_, conversation) = self.find(whom)?;
        conversation.participant(whom)?;
        conversation.hung_up.get_or_insert(now);
        Ok(())
    }

    /// Whether the participant is there.
    pub(super) fn know(&mut self, whom: Whom<'_>) -> Result<(), Refusal> {
        self.find(whom)?.1.participant(whom).map(|_| ())
    }

    /// The JSON of a conversation as it is visible at `now`.
    pub(super) fn read(&mut self, id: &str, freshness: Freshness, now: Duration) -> Result<Vec<u8>, Refusal> {
        let is_forum = self.dialect == Dialect::Forum;
        let known = Id::parse(id).and_then(|id| Some((id, self.by_id.get_mut(&id)?)));
        let Some((id, conversation)) = known else {
            return Err(Refusal::UnknownConversation { id: id.to_owned() });
        };
        let state = conversation.state(now);
        conversation.is_active |= is_forum;
        let ended = conversation.ended().filter(|ended| *ended <= now);
        for participant in &mut conversation.participants {
            participant.settle(now);
        }
        let view = |known: &'_ Participant| -> Option<Standing> {
            let (r#type, state, version) = (known.role.type_name(), state.name(), known.version);
            is_forum.then_some(Standing { r#type, state, version })
        };
        let participants = conversation.participants.iter().map(|known| ParticipantView {
            id: known.id,
            purpose: known.role.name(),
            standing: view(known),
            attributes: if freshness == Freshness::Stale { known.previous() } else { known.visible() },
        });
        let end_time = ended.and_then(|ended| self.started.checked_add(ended));
        let end_time = end_time.map(|at| humantime::format_rfc3339_millis(at).to_string());
        Ok(to_json(&View { id, start_time: &self.start_time, end_time, participants: participants.collect() }))
    }

    /// The conversation that a path names, or that has the participant which it names.
    pub(super) fn named(&self, route: Route<'_>) -> Option<Id> {
        let of_participant = || self.of_participant.get(&Id::parse(route.whom()?.participant)?).copied();
        route.conversation().and_then(Id::parse).or_else(of_participant)
    }

    fn find(&mut self, whom: Whom<'_>) -> Result<(Id, &mut Conversation), Refusal> {
        let id = match whom.conversation {
            Some(text) => Id::parse(text),
            None => Id::parse(whom.participant).and_then(|id| self.of_participant.get(&id).copied()),
        };
        id.and_then(|id| Some((id, self.by_id.get_mut(&id)?))).ok_or_else(|| match whom.conversation {
            Some(text) => Refusal::UnknownConversation { id: text.to_owned() },
            None => Refusal::unknown_participant(whom.participant),
        })
    }
}

impl Conversation {
    fn participant(&mut self, whom: Whom<'_>) -> Result<&mut Participant, Refusal> {
        Id::parse(whom.participant)
            .and_then(|id| self.participants.iter_mut().find(|known| known.id == id))
            .ok_or_else(|| Refusal::unknown_participant(whom.participant))
    }

    /// When it is over, or will be; `None` for never.
    fn ended(&self) -> Option<Duration> {
        let terminated = self.course.and_then(|course| course.terminated);
        self.hung_up.into_iter().chain(terminated).min()
    }

    fn state(&self, now: Duration) -> State {
        if self.ended().is_some_and(|ended| ended <= now) {
            return State::Terminated;
        }
        match self.course {
            Some(course) if now < course.alerting && !self.is_active => State::Draft,
            Some(course) if now < course.connected => State::Alerting,
            _ => State::Connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Participant as Known, Span};
    use crate::units::Share;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// A draft for 2 s, alerting for 3 s, connected for 10 s.
    fn living(dialect: Dialect) -> (Conversations, Known) {
        let always = |time| Span { min: time, max: time };
        let life = Life {
            share: Share::new(1.0).unwrap(),
            draft: always(s(2)),
            alerting: always(s(3)),
            connected: Some(always(s(10))),
            known_after: s(1),
        };
        let config = Simulator { dialect, life: Some(life), conversations: 1, ..Simulator::default() };
        let known = population(&config).next().unwrap();
        (Conversations::new(&config, SystemTime::UNIX_EPOCH), known)
    }

    fn whom(known: &Known) -> Whom<'_> {
        Whom { conversation: Some(&known.conversation_id), participant: &known.participant_id }
    }

    fn status(result: Result<(), Refusal>) -> u16 {
        result.map_or_else(|refusal| refusal.kind().0.as_u16(), |()| 200)
    }

    #[test]
    fn a_forum_write_meets_the_state_of_its_instant() {
        let (mut all, known) = living(Dialect::Forum);
        let mut write = |claims: Claims, at| status(all.check(whom(&known), &claims, s(at)));
        let plain = Claims::default();
        assert_eq!([0, 1, 2, 5, 14, 15].map(|at| write(plain, at)), [404, 404, 200, 200, 200, 409]);
        let known_only = Claims { known: true, ..plain };
        assert_eq!([2, 5, 6, 15].map(|at| write(known_only, at)), [404, 404, 200, 409]);
        let connected = Claims { state: Some(State::Connected), ..plain };
        assert_eq!([2, 5].map(|at| write(connected, at)), [409, 200]);
        let versions = [1, 2].map(|version| write(Claims { version: Some(version), ..plain }, 6));
        assert_eq!(versions, [200, 409]);
    }

    #[test]
    fn a_read_makes_a_draft_active() {
        let (mut all, known) = living(Dialect::Forum);
        let before = String::from_utf8(all.read(&known.conversation_id, Freshness::Current, s(1)).unwrap()).unwrap();
        assert!(before.contains(r#""state":"draft","version":1"#), "{before}");
        assert_eq!(status(all.check(whom(&known), &Claims::default(), s(1))), 200);
    }

    #[test]
    fn a_documented_write_is_taken_in_every_state_and_the_end_is_shown() {
        let (mut all, known) = living(Dialect::Documented);
        let write = |all: &mut Conversations, at| status(all.check(whom(&known), &Claims::default(), s(at)));
        assert_eq!([0, 3, 6, 20].map(|at| write(&mut all, at)), [200; 4]);
        let view = |all: &mut Conversations, at| {
            String::from_utf8(all.read(&known.conversation_id, Freshness::Current, s(at)).unwrap()).unwrap()
        };
        assert!(!view(&mut all, 14).contains("endTime"));
        assert!(view(&mut all, 15).contains(r#""endTime":"1970-01-01T00:00:15.000Z""#), "{}", view(&mut all, 15));
        all.hang_up(whom(&known), s(7)).unwrap();
        assert!(view(&mut all, 8).contains("00:00:07.000Z"));
    }
}
