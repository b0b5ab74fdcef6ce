//! What to do about a connection that cannot be opened.

/// What to do about a code of [`super::broken`], or about a `source_address`.
pub(super) fn of(code: &str) -> &'static str {
    match code {
        "dns" => "check the name in `target.base_url`, or give its address in `target.connection.resolve`",
        "connect_timeout" => "check `target.base_url` and the way there, or raise `target.connection.connect_timeout`",
        "source_address" => "name addresses of this machine in `target.connection.source_addresses`",
        "tls.unknown_issuer" => "name the server's authority in `target.connection.tls.ca_file`",
        // As when a test authority was made anew.
        "tls.bad_signature" => {
            "the authority in `target.connection.tls.ca_file` has the issuer's name and another key: name the present one"
        }
        "tls.expired" => "renew the server's certificate, or set the clock of this machine",
        "tls.not_valid_yet" => "set the clock of this machine, or wait until the server's certificate is valid",
        "tls.wrong_name" => {
            "write the certificate's name into `target.base_url`, and the address into `target.connection.resolve`"
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
        "tls.no_tls" => "write http:// in `target.base_url` if this port speaks no TLS",
        "proxy.authorization" => "check `user` and `password` in `target.connection.proxy`",
        "proxy.refused" => "ask who runs the proxy to let connections to this target pass",
        "proxy.protocol" => "check that `target.connection.proxy` is a proxy for HTTP",
        _ => "check `target.base_url` and that the server is up",
    }
}
