//! Tokens: which are valid, and what each has used up of its quota.

use std::collections::HashMap;
use std::time::Duration;

use super::body::scheme;
use super::chance::Chance;
use super::fault::{Fault, LoginFault};
use super::id::Id;
use crate::quota::{Admission, FixedWindow, FixedWindowState};

/// How many tokens may be live at once: more logins are too many. It bounds the memory, and no run needs as many.
const MAX_TOKENS: usize = 10_000;

/// All live tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    chance: Chance,
    quota: Option<FixedWindow>,
    life: Duration,
    ready: Id,
    live: HashMap<Id, Token>,
    issued: u64,
}

#[derive(Debug)]
struct Token {
    /// `None` for never.
    expires: Option<Duration>,
    used: FixedWindowState,
}

impl Tokens {
    /// The ready token alone.
    pub(super) fn new(chance: Chance, quota: Option<FixedWindow>, life: Duration) -> Self {
        let ready = chance.token(0);
        let token = Token { expires: None, used: FixedWindowState::default() };
        Self { chance, quota, life, ready, live: HashMap::from([(ready, token)]), issued: 0 }
    }

    /// The token that needs no login and never expires.
    pub(super) fn ready(&self) -> Id {
        self.ready
    }

    /// The life of a token that a login gives out.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Gives out a new token.
    pub(super) fn issue(&mut self, now: Duration) -> Result<Id, LoginFault> {
        if self.live.len() >= MAX_TOKENS {
            self.live.retain(|_, token| token.is_live(now));
        }
        if self.live.len() >= MAX_TOKENS {
            return Err(LoginFault::TooMany);
        }
        self.issued += 1;
        let id = self.chance.token(self.issued);
        let expires = Some(now.saturating_add(self.life));
        self.live.insert(id, Token { expires, used: FixedWindowState::default() });
        Ok(id)
    }

    /// Judges a request with this `Authorization` header, and counts it against its token's quota if it may pass.
    pub(super) fn admit(&mut self, authorization: Option<&[u8]>, now: Duration) -> Result<(), Fault> {
        let header = authorization.ok_or(Fault::NoToken)?;
        let token = scheme(header, "bearer")
            .and_then(|token| str::from_utf8(token).ok())
            .and_then(Id::parse)
            .and_then(|id| self.live.get_mut(&id))
            .filter(|token| token.is_live(now))
            .ok_or(Fault::WrongToken)?;
        match self.quota.map(|quota| quota.admit(&mut token.used, now)) {
            None | Some(Admission::Admitted) => Ok(()),
            Some(Admission::Refused { until }) => {
                let rest = until.saturating_sub(now);
                let retry_after_s = rest.as_secs() + u64::from(rest.subsec_nanos() > 0);
                Err(Fault::Throttled { retry_after_s })
            }
        }
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
    use crate::scenario::Simulator;

    fn tokens(life_s: u64) -> Tokens {
        Tokens::new(Chance::new(&Simulator::default()), None, Duration::from_secs(life_s))
    }

    #[test]
    fn live_tokens_are_bounded_and_expired_ones_make_room() {
        let mut tokens = tokens(60);
        for _ in 1..MAX_TOKENS {
            tokens.issue(Duration::ZERO).unwrap();
        }
        assert_eq!(tokens.issue(Duration::from_secs(59)), Err(LoginFault::TooMany));
        assert!(tokens.issue(Duration::from_mins(1)).is_ok());
        assert_eq!(tokens.live.len(), 2, "the ready token and the new one");
    }

    #[test]
    fn a_token_is_valid_until_its_life_ends() {
        let mut tokens = tokens(60);
        let header = format!("Bearer {}", tokens.issue(Duration::from_secs(5)).unwrap());
        let last = Duration::from_nanos(64_999_999_999);
        assert_eq!(tokens.admit(Some(header.as_bytes()), last), Ok(()));
        assert_eq!(tokens.admit(Some(header.as_bytes()), Duration::from_secs(65)), Err(Fault::WrongToken));
        let ready = format!("bearer {}", tokens.ready());
        assert_eq!(tokens.admit(Some(ready.as_bytes()), Duration::from_hours(1_000)), Ok(()));
    }
}
