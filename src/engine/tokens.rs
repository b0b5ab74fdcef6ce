//! The tokens of a run: one task logs in and renews, workers read an immutable snapshot.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use url::Url;

use crate::http::{HeaderValue, Login, LoginError, Token};
use crate::scenario::{Auth, Target};

/// Values of the `Authorization` header, one per token; none where requests are not authorised.
pub(super) type Snapshot = Arc<[HeaderValue]>;

/// A token is renewed when this part of its life has passed.
const RENEW_AT: f64 = 0.8;

/// The shortest time from a login to its renewal, and the pause after a renewal that failed: a server that hands out tokens
/// without life gets no storm of logins.
const PAUSE: Duration = Duration::from_secs(1);

/// The tokens of a run; it owns logins and renewals.
pub struct TokenKeeper {
    login: Option<Login>,
    held: Vec<(Token, Instant)>,
    snapshot: watch::Sender<Snapshot>,
    failures: watch::Sender<RenewalFailures>,
}

/// How many renewals failed, and what the last one said.
pub(super) type RenewalFailures = (u64, String);

impl TokenKeeper {
    /// Gets all tokens of the run: logs in once for each, one after the other.
    ///
    /// # Errors
    /// When a login fails; the run cannot start then.
    pub async fn obtain(target: &Target, base: &Url) -> Result<Self, LoginError> {
        let mut login = None;
        let mut held = Vec::new();
        match &target.auth {
            Auth::None => {}
            Auth::Bearer { tokens } => {
                for token in tokens {
                    held.push((Token::given(token)?, Instant::now()));
                }
            }
            Auth::ClientCredentials { login_url, client_id, client_secret } => {
                let url = login_url.clone().unwrap_or_else(|| at_simulator(base));
                let prepared = Login::new(url, client_id, client_secret)?;
                for _ in 0..target.tokens.count() {
                    held.push((prepared.token().await?, Instant::now()));
                }
                login = Some(prepared);
            }
        }
        let snapshot = watch::Sender::new(snapshot_of(&held));
        Ok(Self { login, held, snapshot, failures: watch::Sender::default() })
    }

    /// The snapshot that workers follow.
    pub(super) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// The renewals that failed.
    pub(super) fn failures(&self) -> watch::Receiver<RenewalFailures> {
        self.failures.subscribe()
    }

    /// Renews tokens before they expire, one request at a time, for ever.
    pub(super) async fn renew(mut self) {
        let Some(login) = self.login.take() else { return std::future::pending().await };
        while let Some((index, at)) = self.next_renewal() {
            tokio::time::sleep_until(at.into()).await;
            match login.token().await {
                Ok(token) => {
                    self.held[index] = (token, Instant::now());
                    self.snapshot.send_replace(snapshot_of(&self.held));
                }
                // The old token is used until it expires; after that, the reports show what the server says to it.
                Err(error) => {
                    self.failures.send_modify(|failures| {
                        failures.0 += 1;
                        failures.1 = error.to_string();
                    });
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The token that is to be renewed next, and when.
    fn next_renewal(&self) -> Option<(usize, Instant)> {
        let due = |(token, obtained): &(Token, Instant)| obtained.checked_add(token.life.mul_f64(RENEW_AT).max(PAUSE));
        let dues = self.held.iter().enumerate().filter_map(|(index, held)| Some((index, due(held)?)));
        dues.min_by_key(|(_, at)| *at)
    }
}

fn snapshot_of(held: &[(Token, Instant)]) -> Snapshot {
    held.iter().map(|(token, _)| token.authorization.clone()).collect()
}

/// The token endpoint of the embedded simulator.
fn at_simulator(base: &Url) -> Url {
    base.join("/oauth/token").expect("the simulator's address takes a path")
}

/// A worker's own copy of the snapshot, so that reading it takes no lock.
pub(super) struct TokenView(RefCell<Snapshot>);

impl TokenView {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self(RefCell::new(snapshot))
    }

    /// The value of the `Authorization` header for a token; `None` where requests are not authorised.
    pub(super) fn of(&self, token: usize) -> Option<HeaderValue> {
        self.0.borrow().get(token).cloned()
    }

    /// Takes over each new snapshot, for as long as there can be one.
    pub(super) async fn follow(&self, mut snapshots: watch::Receiver<Snapshot>) {
        while snapshots.changed().await.is_ok() {
            let latest = snapshots.borrow_and_update().clone();
            *self.0.borrow_mut() = latest;
        }
    }
}
