//! What the server did with each of the latest requests.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ailment::{Ailment, Ailments};
use super::chance::Chance;
use super::id::Id;
use super::refusal::to_json;
use super::tokens::{ClientName, TokenName};
use crate::quota::Quota;

/// The latest requests, by number.
#[derive(Debug)]
pub(super) struct Log {
    /// So many are kept; 0 for none.
    most: usize,
    /// The number of the first one kept.
    first: u64,
    entries: VecDeque<Entry>,
}

/// What the server did with a request. Instants are times since its start.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// When its head arrived.
    pub(super) arrived: Duration,
    /// When the rest of it had arrived, and its token and the quotas were judged; `None` as long as it has not.
    pub(super) judged: Option<Duration>,
    /// The name of its method.
    pub(super) method: Method,
    /// The name of the operation.
    pub(super) operation: &'static str,
    pub(super) conversation: Option<Id>,
    pub(super) participant: Option<Id>,
    pub(super) address: IpAddr,
    /// What its client calls it: the header `X-Request-Id`, [shortened].
    pub(super) request_id: Option<Box<str>>,
    /// Its token, where it was valid; of a login, the one that it gave out.
    pub(super) token: Option<TokenName>,
    /// The client of its token.
    pub(super) client: Option<u32>,
    pub(super) quota: Decision,
    pub(super) faults: Ailments,
    pub(super) end: End,
    /// When its answer or its reset was due; `None` as long as it is not decided.
    pub(super) answered: Option<Duration>,
    /// A read shows it from this instant on; `None` for never.
    pub(super) applied: Option<Duration>,
    /// It is undone at this instant.
    pub(super) reverted: Option<Duration>,
}

/// The methods that the log tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    Patch,
    Put,
    Get,
    Post,
    Other,
}

/// What the quotas decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Decision {
    /// They were not asked.
    #[default]
    NotAsked,
    /// They admitted it, after a delay.
    Admitted { delay: Duration },
    /// The quota with this index refused it.
    Refused { by: usize },
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its body has not arrived, and may never.
    Unread,
    /// It was answered.
    Answered { status: u16, code: &'static str },
    /// The connection was reset instead.
    Reset,
}

/// A line of the truth.
#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    correlation_id: Id,
    arrived_us: u64,
    judged_us: Option<u64>,
    method: Method,
    operation: &'static str,
    conversation: Option<Id>,
    participant: Option<Id>,
    address: IpAddr,
    request_id: Option<&'a str>,
    token: Option<Text<TokenName>>,
    client: Option<Text<ClientName>>,
    quota: Option<&'static str>,
    refused_by: Option<&'a str>,
    delay_us: u64,
    faults: Vec<&'static str>,
    end: &'static str,
    status: Option<u16>,
    code: &'static str,
    answered_us: Option<u64>,
    applied_us: Option<u64>,
    reverted_us: Option<u64>,
}

/// A value that is written as its text.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// As much of a client's name of a request as is kept: its first 64 characters.
pub(super) fn shortened(request_id: &str) -> Box<str> {
    request_id.chars().take(64).collect()
}

impl Method {
    /// The method of a request.
    pub(super) fn of(method: &hyper::Method) -> Self {
        match *method {
            hyper::Method::PATCH => Self::Patch,
            hyper::Method::PUT => Self::Put,
            hyper::Method::GET => Self::Get,
            hyper::Method::POST => Self::Post,
            _ => Self::Other,
        }
    }
}

impl Log {
    /// Keeps the latest `most` requests.
    pub(super) fn new(most: u32) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), first: 0, entries: VecDeque::new() }
    }

    /// Takes on the next request. Its number is that of all requests before it.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.len() >= self.most {
            self.first += 1;
            if self.entries.pop_front().is_none() {
                return;
            }
        }
        self.entries.push_back(entry);
    }

    /// A request that is still kept.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let index = number.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    /// The requests from number `from` on, at most `most`, with the number of the first; without any, that of the next one.
    pub(super) fn copy(&self, from: u64, most: usize) -> (u64, Vec<Entry>) {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.entries.len());
        (self.first.saturating_add(skip as u64), self.entries.iter().skip(skip).take(most).cloned().collect())
    }
}

impl Entry {
    /// The line of the truth, without its end of line, where these are the simulator's luck and its quotas.
    pub(super) fn line(&self, number: u64, chance: &Chance, quotas: &[Quota]) -> Vec<u8> {
        // Arrivals are whole microseconds. What is due between two of them is first seen at the second.
        let micros = |at: Duration| u64::try_from(at.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let (end, status, code) = match self.end {
            End::Unread => ("unread", None, ""),
            End::Answered { status, code } if self.faults.has(Ailment::Cut) => ("cut", Some(status), code),
            End::Answered { status, code } => ("answered", Some(status), code),
            End::Reset => ("reset", None, ""),
        };
        let (decision, refused_by, delay) = match self.quota {
            Decision::NotAsked => (None, None, Duration::ZERO),
            Decision::Admitted { delay } => (Some("admitted"), None, delay),
            Decision::Refused { by } => (Some("refused"), Some(&*quotas[by].name), Duration::ZERO),
        };
        to_json(&Line {
            number,
            correlation_id: chance.correlation_id(number),
            arrived_us: micros(self.arrived),
            judged_us: self.judged.map(micros),
            method: self.method,
            operation: self.operation,
            conversation: self.conversation,
            participant: self.participant,
            address: self.address,
            request_id: self.request_id.as_deref(),
            token: self.token.map(Text),
            client: self.client.map(ClientName).map(Text),
            quota: decision,
            refused_by,
            delay_us: micros(delay),
            faults: self.faults.iter().map(Ailment::name).collect(),
            end,
            status,
            code,
            answered_us: self.answered.map(micros),
            applied_us: self.applied.map(micros),
            reverted_us: self.reverted.map(micros),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_as_small_as_the_bound_of_memory_says() {
        assert!(size_of::<Entry>() <= 320, "{} bytes", size_of::<Entry>());
    }
}
