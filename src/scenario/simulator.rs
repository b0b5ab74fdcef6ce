//! The parameters of the simulator, and the conversations that it is made with.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;

use crate::quota::FixedWindow;
use crate::units::Share;

/// The only client that the simulator's login knows.
pub const CLIENT_ID: &str = "simulator";

/// The secret of [`CLIENT_ID`]. It protects nothing: the simulator holds no data of anyone.
pub const CLIENT_SECRET: &str = "simulator";

/// How the simulated API behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulator {
    /// Which description of the API it follows.
    pub dialect: Dialect,
    /// The seed of latencies, faults and ids.
    pub seed: u64,
    /// Conversations that exist, each with one participant in the role `customer` and one in the role `agent`.
    pub conversations: u32,
    /// The quota of each token; `None` for no quota.
    pub quota: Option<FixedWindow>,
    /// How long an answer takes; a median of zero means no time at all.
    pub latency: LogNormal,
    /// The time from the answer to a write until a read shows it.
    pub visible_after: Duration,
    /// The life of a token.
    pub token_life: Duration,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for Simulator {
    /// The documented API with its documented quota of 300 requests per 60 s and token.
    fn default() -> Self {
        Self {
            dialect: Dialect::Documented,
            seed: 1,
            conversations: 1_000,
            quota: Some(FixedWindow {
                limit: 300.try_into().expect("300 is not zero"),
                window: Duration::from_mins(1),
            }),
            latency: LogNormal { median: Duration::from_millis(20), p99: Duration::from_millis(80) },
            visible_after: Duration::from_millis(200),
            token_life: Duration::from_hours(24),
            faults: Faults::default(),
        }
    }
}

/// Which description of the API the simulator follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The documented contract.
    Documented,
}

/// A log-normal distribution, given by two of its quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogNormal {
    /// Half of the values lie below.
    pub median: Duration,
    /// 99 of 100 values lie below; at least the median.
    pub p99: Duration,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// The share of requests whose connection is reset instead of an answer.
    pub reset: Share,
    /// All answers wait at times.
    pub stall: Option<Stall>,
}

/// A stall of everything: in each period of `every`, answers that fall into its first `length` wait for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// The time from the start of one stall to the next.
    pub every: Duration,
    /// How long each takes; shorter than `every`.
    pub length: Duration,
}

/// One participant of one conversation that the simulator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Id of the conversation.
    pub conversation_id: String,
    /// Id of the participant.
    pub participant_id: String,
    /// What the participant is in the conversation: `customer` or `agent`.
    pub role: &'static str,
}

/// The participants that a simulator with this seed is made with, two per conversation.
///
/// A pure function of its arguments: the scenario's data rows and the simulator's state come from the same call.
pub fn population(seed: u64, conversations: u32) -> impl Iterator<Item = Participant> {
    let mut random = SplitMix64::seed_from_u64(seed);
    (0..conversations).flat_map(move |_| {
        let conversation_id = uuid(&mut random);
        ["customer", "agent"].map(|role| Participant {
            conversation_id: conversation_id.clone(),
            participant_id: uuid(&mut random),
            role,
        })
    })
}

/// A random (version 4) UUID.
fn uuid(random: &mut impl Rng) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_population_is_a_function_of_its_seed() {
        let first: Vec<_> = population(7, 100).collect();
        assert_eq!(first, population(7, 100).collect::<Vec<_>>());
        assert_eq!(first.len(), 200);
        assert_ne!(first[0], population(8, 1).next().unwrap());
        assert_eq!(first.iter().map(|p| &p.participant_id).collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(first[0].conversation_id, first[1].conversation_id);
    }
}
