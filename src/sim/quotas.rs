//! The quotas that stand over a request, and what has been used up of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::id::Id;
use crate::quota::{Admission, Arrival, Cost, Quota, Scope, State, Usage};

/// So many keys may be known to a quota before the idle ones are looked for and forgotten.
const FIRST_SWEEP: usize = 10_000;

/// What is told to wait for where no time ends a refusal: a request in flight may be answered at any instant.
const UNKNOWN_REST: Duration = Duration::from_secs(1);

/// All quotas with their states.
#[derive(Debug)]
pub(super) struct Quotas {
    quotas: Vec<Kept>,
    /// The server's start, from the Unix epoch: windows on the clock are those of the wall clock, in UTC.
    started: Duration,
}

/// A quota with the state of each key.
#[derive(Debug)]
struct Kept {
    quota: Quota,
    states: HashMap<Key, State>,
    /// At this many keys the idle ones are forgotten; twice what was left the last time, so that looking for them costs a
    /// request little on average.
    sweep_at: usize,
}

/// Who has a state of its own; what is not in the quota's scope is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    token: Option<Id>,
    client: Option<u32>,
    address: Option<IpAddr>,
    resource: Option<Id>,
}

/// A request as quotas see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) token: Id,
    pub(super) client: u32,
    pub(super) address: IpAddr,
    /// The conversation; `None` where the request names none.
    pub(super) resource: Option<Id>,
    /// How many attributes it changes.
    pub(super) attributes: usize,
    /// The bytes of its body.
    pub(super) bytes: usize,
}

/// What all quotas together say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Passage {
    /// Every quota admits it, the slowest after this delay.
    Admitted { delay: Duration },
    /// At least one refuses it.
    Refused {
        /// Index of the first quota that refuses.
        by: usize,
        /// When all would admit it, if nothing arrived meanwhile. Where that does not depend on time alone, the latest
        /// instant that is known, and at least after [`UNKNOWN_REST`].
        until: Duration,
    },
}

impl Quotas {
    /// Nothing is used up at the server's start, which is so long after the Unix epoch.
    pub(super) fn new(quotas: &[Quota], started: Duration) -> Self {
        let kept = |quota: &Quota| Kept { quota: quota.clone(), states: HashMap::new(), sweep_at: FIRST_SWEEP };
        Self { quotas: quotas.iter().map(kept).collect(), started }
    }

    /// Judges a request and counts it. It passes when every quota admits it, and only then do quotas count it as admitted:
    /// what one quota refuses uses up nothing of the others, but of those that count refused requests.
    pub(super) fn pass(&mut self, caller: &Caller, now: Duration) -> Passage {
        match self.pass_at(caller, self.started.saturating_add(now)) {
            Passage::Refused { by, until } => Passage::Refused { by, until: until.saturating_sub(self.started) },
            admitted @ Passage::Admitted { .. } => admitted,
        }
    }

    /// The same at an instant from the Unix epoch.
    fn pass_at(&mut self, caller: &Caller, now: Duration) -> Passage {
        let mut longest = Duration::ZERO;
        for (index, kept) in self.quotas.iter_mut().enumerate() {
            let arrival = kept.arrival(caller, now);
            let (quota, state) = kept.state(caller, now);
            match quota.limiter.judge(state, arrival) {
                Admission::Admitted { delay } => longest = longest.max(delay),
                Admission::Refused { .. } => return self.refuse(index, caller, now),
            }
        }
        for kept in &mut self.quotas {
            let arrival = kept.arrival(caller, now);
            let (quota, state) = kept.state(caller, now);
            quota.limiter.note_admitted(state, arrival);
        }
        Passage::Admitted { delay: longest }
    }

    /// Takes note of a request that the quota with index `by` is the first to refuse.
    fn refuse(&mut self, by: usize, caller: &Caller, now: Duration) -> Passage {
        let mut latest = now;
        for kept in &mut self.quotas {
            let arrival = kept.arrival(caller, now);
            let (quota, state) = kept.state(caller, now);
            let is_own = matches!(quota.limiter.judge(state, arrival), Admission::Refused { .. });
            quota.limiter.note_refused(state, arrival, is_own);
            // Judged once more: the refusal itself may have begun a penalty, or count where refused requests do.
            latest = latest.max(match quota.limiter.judge(state, arrival) {
                Admission::Admitted { .. } => now,
                Admission::Refused { until: Some(until) } => until,
                Admission::Refused { until: None } => {
                    now.saturating_add(quota.limiter.usage(state, now).reset.max(UNKNOWN_REST))
                }
            });
        }
        Passage::Refused { by, until: latest }
    }

    /// Whether any quota cares when an admitted request ends.
    pub(super) fn await_the_end(&self) -> bool {
        self.quotas.iter().any(|kept| kept.quota.limiter.model.awaits_the_end())
    }

    /// Takes note that an admitted request has been answered.
    pub(super) fn done(&mut self, caller: &Caller, now: Duration) {
        let now = self.started.saturating_add(now);
        for kept in self.quotas.iter_mut().filter(|kept| kept.quota.limiter.model.awaits_the_end()) {
            let cost = kept.arrival(caller, now).cost;
            let (quota, state) = kept.state(caller, now);
            quota.limiter.note_done(state, cost);
        }
    }

    /// How much of each quota is in use for a request like this.
    pub(super) fn usages(&mut self, caller: &Caller, now: Duration) -> impl Iterator<Item = (&Quota, Usage)> {
        let now = self.started.saturating_add(now);
        self.quotas.iter_mut().map(move |kept| {
            let (quota, state) = kept.state(caller, now);
            (quota, quota.limiter.usage(state, now))
        })
    }
}

impl Kept {
    fn arrival(&self, caller: &Caller, now: Duration) -> Arrival {
        let cost = match self.quota.cost {
            Cost::Request => 1,
            Cost::Attributes => caller.attributes,
            Cost::Bytes => caller.bytes,
        };
        Arrival { at: now, cost: u32::try_from(cost).unwrap_or(u32::MAX).max(1) }
    }

    fn state(&mut self, caller: &Caller, now: Duration) -> (&Quota, &mut State) {
        if self.states.len() >= self.sweep_at {
            self.states.retain(|_, state| !self.quota.limiter.is_idle(state, now));
            self.sweep_at = (self.states.len() * 2).max(FIRST_SWEEP);
        }
        let key = Key::of(self.quota.scope, caller);
        let state = self.states.entry(key).or_insert_with(|| self.quota.limiter.fresh());
        (&self.quota, state)
    }
}

impl Key {
    fn of(scope: Scope, caller: &Caller) -> Self {
        Self {
            token: scope.token.then_some(caller.token),
            client: scope.client.then_some(caller.client),
            address: scope.address.then_some(caller.address),
            resource: caller.resource.filter(|_| scope.resource),
        }
    }
}

#[cfg(test)]
mod tests;
