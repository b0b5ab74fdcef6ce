//! Tokens: which are valid, whose they are, and how many logins a client may have.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::body::scheme;
use super::chance::Chance;
use super::id::Id;
use super::refusal::{LoginRefusal, Refusal};
use crate::quota::{Admission, Arrival, Limiter, Model, State};
use crate::scenario::{CLIENT_ID, READ_ONLY_TOKEN, STATIC_TOKEN, Simulator};

/// How many tokens may be live at once: more logins are too many. It bounds the memory, and no run needs as many.
const MAX_TOKENS: usize = 10_000;

/// All live tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    chance: Chance,
    life: Duration,
    live: HashMap<Id, Token>,
    issued: u64,
    /// No token expires before, as far as it was looked for: full of live tokens, each login would look at all of them.
    first_expiry: Duration,
    logins: Option<Limiter>,
    /// The logins of each client so far, as the limit on logins sees them.
    clients: Vec<State>,
}

/// What is known of a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) name: TokenName,
    /// Whose it is, counted from 0.
    pub(super) client: u32,
    /// Whether it may write.
    pub(super) may_write: bool,
    /// `None` for never.
    expires: Option<Duration>,
}

/// Which token it is. The token itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TokenName {
    /// The one that needs no login.
    Static,
    /// The one that needs no login and may not write.
    ReadOnly,
    /// That of a login, counted from 1.
    Login(u64),
}

/// A token that a login has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) id: Id,
    pub(super) name: TokenName,
    /// Whose it is.
    pub(super) client: u32,
    /// Whether it expires before its life is over.
    pub(super) expires_early: bool,
}

/// The name of a client by its number, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientName(pub(super) u32);

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str(CLIENT_ID),
            number => write!(f, "{CLIENT_ID}-{}", u64::from(number) + 1),
        }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("static"),
            Self::ReadOnly => f.write_str("read-only"),
            Self::Login(number) => write!(f, "login-{number}"),
        }
    }
}

impl Tokens {
    /// The tokens that need no login.
    pub(super) fn new(config: &Simulator) -> Self {
        let own = |text| Id::parse(text).expect("the constant is a UUID");
        let token = |name, may_write, expires| Token { name, client: 0, may_write, expires };
        let logins = config.logins.map(|rate| Limiter::new(Model::FirstRequestWindow { rate }));
        Self {
            chance: Chance::new(config),
            life: config.token_life,
            live: HashMap::from([
                (own(STATIC_TOKEN), token(TokenName::Static, true, config.static_token_life)),
                (own(READ_ONLY_TOKEN), token(TokenName::ReadOnly, false, None)),
            ]),
            issued: 0,
            first_expiry: Duration::ZERO,
            clients: logins.iter().flat_map(|logins| (0..config.clients).map(|_| logins.fresh())).collect(),
            logins,
        }
    }

    /// The life of a token that a login gives out, as the login says.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Gives out a new token to a client.
    pub(super) fn issue(&mut self, client: u32, now: Duration) -> Result<Issued, LoginRefusal> {
        self.admit_login(client, now)?;
        if self.live.len() >= MAX_TOKENS && self.first_expiry <= now {
            self.live.retain(|_, token| token.is_live(now));
            self.first_expiry = self.live.values().filter_map(|token| token.expires).min().unwrap_or(Duration::MAX);
        }
        if self.live.len() >= MAX_TOKENS {
            return Err(LoginRefusal::TooMany);
        }
        self.issued += 1;
        let (id, name) = (self.chance.token(self.issued), TokenName::Login(self.issued));
        let early = self.chance.early_expiry(self.issued).filter(|early| *early < self.life);
        let life = early.unwrap_or(self.life);
        let token = Token { name, client, may_write: true, expires: Some(now.saturating_add(life)) };
        self.live.insert(id, token);
        Ok(Issued { id, name, client, expires_early: early.is_some() })
    }

    fn admit_login(&mut self, client: u32, now: Duration) -> Result<(), LoginRefusal> {
        let index = usize::try_from(client).unwrap_or(usize::MAX);
        let (Some(logins), Some(state)) = (&self.logins, self.clients.get_mut(index)) else { return Ok(()) };
        let arrival = Arrival { at: now, cost: 1 };
        match logins.judge(state, arrival) {
            Admission::Admitted { .. } => logins.note_admitted(state, arrival),
            Admission::Refused { .. } => return Err(LoginRefusal::TooMany),
        }
        Ok(())
    }

    /// The token of a request with this `Authorization` header.
    pub(super) fn find(&self, authorization: Option<&[u8]>, now: Duration) -> Result<(Id, Token), Refusal> {
        let header = authorization.ok_or(Refusal::NoToken)?;
        scheme(header, "bearer")
            .and_then(|token| str::from_utf8(token).ok())
            .and_then(Id::parse)
            .and_then(|id| Some((id, *self.live.get(&id)?)))
            .filter(|(_, token)| token.is_live(now))
            .ok_or(Refusal::WrongToken)
    }
}

impl Token {
    fn is_live(&self, now: Duration) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Draw, Faults, Timed};
    use crate::units::{Rate, Share};

    fn config() -> Simulator {
        Simulator { token_life: Duration::from_mins(1), logins: None, ..Simulator::default() }
    }

    fn find(tokens: &Tokens, token: impl fmt::Display, at: Duration) -> Result<TokenName, Refusal> {
        tokens.find(Some(format!("bearer {token}").as_bytes()), at).map(|(_, token)| token.name)
    }

    #[test]
    fn live_tokens_are_bounded_and_expired_ones_make_room() {
        let mut tokens = Tokens::new(&config());
        for _ in 2..MAX_TOKENS {
            tokens.issue(0, Duration::ZERO).unwrap();
        }
        assert_eq!(tokens.issue(0, Duration::from_secs(59)), Err(LoginRefusal::TooMany));
        assert!(tokens.issue(0, Duration::from_mins(1)).is_ok());
        assert_eq!(tokens.live.len(), 3, "those without a login, and the new one");
    }

    #[test]
    fn a_token_is_valid_until_its_life_ends() {
        let mut tokens = Tokens::new(&Simulator { static_token_life: Some(Duration::from_secs(5)), ..config() });
        let Issued { id, name, .. } = tokens.issue(0, Duration::from_secs(5)).unwrap();
        assert_eq!(find(&tokens, id, Duration::from_nanos(64_999_999_999)), Ok(name));
        assert_eq!(find(&tokens, id, Duration::from_secs(65)), Err(Refusal::WrongToken));
        assert_eq!(find(&tokens, STATIC_TOKEN, Duration::from_secs(4)), Ok(TokenName::Static));
        assert_eq!(find(&tokens, STATIC_TOKEN, Duration::from_secs(5)), Err(Refusal::WrongToken));
        assert_eq!(find(&tokens, READ_ONLY_TOKEN, Duration::from_hours(1_000)), Ok(TokenName::ReadOnly));
    }

    #[test]
    fn a_client_with_too_many_logins_waits_for_its_window_and_others_do_not() {
        let logins = Rate::new(2.try_into().unwrap(), Duration::from_secs(10));
        let mut tokens = Tokens::new(&Simulator { logins, clients: 2, ..config() });
        let mut login = |client, at| tokens.issue(client, Duration::from_secs(at)).is_ok();
        assert_eq!(
            [login(0, 1), login(0, 2), login(0, 10), login(1, 10), login(0, 11)],
            [true, true, false, true, true]
        );
    }

    #[test]
    fn a_token_that_expires_early_does_so_whatever_its_life() {
        let draw = Draw { share: Share::new(1.0).unwrap(), seed: None };
        let faults = Faults { early_expiry: Timed { draw, time: Duration::from_secs(3) }, ..Faults::default() };
        let mut tokens = Tokens::new(&Simulator { faults, ..config() });
        let Issued { id, .. } = tokens.issue(0, Duration::ZERO).unwrap();
        assert!(find(&tokens, id, Duration::from_secs(2)).is_ok());
        assert_eq!(find(&tokens, id, Duration::from_secs(3)), Err(Refusal::WrongToken));
    }
}
