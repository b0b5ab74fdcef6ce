//! Why an attempt brought no whole response, as a code.

use std::error::Error as StdError;
use std::io;

use crate::measure::{Answer, Outcome};

/// What an attempt knew when it broke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breakage {
    /// The request was being written to a connection.
    pub(super) written: bool,
    /// The status, where the response head had arrived.
    pub(super) status: Option<u16>,
}

/// The answer for an attempt that the transport ended with `error`.
///
/// Codes of attempts that broke before they were written to a connection start with `not_sent`: the server cannot have seen
/// them.
pub(super) fn answer(error: &reqwest::Error, breakage: Breakage) -> Answer {
    let not_sent = !breakage.written;
    let kind = kind(error);
    Answer {
        outcome: Outcome::Broken,
        status: breakage.status,
        code: if not_sent { format!("not_sent.{kind}") } else { kind.to_owned() },
        correlation_id: None,
        message: Some(innermost(error).to_string()),
        retry_after: None,
        not_sent,
    }
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "timeout";
    }
    if error.is_builder() {
        return "request";
    }
    causes(error).find_map(kind_of_cause).unwrap_or("transport")
}

fn kind_of_cause(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        if error.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>) {
            return Some("tls");
        }
        return kind_of_io(error);
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Some("closed")
        } else if error.is_parse() {
            Some("protocol")
        } else {
            None
        };
    }
    if cause.is::<rustls::Error>() {
        return Some("tls");
    }
    // The resolver's error has no public type; its text is all there is.
    cause.to_string().starts_with("dns error").then_some("dns")
}

fn kind_of_io(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => Some("reset"),
        io::ErrorKind::UnexpectedEof => Some("closed"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Some("unreachable")
        }
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Some("ports"),
        // EMFILE and ENFILE have no kind of their own.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => Some("descriptors"),
        _ => None,
    }
}

/// The error, what caused it, what caused that, and so on.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The first cause, which names the fact; the outer ones repeat the URL.
pub(super) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}
