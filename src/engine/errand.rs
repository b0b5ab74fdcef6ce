//! Requests beside the load: one at a time, at a gentle pace, for as long as the target serves anybody.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::tokens::{self, TokenKeeper};
use crate::http::{Aside, ClientError, HeaderValue, Login, LoginError, Reply};
use crate::scenario::{Rendered, Scenario};

/// The pause between two requests where the scenario has no limit.
const PERIOD: Duration = Duration::from_millis(100);

/// So often a request is made that a quota refuses, and so long is waited for one.
const TRIES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const USUAL_WAIT: Duration = Duration::from_secs(3);

/// After so many requests in a row that the target did not serve, whatever they asked for, no more are made.
const MOST_UNSERVED: u32 = 5;

/// One who runs errands at the target.
pub(super) struct Errand {
    aside: Aside,
    authorization: Option<HeaderValue>,
    /// Gets another token; `None` where no client logs in.
    login: Option<Login>,
    /// The token was accepted since the last login, so a 401 means that its life is over.
    was_accepted: bool,
    period: Duration,
    next: Instant,
    /// The requests that may still be made; `None` where the scenario has no budget.
    left: Option<u64>,
    made: u64,
    unserved: u32,
    /// Why no more requests are made.
    turned_away: Option<String>,
}

/// Why a request did not succeed.
enum Trouble {
    /// The target refuses this one.
    Refused(String),
    /// The target serves nobody at the moment, as far as this one tells.
    Unserved(String),
    /// Nothing more is to be asked for.
    TurnedAway(String),
}

impl Errand {
    /// Prepares for the target at `base`, with the first of the tokens; at most `left` requests, where that is bounded.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub(super) fn new(
        scenario: Arc<Scenario>,
        base: &Url,
        tokens: &TokenKeeper,
        left: Option<u64>,
    ) -> Result<Self, ClientError> {
        let login = match tokens::first_login(&scenario.target, base) {
            Ok(login) => login,
            Err(LoginError::Client(error)) => return Err(error),
            Err(error) => return Err(ClientError::Client(error.to_string())),
        };
        Ok(Self {
            period: scenario.limit.map_or(PERIOD, |limit| limit.rate.period()),
            aside: Aside::new(scenario, base)?,
            authorization: tokens.first(),
            login,
            was_accepted: true,
            next: Instant::now(),
            left,
            made: 0,
            unserved: 0,
            turned_away: None,
        })
    }

    /// From now on it is one of so many, which keep the pace together.
    pub(super) fn share_pace(&mut self, errands: u32) {
        self.period *= errands;
    }

    /// Whether the target serves nobody, so that no more requests are made.
    pub(super) fn is_turned_away(&self) -> bool {
        self.turned_away.is_some()
    }

    /// The requests so far, logins not among them.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// Sends a request until it succeeds, is refused for good, or was tried often enough.
    ///
    /// # Errors
    /// Why it did not succeed, in words. Once the target has served none of several requests in a row, or has asked for a long
    /// pause, no more are sent: all others fail for that reason.
    pub(super) async fn send(&mut self, method: &str, request: &Rendered<'_>) -> Result<Reply, String> {
        if let Some(reason) = &self.turned_away {
            return Err(format!("not tried: {reason}"));
        }
        let trouble = match self.try_often(method, request).await {
            Ok(reply) => {
                self.unserved = 0;
                return Ok(reply);
            }
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Refused(reason) => {
                self.unserved = 0;
                Err(reason)
            }
            Trouble::Unserved(reason) => {
                self.unserved += 1;
                if self.unserved >= MOST_UNSERVED {
                    self.turned_away = Some(format!("{MOST_UNSERVED} requests in a row were not served ({reason})"));
                }
                Err(reason)
            }
            Trouble::TurnedAway(reason) => Err(self.turned_away.insert(reason).clone()),
        }
    }

    async fn try_often(&mut self, method: &str, request: &Rendered<'_>) -> Result<Reply, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.wait_for_turn().await?;
            let reply = self.aside.send(method, request, self.authorization.as_ref()).await;
            let reply = reply.map_err(Trouble::Unserved)?;
            let Reply { status, retry_after, .. } = reply;
            match status {
                200..=299 => {
                    self.was_accepted = true;
                    return Ok(reply);
                }
                401 if self.was_accepted && self.login.is_some() => self.log_in().await?,
                429 | 503 if retry_after.is_some_and(|pause| pause > LONGEST_WAIT) => {
                    let pause = retry_after.unwrap_or_default().as_secs();
                    return Err(Trouble::TurnedAway(format!("status {status}, with a wish for a pause of {pause} s")));
                }
                429 | 503 if tries < TRIES => tokio::time::sleep(retry_after.unwrap_or(USUAL_WAIT)).await,
                401 | 429 | 500.. => return Err(Trouble::Unserved(format!("status {status}"))),
                _ => return Err(Trouble::Refused(format!("status {status}"))),
            }
        }
    }

    /// Gets another token, once until it was accepted.
    async fn log_in(&mut self) -> Result<(), Trouble> {
        self.was_accepted = false;
        let Some(login) = &self.login else { return Ok(()) };
        let token = login.token().await.map_err(|error| Trouble::Unserved(error.to_string()))?;
        self.authorization = Some(token.authorization);
        Ok(())
    }

    /// Waits until the next request may go, and counts it.
    async fn wait_for_turn(&mut self) -> Result<(), Trouble> {
        if let Some(left) = &mut self.left {
            let used_up = || "the requests that `limit.budget` keeps for it are used up".to_owned();
            *left = left.checked_sub(1).ok_or_else(|| Trouble::TurnedAway(used_up()))?;
        }
        self.made += 1;
        let turn = self.next.max(Instant::now());
        self.next = turn + self.period;
        tokio::time::sleep_until(turn).await;
        Ok(())
    }
}
