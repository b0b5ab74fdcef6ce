//! The API without its wire: requests and instants in, answers out. It reads no clock and opens no socket.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde::Serialize;

use super::ailment::{Ailment, Ailments};
use super::answer::{Answer, Page};
use super::body::Input;
use super::chance::Chance;
use super::conversations::{Conversations, Freshness};
use super::id::Id;
use super::limits::Limits;
use super::log::{Decision, End, Entry, Log, Method, shortened};
use super::note::Note;
use super::quotas::{Caller, Passage, Quotas};
use super::refusal::{Refusal, to_json};
use super::route::{Call, Route};
use super::signals::{Headers, quota_headers, retry_after, told_seconds};
use super::tokens::Tokens;
use super::truth::Truth;
use super::write::{Fate, Write};
use crate::scenario::Simulator;

/// All state of the simulated API. Instants are times since the server's start.
#[derive(Debug)]
pub(super) struct Api {
    config: Simulator,
    chance: Chance,
    /// The server's start on the wall clock.
    started: SystemTime,
    tokens: Tokens,
    quotas: Quotas,
    conversations: Conversations,
    limits: Limits,
    truth: Truth,
    log: Log,
    /// Requests received, of every kind: the number of the next one.
    requests: u64,
}

/// A request that has arrived as a whole.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// How many requests came before.
    pub(super) number: u64,
    pub(super) call: &'a Call<'a>,
    /// What its body asks for.
    pub(super) input: Result<Input, Refusal>,
    /// The length of its body in bytes.
    pub(super) bytes: usize,
    pub(super) now: Duration,
    /// How long its answer takes but for quotas, stalls and faults.
    pub(super) latency: Duration,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) ending: Ending,
    /// Its answer leaves at this instant.
    pub(super) answer_at: Duration,
    /// The latency alone does not explain the instant.
    pub(super) is_held_back: bool,
    /// The faults that befell it.
    pub(super) faults: Ailments,
    /// Who must be reported to [`Api::done`] when the answer has left; `None` where no quota cares.
    pub(super) in_flight: Option<Caller>,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// With an answer, and what it says about quotas.
    Answer(Answer, Headers),
    /// With a reset of its connection.
    Reset,
}

/// The answer to a login.
#[derive(Serialize)]
struct TokenView {
    access_token: Id,
    token_type: &'static str,
    expires_in: u64,
}

impl Api {
    /// The API of this configuration. Its conversations started at `started`.
    pub(super) fn new(config: &Simulator, started: SystemTime) -> Self {
        Self {
            chance: Chance::new(config),
            started,
            tokens: Tokens::new(config),
            quotas: Quotas::new(&config.quotas, started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            conversations: Conversations::new(config, started),
            limits: Limits::new(config),
            truth: Truth::default(),
            log: Log::new(config.truth),
            requests: 0,
            config: config.clone(),
        }
    }

    /// The account so far.
    pub(super) fn truth(&self) -> Truth {
        self.truth
    }

    /// Counts an accepted connection.
    pub(super) fn connected(&mut self) {
        self.truth.connections += 1;
    }

    /// Counts a request whose head arrived at `now`; its number.
    pub(super) fn receive(&mut self, call: &Call<'_>, now: Duration) -> u64 {
        let number = self.requests;
        self.requests += 1;
        self.truth.of(call.kind).received += 1;
        self.log.push(Entry {
            arrived: now,
            judged: None,
            method: Method::of(call.method),
            operation: call.route.name(),
            conversation: call.route.conversation().and_then(Id::parse),
            participant: call.route.whom().and_then(|whom| Id::parse(whom.participant)),
            address: call.address,
            request_id: call.request_id.map(shortened),
            token: None,
            client: None,
            quota: Decision::NotAsked,
            faults: Ailments::default(),
            end: End::Unread,
            answered: None,
            applied: None,
            reverted: None,
        });
        number
    }

    /// Decides a request, and counts and applies what it asks for.
    pub(super) fn answer(&mut self, asked: Asked<'_>) -> Verdict {
        let Asked { number, call, now, latency, .. } = asked;
        let drawn = if call.kind.is_faulty() { self.chance.ailments(number) } else { Ailments::default() };
        let mut note = Note { judged: now, drawn, ..Note::default() };
        let passed = self.pass(&asked, &mut note);
        note.due = self.after_stall(now.saturating_add(latency).saturating_add(note.delay), &mut note);
        let ending = self.end(asked, passed, &mut note);
        // What is withheld may fall into another stall.
        let answer_at = self.after_stall(note.due.saturating_add(note.withheld), &mut note);
        let verdict = Verdict {
            ending,
            answer_at,
            is_held_back: note.faults.has(Ailment::Stall) || !note.delay.is_zero() || !note.withheld.is_zero(),
            faults: note.faults,
            in_flight: match note.quota {
                Decision::Admitted { .. } if self.quotas.await_the_end() => note.caller,
                _ => None,
            },
        };
        self.count(call, &verdict);
        self.keep(number, &verdict, &note);
        verdict
    }

    /// Takes note that an admitted request has been answered, or that nobody waits for its answer any more.
    pub(super) fn done(&mut self, caller: &Caller, now: Duration) {
        self.quotas.done(caller, now);
    }

    /// What the server did with the requests from number `from` on, a line each, at most `most` of them; with the number of
    /// the next request.
    pub(super) fn copy_log(&self, from: u64, most: usize) -> (u64, Vec<Entry>) {
        self.log.copy(from, most)
    }

    /// The number of the next request.
    pub(super) fn next_number(&self) -> u64 {
        self.requests
    }

    /// The end of the stall into which an instant falls, or else the instant.
    fn after_stall(&self, at: Duration, note: &mut Note) -> Duration {
        let Some(end) = self.chance.stall_end(at) else { return at };
        note.faults.add(Ailment::Stall);
        end
    }

    /// Judges token and quotas.
    fn pass(&mut self, asked: &Asked<'_>, note: &mut Note) -> Result<(), Refusal> {
        let Asked { call, now, .. } = *asked;
        if !call.route.needs_token() || front_page(note.drawn).is_some() {
            return Ok(());
        }
        let (id, token) = self.tokens.find(call.authorization, now)?;
        let caller = Caller {
            token: id,
            client: token.client,
            address: call.address,
            resource: self.conversations.named(call.route),
            attributes: asked.input.as_ref().map_or(0, Input::attributes),
            bytes: asked.bytes,
        };
        (note.token, note.caller) = (Some(token), Some(caller));
        match self.quotas.pass(&caller, now) {
            Passage::Admitted { delay } => {
                note.delay = delay;
                note.quota = Decision::Admitted { delay };
            }
            Passage::Refused { by, until } => {
                note.quota = Decision::Refused { by };
                note.rest = until.saturating_sub(now);
                return Err(Refusal::Throttled { retry_after_s: told_seconds(&self.config.signals, note.rest) });
            }
        }
        if call.route.writes() && !token.may_write { Err(Refusal::Forbidden) } else { Ok(()) }
    }

    /// Ends a request whose answer is due, after token and quotas have said what they say.
    fn end(&mut self, asked: Asked<'_>, passed: Result<(), Refusal>, note: &mut Note) -> Ending {
        let (now, drawn) = (asked.now, note.drawn);
        if let Some((fault, page)) = front_page(drawn) {
            note.faults.add(fault);
            return Ending::Answer(Answer::Unavailable(page), Headers::new());
        }
        if drawn.has(Ailment::Reset) {
            note.faults.add(Ailment::Reset);
            return Ending::Reset;
        }
        let answer = passed.and_then(|()| self.apply(asked, note)).unwrap_or_else(Answer::Refused);
        // One of them is all that an answer can show.
        let wire = [Ailment::Cut, Ailment::WrongLength, Ailment::SlowBody];
        if let Some(wire) = wire.into_iter().find(|wire| drawn.has(*wire) && answer.shows(*wire)) {
            note.faults.add(wire);
        }
        let mut headers = match &note.caller {
            Some(caller) => quota_headers(self.config.signals.headers, self.quotas.usages(caller, now)),
            None => Headers::new(),
        };
        if let Answer::Refused(Refusal::Throttled { .. }) = answer {
            headers.extend(retry_after(&self.config.signals, note.rest, self.started + now));
        }
        Ending::Answer(answer, headers)
    }

    fn apply(&mut self, asked: Asked<'_>, note: &mut Note) -> Result<Answer, Refusal> {
        let Asked { number, call, now, .. } = asked;
        if note.drawn.has(Ailment::Json503) {
            note.faults.add(Ailment::Json503);
            return Err(Refusal::Unavailable);
        }
        if note.drawn.has(Ailment::Conflict409) && call.route.writes() {
            note.faults.add(Ailment::Conflict409);
            return Err(Refusal::Conflict { reason: "the request conflicts with another one".to_owned() });
        }
        let found = |body| Ok(Answer::Success { status: StatusCode::OK, body });
        match (call.route, asked.input?) {
            (Route::Attributes { whom, .. } | Route::Forum { whom, .. }, Input::Change(change)) => {
                self.conversations.check(whom, &change.claims, now)?;
                let visible_at = note.due.saturating_add(self.chance.visible_after(number));
                let fate = Fate::of(&change, note.drawn, &self.config.faults, self.chance.coin(number));
                let write =
                    Write { change, fate, visible_at, remembers: self.chance.odds().include(Ailment::Duplicate) };
                write.carry_out(&mut self.conversations, whom, now, note)
            }
            (Route::Participant { whom }, Input::Participant { hangs_up }) => {
                if hangs_up {
                    self.conversations.hang_up(whom, now)?;
                    note.applied = Some(now);
                } else {
                    self.conversations.know(whom)?;
                }
                Ok(Answer::Success { status: StatusCode::ACCEPTED, body: Vec::new() })
            }
            (Route::Conversation { conversation }, Input::Nothing) => {
                let is_stale = note.drawn.has(Ailment::StaleRead);
                let freshness = if is_stale { Freshness::Stale } else { Freshness::Current };
                let body = self.conversations.read(conversation, freshness, now)?;
                if is_stale {
                    note.faults.add(Ailment::StaleRead);
                }
                found(body)
            }
            (Route::Limits { namespace }, Input::Nothing) => {
                found(self.limits.of(namespace).ok_or(Refusal::UnknownPath)?.to_owned())
            }
            (Route::Login, Input::Login { client }) => {
                let issued = self.tokens.issue(client, now).map_err(Refusal::Login)?;
                note.issued = Some(issued);
                if issued.expires_early {
                    note.faults.add(Ailment::EarlyExpiry);
                }
                let expires_in = self.tokens.life().as_secs();
                found(to_json(&TokenView { access_token: issued.id, token_type: "bearer", expires_in }))
            }
            (route, input) => unreachable!("{input:?} is never read for {route:?}"),
        }
    }

    fn count(&mut self, call: &Call<'_>, verdict: &Verdict) {
        let counts = self.truth.of(call.kind);
        counts.stalled += u64::from(verdict.faults.has(Ailment::Stall));
        let count = match &verdict.ending {
            Ending::Reset => &mut counts.reset,
            Ending::Answer(answer, _) => match answer.status().as_u16() {
                429 => &mut counts.throttled,
                500.. => &mut counts.failed,
                400.. => &mut counts.rejected,
                _ => &mut counts.accepted,
            },
        };
        *count += 1;
    }

    fn keep(&mut self, number: u64, verdict: &Verdict, note: &Note) {
        let Some(entry) = self.log.get_mut(number) else { return };
        entry.judged = Some(note.judged);
        entry.token = note.token.map(|token| token.name).or(note.issued.map(|issued| issued.name));
        entry.client = note.token.map(|token| token.client).or(note.issued.map(|issued| issued.client));
        entry.quota = note.quota;
        entry.faults = verdict.faults;
        entry.end = match &verdict.ending {
            Ending::Reset => End::Reset,
            Ending::Answer(answer, _) => End::Answered { status: answer.status().as_u16(), code: answer.code() },
        };
        entry.answered = Some(verdict.answer_at);
        (entry.applied, entry.reverted) = (note.applied, note.reverted);
    }
}

/// The answer from in front of the API, which has nothing to do with the request.
fn front_page(drawn: Ailments) -> Option<(Ailment, Page)> {
    let pages = [(Ailment::Html503, Page::Html), (Ailment::Empty503, Page::Empty)];
    pages.into_iter().find(|(fault, _)| drawn.has(*fault))
}

#[cfg(test)]
mod tests;
