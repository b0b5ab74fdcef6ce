//! Tokens by the OAuth client credentials grant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;

use super::classify::KEPT_BODY;
use super::client::{ClientError, client_builder, read_body};
use super::remedy::{self, Patience, Reason};
use super::{broken, classify, tls};
use crate::scenario::{ConnectionOptions, Hidden, HttpVersion, OauthClient, Secret};
use crate::units::{Duration, format};

/// The time after which a login is given up. Not the target's: a login is no attempt, and often another server's.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The life of a token whose answer names none.
const DEFAULT_LIFE: Duration = Duration::from_hours(24);

/// A token, as the `Authorization` header wants it.
#[derive(Debug, Clone)]
pub struct Token {
    /// `Bearer …`; marked sensitive, so that it is not printed.
    pub authorization: HeaderValue,
    /// How long it lives from the login on.
    pub life: Duration,
}

impl Token {
    /// A token that the scenario brought along and that lives as long as the run.
    ///
    /// # Errors
    /// [`LoginError::Malformed`] when the text cannot stand in a header.
    pub fn given(token: &Secret) -> Result<Self, LoginError> {
        Self::new(token.reveal(), Duration::MAX)
    }

    fn new(token: &str, life: Duration) -> Result<Self, LoginError> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| LoginError::Malformed { status: 200 })?;
        authorization.set_sensitive(true);
        Ok(Self { authorization, life })
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No answer.
    #[error("the login at {url} broke: {why}; {remedy}")]
    Unreachable {
        /// Where we asked.
        url: String,
        /// What the transport said.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The client is unknown or its secret is wrong.
    #[error("the login was refused with status {status}: {description}; check {place}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        description: String,
        /// The fields of the scenario that hold the client's id and secret.
        place: String,
    },
    /// Too many logins.
    #[error("the login was throttled with status {status}: {description}; wait{}, or ask for fewer tokens", how_long(*.retry_after))]
    Throttled {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        description: String,
        /// The pause that the server asks for, where it asks for any.
        retry_after: Option<Duration>,
    },
    /// An answer that is no token.
    #[error("the login was answered with status {status} and no token; check `target.auth.login_url`")]
    Malformed {
        /// The HTTP status.
        status: u16,
    },
    /// No client could be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// ` 42s`, where anybody said how long.
fn how_long(pause: Option<Duration>) -> String {
    pause.map(|pause| format!(" {}", format::duration(pause))).unwrap_or_default()
}

/// The login of one client at one token endpoint, with connections of its own.
pub struct Login {
    client: Client,
    url: Url,
    basic: HeaderValue,
    /// What no message may hold, though a server may quote it: the secret, and the secret as it is sent.
    hidden: Hidden,
    patience: Patience,
    /// The fields of the scenario that hold the client's id and secret.
    place: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Life>,
}

/// Some servers write the number in quotes, or with a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Life {
    Number(f64),
    Text(String),
}

impl Life {
    /// `None` for what is no time.
    fn seconds(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        // A life without an end is one, too; a negative one is over.
        if seconds >= Duration::MAX.as_secs_f64() {
            return Some(Duration::MAX);
        }
        Duration::try_from_secs_f64(seconds.max(0.0)).ok()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Denied {
    error: String,
    description: String,
    error_description: String,
}

impl Login {
    /// Prepares logins of one client, over connections that are made as those to the target are.
    ///
    /// # Errors
    /// When TLS or the HTTP client cannot be set up.
    #[expect(clippy::missing_panics_doc, reason = "base64 is visible ASCII, which every header takes")]
    pub fn new(connection: &ConnectionOptions, url: Url, of: &OauthClient) -> Result<Self, LoginError> {
        let mut connection = connection.clone();
        if url.scheme() == "https" {
            // It may be another server than the target, and every one of them speaks this version.
            connection.http = HttpVersion::Http1;
        }
        let client = client_builder(&connection, tls::configuration(&connection, &url)?)?
            .local_address(connection.source_addresses.first().copied())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| ClientError::Client(broken::innermost(&error).to_string()))?;
        let credentials = STANDARD.encode(format!("{}:{}", of.id, of.secret.reveal()));
        let mut basic = HeaderValue::from_str(&format!("Basic {credentials}")).expect("base64 is visible ASCII");
        basic.set_sensitive(true);
        let hidden = Hidden::of([of.secret.reveal().to_owned(), credentials]);
        let patience = Patience { whole: TIMEOUT, connect: connection.connect_timeout };
        Ok(Self { client, url, basic, hidden, patience, place: of.place.clone() })
    }

    /// Asks for one token.
    ///
    /// # Errors
    /// When there is no answer, the client is refused or throttled, or the answer holds no token.
    pub async fn token(&self) -> Result<Token, LoginError> {
        let unreachable = |error: reqwest::Error| {
            let Reason { why, remedy } = remedy::reason(&error, self.patience, "target.auth.login_url");
            LoginError::Unreachable { url: self.url.to_string(), why, remedy }
        };
        let mut response = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, self.basic.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = classify::retry_after(response.headers());
        let body = read_body(&mut response, KEPT_BODY).await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(self.denied(status, retry_after, &body));
        }
        let granted: Granted = serde_json::from_slice(&body).map_err(|_| LoginError::Malformed { status })?;
        let life = granted.expires_in.map_or(Some(DEFAULT_LIFE), |life| life.seconds());
        Token::new(&granted.access_token, life.ok_or(LoginError::Malformed { status })?)
    }

    /// Too many logins come as 429, or as `invalid_request` with a description that starts with "rate limit exceeded".
    fn denied(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> LoginError {
        let denied: Denied = serde_json::from_slice(body).unwrap_or_default();
        let said = [&denied.description, &denied.error_description, &denied.error];
        let said = said.into_iter().find(|text| !text.is_empty()).map_or("no description", String::as_str);
        let is_throttled = status == 429 || said.to_lowercase().starts_with("rate limit exceeded");
        let shown = self.hidden.hide(said);
        let description: String = shown.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        match status {
            _ if is_throttled => LoginError::Throttled { status, description, retry_after },
            400..=499 => LoginError::Refused { status, description, place: self.place.clone() },
            _ => LoginError::Malformed { status },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        let secret = Secret::new("a-secret".to_owned());
        let client = OauthClient { id: "id".to_owned(), secret, place: "`clients[1]`".to_owned() };
        let url = "http://127.0.0.1:1/oauth/token".parse().unwrap();
        Login::new(&ConnectionOptions::default(), url, &client).unwrap()
    }

    #[test]
    fn what_a_login_says_tells_throttled_from_refused() {
        let denied = |status, body: &str| login().denied(status, None, body.as_bytes()).to_string();
        assert_eq!(
            denied(400, r#"{"error": "invalid_request", "description": "rate limit exceeded; later"}"#),
            "the login was throttled with status 400: rate limit exceeded; later; wait, or ask for fewer tokens"
        );
        assert_eq!(
            denied(429, ""),
            "the login was throttled with status 429: no description; wait, or ask for fewer tokens"
        );
        assert_eq!(
            denied(401, r#"{"error": "invalid_client"}"#),
            "the login was refused with status 401: invalid_client; check `clients[1]`"
        );
        assert!(denied(400, r#"{"description": "no grant"}"#).starts_with("the login was refused with status 400"));
        assert!(denied(503, "<html>").contains("answered with status 503 and no token"));
        let throttled = login().denied(429, Some(Duration::from_secs(42)), b"").to_string();
        assert!(throttled.ends_with("wait 42.0s, or ask for fewer tokens"), "{throttled}");
    }

    #[test]
    fn a_server_that_quotes_the_secret_is_not_quoted() {
        let basic = STANDARD.encode("id:a-secret");
        let body = format!("{{\"description\": \"no a-secret here, nor\\n{basic}\"}}");
        let text = login().denied(400, None, body.as_bytes()).to_string();
        assert_eq!(text, "the login was refused with status 400: no *** here, nor ***; check `clients[1]`");
    }

    #[test]
    fn a_life_may_stand_in_quotes_or_have_a_fraction() {
        let life = |text: &str| serde_json::from_str::<Life>(text).ok().and_then(|life| life.seconds());
        for (text, seconds) in [("5", 5.0), ("\"3600\"", 3_600.0), ("0.5", 0.5), ("0", 0.0), ("-1", 0.0)] {
            assert_eq!(life(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(life("1e300"), Some(Duration::MAX));
        assert_eq!((life("\"soon\""), life("true")), (None, None));
    }
}
