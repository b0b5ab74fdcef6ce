//! Whether anybody listens at the target, asked before the first request.

use reqwest::Url;
use tokio::net::TcpStream;

use crate::units::Duration;

/// Why the target cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the target at {authority}: {why}; check `target.base_url` and that the server is up")]
pub struct Unreachable {
    authority: String,
    why: String,
}

/// Opens and closes one connection to the host and port of `url`, within `timeout`. No request is sent.
///
/// # Errors
/// When the name does not resolve, or nobody accepts the connection in time.
pub async fn probe(url: &Url, timeout: Duration) -> Result<(), Unreachable> {
    let authority = url.authority().to_owned();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let why = match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {}", crate::units::format::duration(timeout)),
    };
    Err(Unreachable { authority, why })
}
