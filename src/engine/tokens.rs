//! The tokens of a run: one task logs in and renews, workers read an immutable snapshot and report what was refused.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use url::Url;

use super::renewals::{Cause, Due, Renewals};
use crate::http::{HeaderValue, Login, LoginError, Token};
use crate::measure::{Answer, Logins, Outcome};
use crate::scenario::{Auth, Target};
use crate::units::format;

/// How often a login before the start is tried again when the server puts it off.
const MOST_TRIES: u32 = 5;

/// The pause before that where the server names none, as the first target's makers advise.
const PAUSE: Duration = Duration::from_secs(3);

/// Who is asked to wait longer than this before the start is told so instead: the SDKs of the first target do the same.
const LONGEST_WAIT: Duration = Duration::from_mins(3);

/// Reports of refused tokens that may be under way to the keeper. A worker reports each generation of a token once, and
/// what finds no room is reported with the next refusal.
const REPORTS_UNDER_WAY: usize = 256;

/// The tokens at one moment; none where requests are not authorised.
type Snapshot = Arc<[Issue]>;

/// One generation of a token.
#[derive(Debug, Clone)]
struct Issue {
    /// The value of the `Authorization` header.
    authorization: HeaderValue,
    generation: u64,
}

/// A token that the server refused.
#[derive(Debug, Clone, Copy)]
struct Report {
    token: usize,
    generation: u64,
}

/// A login before the start that the server put off; it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOff {
    /// When it is tried again.
    pub pause: Duration,
    /// How often it will have been tried again by then.
    pub again: u32,
}

impl fmt::Display for PutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause = format::duration(self.pause);
        write!(f, "a login was throttled; trying again in {pause}, for time {} of {MOST_TRIES}", self.again)
    }
}

/// The tokens of a run; it owns logins and renewals.
pub struct TokenKeeper {
    /// One for each client; none where no client logs in.
    logins: Vec<Login>,
    renewals: Renewals,
    /// The beginning of the time of `renewals`.
    began: Instant,
    issues: Vec<Issue>,
    snapshot: watch::Sender<Snapshot>,
    told: watch::Sender<Told>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

/// What is told of logins while the run goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// How many there were.
    pub(super) logins: Logins,
    /// What the last one that failed said.
    pub(super) last_error: String,
}

impl TokenKeeper {
    /// Gets all tokens of the run: logs in once for each, one after the other, the clients in turn. A login that the server
    /// puts off is tried again; `on_put_off` hears of it before the wait.
    ///
    /// # Errors
    /// When a login fails; the run cannot start then.
    pub async fn obtain(target: &Target, base: &Url, mut on_put_off: impl FnMut(PutOff)) -> Result<Self, LoginError> {
        let mut keeper = Self::with_clients(logins(target, base)?);
        if let Auth::Bearer { tokens } = &target.auth {
            for token in tokens {
                keeper.take(&Token::given(token)?);
            }
        }
        let clients = keeper.logins.len();
        for number in (0..target.tokens.count()).filter(|_| clients > 0) {
            let token = keeper.first_token(number % clients, &mut on_put_off).await?;
            keeper.take(&token);
            keeper.told.send_modify(|told| told.logins.made += 1);
        }
        keeper.publish();
        Ok(keeper)
    }

    fn with_clients(logins: Vec<Login>) -> Self {
        Self {
            renewals: Renewals::new(logins.len().max(1)),
            logins,
            began: Instant::now(),
            issues: Vec::new(),
            snapshot: watch::Sender::new(Arc::default()),
            told: watch::Sender::default(),
            reports: mpsc::channel(REPORTS_UNDER_WAY),
        }
    }

    /// A client's token before the start, also when that takes several tries.
    async fn first_token(&self, client: usize, on_put_off: &mut impl FnMut(PutOff)) -> Result<Token, LoginError> {
        let mut again = 0;
        loop {
            let error = match self.logins[client].token().await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let LoginError::Throttled { retry_after, .. } = &error else { return Err(error) };
            self.told.send_modify(|told| told.logins.throttled += 1);
            let pause = retry_after.unwrap_or(PAUSE);
            if again == MOST_TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            again += 1;
            on_put_off(PutOff { pause, again });
            tokio::time::sleep(pause).await;
        }
    }

    fn take(&mut self, token: &Token) {
        self.issues.push(Issue { authorization: token.authorization.clone(), generation: 0 });
        self.renewals.obtained(token.life, self.began.elapsed());
    }

    fn publish(&self) {
        self.snapshot.send_replace(self.issues.as_slice().into());
    }

    /// The renewals that a run of this length takes when all of them succeed.
    #[must_use]
    pub fn renewals_within(&self, length: Duration) -> u64 {
        if self.logins.is_empty() { 0 } else { self.renewals.within(length) }
    }

    /// The first token; `None` where requests are not authorised.
    pub(super) fn first(&self) -> Option<HeaderValue> {
        self.issues.first().map(|issue| issue.authorization.clone())
    }

    /// What a worker needs to have the tokens.
    pub(super) fn subscribe(&self) -> Subscription {
        Subscription { snapshots: self.snapshot.subscribe(), reports: self.reports.0.clone() }
    }

    /// What is told of logins.
    pub(super) fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Renews tokens before they expire, and those that workers report as refused, one request at a time, for ever.
    pub(super) async fn renew(mut self) {
        if self.logins.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let next = self.renewals.next();
            let at = next.and_then(|due| self.began.checked_add(due.at));
            let wait = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(Report { token, generation }) = self.reports.1.recv() => {
                    self.renewals.refused(token, generation, self.began.elapsed());
                }
                () = wait => if let Some(due) = next {
                    self.renew_one(due).await;
                }
            }
        }
    }

    /// Renews the tokens most of whose life is over already, as after a long wait between the logins and the start.
    pub async fn renew_overdue(&mut self) {
        while let Some(due) = self.renewals.next().filter(|due| due.at <= self.began.elapsed()) {
            self.renew_one(due).await;
        }
    }

    /// Makes one renewal. Where it fails, the old token is used on; the reports show what the server says to it.
    async fn renew_one(&mut self, due: Due) {
        let answer = self.logins[due.token % self.logins.len()].token().await;
        let now = self.began.elapsed();
        match answer {
            Ok(token) => {
                let generation = self.renewals.renewed(due, token.life, now);
                self.issues[due.token] = Issue { authorization: token.authorization, generation };
                self.publish();
                self.told.send_modify(|told| {
                    told.logins.made += 1;
                    match due.cause {
                        Cause::Age => told.logins.renewed_by_age += 1,
                        Cause::Refused => told.logins.renewed_after_401 += 1,
                    }
                });
            }
            Err(error) => {
                let asked = match &error {
                    LoginError::Throttled { retry_after, .. } => Some(retry_after.unwrap_or(PAUSE)),
                    _ => None,
                };
                self.renewals.failed(due, asked, now);
                self.told.send_modify(|told| {
                    told.logins.throttled += u64::from(asked.is_some());
                    told.logins.failed += 1;
                    told.last_error = error.to_string();
                });
            }
        }
    }
}

/// The login of the first client; `None` where no client logs in.
pub(super) fn first_login(target: &Target, base: &Url) -> Result<Option<Login>, LoginError> {
    Ok(logins(target, base)?.into_iter().next())
}

/// The login of each client.
fn logins(target: &Target, base: &Url) -> Result<Vec<Login>, LoginError> {
    let Auth::ClientCredentials { login_url, clients } = &target.auth else { return Ok(Vec::new()) };
    let url = login_url.clone().unwrap_or_else(|| at_simulator(base));
    clients.iter().map(|client| Login::new(&target.connection, url.clone(), client)).collect()
}

/// The token endpoint of the embedded simulator.
fn at_simulator(base: &Url) -> Url {
    base.join("/oauth/token").expect("the simulator's address takes a path")
}

/// What connects a worker with the keeper of the tokens.
pub(super) struct Subscription {
    snapshots: watch::Receiver<Snapshot>,
    reports: mpsc::Sender<Report>,
}

/// A worker's own copy of the snapshot, so that reading it takes no lock.
pub(super) struct TokenView {
    snapshot: RefCell<Snapshot>,
    /// For each token the first generation that was not reported as refused.
    unreported: Vec<Cell<u64>>,
    reports: mpsc::Sender<Report>,
}

/// The right to make a request: a token as it was when the request was made.
#[derive(Debug, Clone)]
pub struct Pass {
    token: usize,
    issue: Issue,
}

impl Pass {
    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.issue.authorization.clone()
    }
}

impl TokenView {
    pub(super) fn new(subscription: &mut Subscription) -> Self {
        let snapshot = subscription.snapshots.borrow_and_update().clone();
        let unreported = vec![Cell::new(0); snapshot.len()];
        Self { snapshot: RefCell::new(snapshot), unreported, reports: subscription.reports.clone() }
    }

    /// A token as it is now; `None` where requests are not authorised.
    pub(super) fn of(&self, token: usize) -> Option<Pass> {
        self.snapshot.borrow().get(token).map(|issue| Pass { token, issue: issue.clone() })
    }

    /// Looks at what a request got: where its token was refused, the keeper is told, once for each generation.
    pub(super) fn note(&self, pass: Option<&Pass>, answer: &Answer) {
        let Some(Pass { token, issue }) = pass else { return };
        let unreported = &self.unreported[*token];
        // A variant that expects 401 asks for it.
        let is_refused = answer.outcome == Outcome::Rejected && answer.status == Some(401);
        if is_refused && issue.generation >= unreported.get() {
            let report = Report { token: *token, generation: issue.generation };
            if self.reports.try_send(report).is_ok() {
                unreported.set(issue.generation + 1);
            }
        }
    }

    /// Takes over each new snapshot, for as long as there can be one.
    pub(super) async fn follow(&self, mut subscription: Subscription) {
        let snapshots = &mut subscription.snapshots;
        while snapshots.changed().await.is_ok() {
            let latest = snapshots.borrow_and_update().clone();
            *self.snapshot.borrow_mut() = latest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(reports: mpsc::Sender<Report>) -> TokenView {
        let authorization = HeaderValue::from_static("Bearer not-to-be-shown");
        let issues: Snapshot = [Issue { authorization, generation: 3 }].into();
        let (_keep, snapshots) = watch::channel(issues);
        TokenView::new(&mut Subscription { snapshots, reports })
    }

    fn answer(status: u16) -> Answer {
        Answer { outcome: Outcome::Rejected, ..Answer::accepted(status) }
    }

    #[test]
    fn a_worker_reports_a_generation_of_a_token_once() {
        let (tx, mut rx) = mpsc::channel(2);
        let view = view(tx);
        let pass = view.of(0);
        view.note(pass.as_ref(), &Answer::accepted(401));
        assert!(rx.try_recv().is_err(), "it was expected");
        for status in [401, 403, 401, 202, 401] {
            view.note(pass.as_ref(), &answer(status));
        }
        assert!(matches!(rx.try_recv(), Ok(Report { token: 0, generation: 3 })));
        assert!(rx.try_recv().is_err(), "one is enough");
        assert!(view.of(1).is_none());
    }

    #[test]
    fn a_report_that_found_no_room_is_made_with_the_next_refusal() {
        let (tx, mut rx) = mpsc::channel(1);
        tx.try_send(Report { token: 9, generation: 0 }).unwrap();
        let view = view(tx);
        view.note(view.of(0).as_ref(), &answer(401));
        assert!(matches!(rx.try_recv(), Ok(Report { token: 9, .. })));
        view.note(view.of(0).as_ref(), &answer(401));
        assert!(matches!(rx.try_recv(), Ok(Report { token: 0, generation: 3 })));
    }
}
