//! Why an attempt brought no whole response, as a code.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

use super::HUNG_UP;
use crate::measure::{Answer, Outcome};

/// What an attempt knew when it broke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breakage {
    /// The request was being written to a connection.
    pub(super) written: bool,
    /// The status, where the response head had arrived.
    pub(super) status: Option<u16>,
}

/// A server answered the first words of HTTP/2 with others, or not at all.
#[derive(Debug, thiserror::Error)]
#[error("the server does not speak HTTP/2 without TLS")]
pub(super) struct NoHttp2;

/// The answer for an attempt that the transport ended with `error`.
///
/// Codes of attempts that broke before they were written to a connection start with `not_sent`: the server cannot have seen
/// them.
pub(super) fn answer(error: &reqwest::Error, breakage: Breakage) -> Answer {
    let not_sent = !breakage.written;
    let kind = kind(error);
    Answer {
        status: breakage.status,
        code: if not_sent { format!("not_sent.{kind}") } else { kind.into_owned() },
        message: Some(innermost(error).to_string()),
        not_sent,
        ..Answer::bare(Outcome::Broken)
    }
}

/// The answer for a request whose client hung up before the answer.
pub(super) fn hung_up() -> Answer {
    let message = "the client hung up before the answer, as it was to do".to_owned();
    Answer { code: HUNG_UP.to_owned(), message: Some(message), ..Answer::bare(Outcome::Broken) }
}

/// What broke, in a word or two.
pub(super) fn kind(error: &reqwest::Error) -> Cow<'static, str> {
    if error.is_timeout() {
        return if error.is_connect() { "connect_timeout" } else { "timeout" }.into();
    }
    if error.is_builder() {
        return "request".into();
    }
    causes(error).find_map(kind_of_cause).unwrap_or("transport".into())
}

fn kind_of_cause(cause: &(dyn StdError + 'static)) -> Option<Cow<'static, str>> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return kind_of_io(error).map(Cow::Borrowed);
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(kind_of_tls(error).into());
    }
    if cause.is::<NoHttp2>() {
        return Some("http2.not_spoken".into());
    }
    if let Some(error) = cause.downcast_ref::<h2::Error>() {
        // An error that comes from below has its own cause.
        let reason = error.reason()?;
        return Some(format!("http2.{reason:?}").to_lowercase().into());
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Some("closed".into())
        } else if error.is_parse() {
            Some("protocol".into())
        } else {
            None
        };
    }
    kind_of_text(&cause.to_string()).map(Cow::Borrowed)
}

/// Errors whose types are not public: their texts are all there is.
fn kind_of_text(text: &str) -> Option<&'static str> {
    match text.strip_prefix("tunnel error: ") {
        Some("proxy authorization required") => Some("proxy.authorization"),
        Some("unsuccessful") => Some("proxy.refused"),
        Some("unexpected end of file" | "proxy response headers too long") => Some("proxy.protocol"),
        // The others have a cause that says more.
        Some(_) => None,
        None => text.starts_with("dns error").then_some("dns"),
    }
}

/// Why there is no TLS.
fn kind_of_tls(error: &rustls::Error) -> &'static str {
    use AlertDescription as Alert;
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, NoApplicationProtocol};
    match error {
        InvalidCertificate(problem) => kind_of_certificate(problem),
        InvalidMessage(_) => "tls.no_tls",
        NoApplicationProtocol | AlertReceived(Alert::NoApplicationProtocol) => "tls.no_common_http",
        AlertReceived(Alert::CertificateRequired) => "tls.client_certificate_required",
        AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => "tls.client_certificate_refused",
        // Until TLS 1.2 a missing certificate looks like this, too.
        AlertReceived(Alert::HandshakeFailure) => "tls.handshake_refused",
        AlertReceived(Alert::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => "tls.no_common_version",
        _ => "tls",
    }
}

fn kind_of_certificate(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::UnknownIssuer => "tls.unknown_issuer",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "tls.expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "tls.not_valid_yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "tls.wrong_name",
        CertificateError::Revoked => "tls.revoked",
        CertificateError::BadSignature => "tls.bad_signature",
        _ => "tls.certificate",
    }
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

/// The error, what caused it, what caused that, and so on. What an I/O error holds is a cause of its own here: its source
/// is already the cause of that.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
        Some(error)
    })
}

/// The first cause, which names the fact; the outer ones repeat the URL.
pub(super) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}
