//! The conversations that a simulator is made with, and how they change over time.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

use super::uuid::uuid;
use super::{Simulator, Span};
use crate::units::Share;

/// How conversations change over time, from the server's start on: draft, alerting, connected, terminated. Each stage's
/// length is drawn for each conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// The share of conversations that live so; the others are connected from start to end.
    pub share: Share,
    /// How long a conversation is a draft.
    pub draft: Span,
    /// How long it is alerting then.
    pub alerting: Span,
    /// How long it is connected then, before it is terminated; `None` for ever.
    pub connected: Option<Span>,
    /// For so long after it was connected its participants are not yet known to every part of the API.
    pub known_after: Duration,
}

/// The lengths of the stages of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// When it begins to alert.
    pub alerting: Duration,
    /// When it is connected.
    pub connected: Duration,
    /// When it is terminated; `None` for never.
    pub terminated: Option<Duration>,
}

/// One participant of one conversation that the simulator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Id of the conversation.
    pub conversation_id: String,
    /// Id of the participant.
    pub participant_id: String,
    /// What the data rows say that the participant is.
    pub role: Role,
    /// What it is.
    pub actual: Role,
    /// Which conversation it belongs to, counted from 0.
    pub conversation: u32,
}

/// What a participant is in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Who called.
    Customer,
    /// Who answers.
    Agent,
}

impl Participant {
    /// The columns of the data rows.
    pub const COLUMNS: [&str; 4] = ["conversation_id", "participant_id", "role", "type"];

    /// Its data row.
    #[must_use]
    pub fn cells(&self) -> [&str; 4] {
        [&self.conversation_id, &self.participant_id, self.role.name(), self.role.type_name()]
    }
}

impl Role {
    /// `customer` or `agent`: the purpose of a participant, and the column `role` of the data rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
        }
    }

    /// `contact` or `agent`: the type of a participant in the forum's payloads, and the column `type` of the data rows.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Customer => "contact",
            Self::Agent => "agent",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Customer => Self::Agent,
            Self::Agent => Self::Customer,
        }
    }
}

/// The participants that a simulator is made with, two per conversation.
///
/// A pure function of the configuration's seed, its number of conversations and its share of mismatched roles: the
/// scenario's data rows and the simulator's state come from the same call. The mismatched participants are a random choice of
/// exactly the share asked for, rounded to a whole participant (selection sampling: Knuth, The Art of Computer
/// Programming 2, 3.4.2, algorithm S).
pub fn population(config: &Simulator) -> impl Iterator<Item = Participant> + use<> {
    let mut ids = SplitMix64::seed_from_u64(config.seed);
    let mut choice = SplitMix64::seed_from_u64(config.seed ^ 0x6d69_736d_6174_6368);
    let mut left = u64::from(config.conversations) * 2;
    let mut wanted = config.mismatched_roles.of(left);
    (0..config.conversations).flat_map(move |conversation| {
        let conversation_id = uuid(&mut ids);
        [Role::Customer, Role::Agent].map(|role| {
            let is_mismatched = wanted > 0 && choice.random_range(0..left) < wanted;
            wanted -= u64::from(is_mismatched);
            left -= 1;
            Participant {
                conversation_id: conversation_id.clone(),
                participant_id: uuid(&mut ids),
                role,
                actual: if is_mismatched { role.other() } else { role },
                conversation,
            }
        })
    })
}

impl Life {
    /// The stages of the conversation with this index, from the server's start; `None` when it is connected from start to
    /// end. A pure function of seed and index.
    #[must_use]
    pub fn course(&self, seed: u64, conversation: u32) -> Option<Course> {
        let mut random = SplitMix64::seed_from_u64(seed ^ 0x6c69_6665 ^ u64::from(conversation) << 32);
        if random.random::<f64>() >= self.share.get() {
            return None;
        }
        let mut draw = |span: Span| random.random_range(span.min..=span.max);
        let alerting = draw(self.draft);
        let connected = alerting.saturating_add(draw(self.alerting));
        let terminated = self.connected.map(|span| connected.saturating_add(draw(span)));
        Some(Course { alerting, connected, terminated })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn config(seed: u64, conversations: u32) -> Simulator {
        Simulator { seed, conversations, ..Simulator::default() }
    }

    #[test]
    fn the_population_is_a_function_of_its_seed() {
        let first: Vec<_> = population(&config(7, 100)).collect();
        assert_eq!(first, population(&config(7, 100)).collect::<Vec<_>>());
        assert_eq!(first.len(), 200);
        assert_ne!(first[0], population(&config(8, 1)).next().unwrap());
        assert_eq!(first.iter().map(|p| &p.participant_id).collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(first[0].conversation_id, first[1].conversation_id);
    }

    #[test]
    fn exactly_the_share_asked_for_has_another_role() {
        for (share, expected) in [(0.0, 0), (0.12, 240), (0.0003, 1), (1.0, 2_000)] {
            let config = Simulator { mismatched_roles: Share::new(share).unwrap(), ..config(3, 1_000) };
            let mismatched: Vec<_> = population(&config).map(|p| p.role != p.actual).collect();
            assert_eq!(mismatched.iter().filter(|mismatched| **mismatched).count(), expected, "{share}");
            if expected == 240 {
                let early = mismatched[..1_000].iter().filter(|mismatched| **mismatched).count();
                assert!((80..160).contains(&early), "{early} of 240 in the first half");
            }
        }
    }

    #[test]
    fn the_mismatch_leaves_the_ids_alone() {
        let mixed = Simulator { mismatched_roles: Share::new(0.5).unwrap(), ..config(3, 50) };
        let ids = |config: &Simulator| population(config).map(|p| p.participant_id).collect::<Vec<_>>();
        assert_eq!(ids(&mixed), ids(&config(3, 50)));
    }

    #[test]
    fn stages_follow_each_other_and_the_share_lives() {
        let second = |s| Duration::from_secs(s);
        let life = Life {
            share: Share::new(0.3).unwrap(),
            draft: Span { min: second(1), max: second(5) },
            alerting: Span { min: second(2), max: second(2) },
            connected: Some(Span { min: second(10), max: second(20) }),
            known_after: second(1),
        };
        let courses: Vec<_> = (0..10_000).filter_map(|i| life.course(5, i)).collect();
        assert!((2_770..3_230).contains(&courses.len()), "{} of 10,000", courses.len());
        for Course { alerting, connected, terminated } in courses {
            assert!((second(1)..=second(5)).contains(&alerting));
            assert_eq!(connected, alerting + second(2));
            assert!((second(10)..=second(20)).contains(&terminated.unwrap().saturating_sub(connected)));
        }
    }
}
