//! Tokens by the OAuth client credentials grant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;

use super::broken;
use super::client::{ClientError, client_builder, read_body, tls_configuration};
use crate::scenario::Secret;
use crate::units::Duration;

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
    #[error("the login at {url} broke: {why}; check the address and that the server is up")]
    Unreachable {
        /// Where we asked.
        url: String,
        /// What the transport said.
        why: String,
    },
    /// The client is unknown or its secret is wrong.
    #[error(
        "the login was refused with status {status}: {description}; check `target.auth.client_id` and `client_secret`"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        description: String,
    },
    /// Too many logins.
    #[error("the login was throttled with status {status}: {description}; wait, or ask for fewer tokens")]
    Throttled {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        description: String,
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

/// The login of one client at one token endpoint, with connections of its own.
pub struct Login {
    client: Client,
    url: Url,
    basic: HeaderValue,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Denied {
    error: String,
    description: String,
    error_description: String,
}

impl Login {
    /// Prepares logins of one client.
    ///
    /// # Errors
    /// When TLS or the HTTP client cannot be set up.
    #[expect(clippy::missing_panics_doc, reason = "base64 is visible ASCII, which every header takes")]
    pub fn new(url: Url, client_id: &str, client_secret: &Secret) -> Result<Self, LoginError> {
        let client = client_builder(tls_configuration(url.scheme() == "https")?)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| ClientError::Client(broken::innermost(&error).to_string()))?;
        let credentials = STANDARD.encode(format!("{client_id}:{}", client_secret.reveal()));
        let mut basic = HeaderValue::from_str(&format!("Basic {credentials}")).expect("base64 is visible ASCII");
        basic.set_sensitive(true);
        Ok(Self { client, url, basic })
    }

    /// Asks for one token.
    ///
    /// # Errors
    /// When there is no answer, the client is refused or throttled, or the answer holds no token.
    pub async fn token(&self) -> Result<Token, LoginError> {
        let unreachable = |error: reqwest::Error| LoginError::Unreachable {
            url: self.url.to_string(),
            why: broken::innermost(&error).to_string(),
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
        let body = read_body(&mut response).await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(denied(status, &body));
        }
        let granted: Granted = serde_json::from_slice(&body).map_err(|_| LoginError::Malformed { status })?;
        Token::new(&granted.access_token, granted.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs))
    }
}

/// Too many logins come as 429, or as `invalid_request` with a description that starts with "rate limit exceeded".
fn denied(status: u16, body: &[u8]) -> LoginError {
    let denied: Denied = serde_json::from_slice(body).unwrap_or_default();
    let description = [&denied.description, &denied.error_description, &denied.error]
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or_else(|| "no description".to_owned(), |text| text.chars().take(200).collect());
    let is_throttled = status == 429 || description.to_lowercase().starts_with("rate limit exceeded");
    match status {
        _ if is_throttled => LoginError::Throttled { status, description },
        400..=499 => LoginError::Refused { status, description },
        _ => LoginError::Malformed { status },
    }
}
