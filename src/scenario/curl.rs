//! First requests as curl commands, for people who want to try it by hand.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::loader::is_secret;
use super::variant::{RenderError, Rendered};
use super::{Auth, Compression, Earlier, Endpoint, HttpVersion, Operation, Scenario, Verification};

/// The first request of the variant with this index, as a curl command for a POSIX shell.
///
/// Secrets and what came from the environment, apart from the address of the target, are not in it: `$TOKEN` stands for the
/// token, `$SIMULATOR` for the address that `patchload sim` prints, `***` for headers whose name looks secret,
/// `$PROXY_CREDENTIALS` for user and password of a proxy, and `${NAME}` stays as it is in the scenario.
///
/// # Panics
/// When there is no such variant.
#[must_use]
pub fn curl(scenario: &Scenario, variant: usize) -> String {
    curl_of(scenario, &scenario.first_operation(variant), None)
}

/// The request of an operation in the same way, with one more header where one is given; that one is shown as it is, whatever
/// its name.
///
/// # Panics
/// When there is no such variant.
#[must_use]
pub fn curl_of(scenario: &Scenario, operation: &Operation, header: Option<(&str, &str)>) -> String {
    let shape = &scenario.variants[operation.variant];
    command(scenario, &shape.method, shape.render_shown(scenario, operation), header)
}

/// The request that reads the attributes of the first data row, as [`curl`] shows those of variants; `None` without `[read]`.
#[must_use]
pub fn curl_read(scenario: &Scenario) -> Option<String> {
    Some(command(scenario, "GET", scenario.read.as_ref()?.request_shown(scenario, 0), None))
}

/// The request that puts the attributes of the first data row back, as [`curl`] shows those of variants; `None` where none
/// are put back. `KEY` and `EARLIER` stand for what is read before a run.
#[must_use]
pub fn curl_restore(scenario: &Scenario) -> Option<String> {
    let snapshot = scenario.snapshot.as_ref()?;
    let example = json!({"KEY": "EARLIER"});
    let earlier = Earlier { attributes: &example, changed: &example };
    Some(command(scenario, &snapshot.method, snapshot.request_shown(scenario, 0, &earlier), None))
}

/// A request, and a header that is no part of it and no secret.
fn command(
    scenario: &Scenario,
    method: &str,
    request: Result<Rendered<'_>, RenderError>,
    more: Option<(&str, &str)>,
) -> String {
    let request = match request {
        Ok(request) => request,
        Err(error) => return format!("# the request cannot be shown: {error}"),
    };
    let url = match &scenario.target.endpoint {
        Endpoint::Simulator(_) => format!("\"$SIMULATOR\"{}", quote(&request.path)),
        Endpoint::Url(url) => quote(&format!("{}{}", url.as_str().trim_end_matches('/'), request.path)),
    };
    let mut lines = vec![format!("curl -X {method} {url}")];
    if !matches!(scenario.target.auth, Auth::None) {
        lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    let own = request.headers.iter().map(|(name, value)| (*name, if is_secret(name) { "***" } else { value.as_ref() }));
    lines.extend(own.chain(more).map(|(name, value)| format!("-H {}", quote(&format!("{name}: {value}")))));
    if let Some(body) = &request.body {
        lines.push(format!("--data-raw {}", quote(&String::from_utf8_lossy(body))));
    }
    lines.extend(connection(scenario));
    lines.join(" \\\n  ")
}

/// How the connection is made, where that is not as usual.
fn connection(scenario: &Scenario) -> Vec<String> {
    let options = &scenario.target.connection;
    let file = |option: &str, path: &Path| format!("{option} {}", quote(&path.display().to_string()));
    let mut lines = Vec::new();
    match (&scenario.target.endpoint, options.http) {
        (Endpoint::Url(url), HttpVersion::Http2) if url.scheme() == "http" => {
            lines.push("--http2-prior-knowledge".to_owned());
        }
        (_, HttpVersion::Http2) => lines.push("--http2".to_owned()),
        (_, HttpVersion::Http1) => {}
    }
    lines.extend(options.tls.authority.iter().map(|own| file("--cacert", &own.file)));
    if let Some(own) = &options.tls.client {
        lines.extend([file("--cert", &own.file), file("--key", &own.key_file)]);
    }
    if options.tls.verification == Verification::None {
        lines.push("--insecure".to_owned());
    }
    if let Some(proxy) = &options.proxy {
        lines.push(format!("--proxy {}", quote(proxy.url.as_str())));
        lines.extend(proxy.credentials.as_ref().map(|_| "--proxy-user \"$PROXY_CREDENTIALS\"".to_owned()));
    }
    let named =
        |(name, address): &(String, SocketAddr)| format!("--connect-to {}", quote(&format!("{name}::{address}")));
    lines.extend(options.resolve.iter().map(named));
    lines.extend(options.source_addresses.first().map(|address| format!("--interface {address}")));
    if options.compression == Compression::Gzip {
        lines.push("--compressed".to_owned());
    }
    lines.extend(options.connect_timeout.map(|time| format!("--connect-timeout {}", time.as_secs_f64())));
    lines
}

/// A text in single quotes, as one word of a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Scenario {
    /// The first operation of a variant: each is in the first block.
    #[must_use]
    pub fn first_operation(&self, variant: usize) -> Operation {
        let block: u64 = self.variants.iter().map(|variant| u64::from(variant.weight.get())).sum();
        let of_number = |number| self.operation_numbered(number);
        (0..block).map(of_number).find(|operation| operation.variant == variant).unwrap_or_else(|| of_number(0))
    }
}
