//! Why a server cannot be used, and what to do about it.

use super::broken;
use crate::units::{Duration, format};

/// Why a server cannot be used, for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// What went wrong, with its code where that tells more.
    pub(super) why: String,
    /// What to do.
    pub(super) remedy: String,
}

/// The time after which an exchange is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For all of it.
    pub(super) whole: Duration,
    /// For the connection; `None` for the same.
    pub(super) connect: Option<Duration>,
}

/// Why an exchange brought no answer from the server whose address stands in this field of the scenario.
pub(super) fn reason(error: &reqwest::Error, patience: Patience, address: &str) -> Reason {
    let code = broken::kind(error);
    let why = match &*code {
        "timeout" => format!("no answer within {}", format::duration(patience.whole)),
        "connect_timeout" => {
            let time = patience.connect.unwrap_or(patience.whole);
            format!("no connection within {}", format::duration(time))
        }
        code if code.contains('.') => format!("{} ({code})", broken::innermost(error)),
        _ => broken::innermost(error).to_string(),
    };
    Reason { why, remedy: of(&code, address) }
}

/// What to do about a code of [`broken`], or about a `source_address`, on the way to a server whose address stands in this
/// field of the scenario.
pub(super) fn of(code: &str, address: &str) -> String {
    of_code(code).replace(ADDRESS, address)
}

/// Stands for the field of the server's address.
const ADDRESS: &str = "{address}";

fn of_code(code: &str) -> &'static str {
    match code {
        "dns" => "check the name in `{address}`, or give its address in `target.connection.resolve`",
        "connect_timeout" => "check `{address}` and the way there, or raise `target.connection.connect_timeout`",
        "source_address" => "name addresses of this machine in `target.connection.source_addresses`",
        "tls.unknown_issuer" => "name the server's authority in `target.connection.tls.ca_file`",
        // As when a test authority was made anew.
        "tls.bad_signature" => {
            "the authority in `target.connection.tls.ca_file` has the issuer's name and another key: name the present one"
        }
        "tls.expired" => "renew the server's certificate, or set the clock of this machine",
        "tls.not_valid_yet" => "set the clock of this machine, or wait until the server's certificate is valid",
        "tls.wrong_name" => {
            "write the certificate's name into `{address}`, and the address into `target.connection.resolve`"
        }
        "tls.revoked" | "tls.certificate" => "give the server a certificate that an authority issued",
        "tls.client_certificate_required" => "add `client_cert` and `client_key` to `target.connection.tls`",
        "tls.client_certificate_refused" => {
            "name a certificate that the server trusts in `target.connection.tls.client_cert`"
        }
        "tls.handshake_refused" => {
            "the server may want a certificate: add `client_cert` and `client_key` to `target.connection.tls`"
        }
        "tls.no_common_http" => "write another version into `target.connection.http`",
        "tls.no_common_version" => "let the server speak TLS 1.2 or 1.3",
        "tls.no_tls" => "write http:// in `{address}` if this port speaks no TLS",
        "http2.not_spoken" => "write http = \"1.1\" into [target.connection] if this port speaks no HTTP/2",
        "proxy.authorization" => "check `user` and `password` in `target.connection.proxy`",
        "proxy.refused" => "ask who runs the proxy to let connections to this target pass",
        "proxy.protocol" => "check that `target.connection.proxy` is a proxy for HTTP",
        _ => "check `{address}` and that the server is up",
    }
}
