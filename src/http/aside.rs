//! Requests that are no attempts: they read attributes and put them back, and stand in no figure.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, Response, Url};

use super::client::{ClientError, Clients};
use super::{broken, classify};
use crate::scenario::{Rendered, Scenario};

/// The longest body that is read whole, in bytes: far more than a resource with its attributes.
pub(super) const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// A connection of its own to the target.
#[derive(Debug)]
pub struct Aside {
    client: Client,
    base: String,
}

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// The server's wish for a pause.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Aside {
    /// A client with the settings of those that send the load.
    ///
    /// # Errors
    /// When TLS or the HTTP client cannot be set up.
    pub fn new(scenario: Arc<Scenario>, base: &Url) -> Result<Self, ClientError> {
        // The first of its source addresses, as logins do: a target may know no other.
        let source = scenario.target.connection.source_addresses.first().copied();
        let client = Clients::new(scenario, base)?.client(1, source)?;
        Ok(Self { client, base: base.as_str().trim_end_matches('/').to_owned() })
    }

    /// Sends one request and reads the whole response.
    ///
    /// # Errors
    /// What went wrong, in words, where there was no whole response.
    pub async fn send(
        &self,
        method: &str,
        request: &Rendered<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let mut builder = self.client.request(method, format!("{}{}", self.base, request.path));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.as_ref());
        }
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        // The outer errors repeat the URL, which may hold what came from the environment.
        let response = builder.send().await.map_err(|error| broken::innermost(&error).to_string())?;
        whole(response).await
    }
}

async fn whole(mut response: Response) -> Result<Reply, String> {
    let (status, retry_after) = (response.status().as_u16(), classify::retry_after(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken::innermost(&error).to_string())? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(format!("the answer is longer than {LONGEST_BODY} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, retry_after, body })
}
