//! Connections to servers that nobody here wrote: nginx and openssl, with certificates of a test authority.
#![cfg(feature = "external")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use command::{Place, json, last_line, patchload, text};
use nginx::{Authority, EXPIRED, Nginx, Server, VALID, free_port};
use patchload::engine::RunClock;
use patchload::http::{Clients, Request, Transport as _};
use patchload::scenario::{Overrides, Scenario};

mod command;
mod nginx;

/// A scenario of three users with two operations each.
fn scenario(base_url: &str, connection: &str, load: &str) -> String {
    format!(
        r#"
        name = "tls"
        [target]
        base_url = "{base_url}"
        permission = "a server of the test's own"
        timeout = "5s"
        [target.connection]
        {connection}
        [[variant]]
        name = "one"
        path = "/one"
        body = '{{"attributes": {{"ref": "{{{{ unique }}}}"}}}}'
        expect = [202]
        [load]
        stages = [{{ for = "1s", users = 3 }}]
        spread = "0s"
        iterations = 2
        {load}
        "#
    )
}

const ATTEMPTS: usize = 6;

/// A command that runs a scenario in a place, on one worker.
fn run(place: &Place, scenario: &str) -> Command {
    let file = place.write("tls.toml", scenario);
    let mut command = patchload(&["run", &file, "--out", &place.results(), "--workers", "1", "--accept-invalid"]);
    // Somebody else's proxy must not matter.
    command.env("HTTP_PROXY", "http://127.0.0.1:9").env("HTTPS_PROXY", "http://127.0.0.1:9");
    command.env("http_proxy", "http://127.0.0.1:9").env("ALL_PROXY", "http://127.0.0.1:9");
    command
}

/// Runs a scenario, all of whose attempts are accepted.
fn accepted(scenario: &str) -> (Place, Output) {
    let place = Place::new();
    let output = run(&place, scenario).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(counts(&place), BTreeMap::from([("accepted".to_owned(), ATTEMPTS)]), "{}", text(&output.stdout));
    (place, output)
}

/// Outcomes of the only run, those that there are.
fn counts(place: &Place) -> BTreeMap<String, usize> {
    let mut reader = csv::Reader::from_path(place.run().join("summary.csv")).unwrap();
    let row: BTreeMap<String, String> = reader.deserialize().next().unwrap().unwrap();
    let names = ["accepted", "unexpected", "throttled", "rejected", "failed", "broken"];
    let count = |name: &&str| ((*name).to_owned(), row[*name].parse().unwrap());
    names.iter().map(count).filter(|(_, count)| *count > 0).collect()
}

/// The codes of what was not accepted in the only run.
fn codes(place: &Place) -> BTreeSet<String> {
    let mut reader = csv::Reader::from_path(place.run().join("failures.csv")).unwrap();
    reader.deserialize().map(|row| row.unwrap()).map(|row: BTreeMap<String, String>| row["code"].clone()).collect()
}

/// What is said before the first request about a target that cannot be used.
fn refused(scenario: &str) -> String {
    let place = Place::new();
    let output = run(&place, scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    last_line(&output)
}

/// The code of one attempt, which no probe keeps from being sent.
fn code(scenario: &str) -> String {
    let scenario = Scenario::parse(Path::new("tls.toml"), scenario.as_bytes(), &|_| None, &Overrides::default());
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    let patchload::scenario::Endpoint::Url(base) = &scenario.target.endpoint else { panic!("a server is the target") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clients = Clients::new(scenario.clone(), base).unwrap();
        let user = clients.for_worker(RunClock::new(Instant::now())).unwrap().user();
        let rendered = scenario.variants[0].render(&scenario, &scenario.operation(0, 0)).unwrap();
        user.attempt(Request { variant: 0, rendered, authorization: None }).await.answer.code
    })
}

/// The status that the request gets which `check` prints for the shell.
fn curl(scenario: &str) -> String {
    let told = patchload(&["check", scenario]).output().unwrap();
    let printed = text(&told.stdout);
    let request = printed.split("# variant one\n").nth(1).unwrap().trim();
    let command = format!("{request} --silent --show-error --output /dev/null --write-out '%{{http_code}}'");
    let output = Command::new("sh").args(["-c", &command]).env("no_proxy", "localhost").output().unwrap();
    assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A server block with TLS.
fn tls_server(authority: &Authority, name: &str, port: u16, more: &str) -> String {
    format!(
        "server {{ listen 127.0.0.1:{port} ssl {more}; ssl_certificate {}; ssl_certificate_key {};\n\
         location / {{ return 202; }} }}\n",
        authority.path(&format!("{name}.pem")),
        authority.path(&format!("{name}.key")),
    )
}

fn authority() -> Authority {
    let authority = Authority::new("test authority");
    authority.issue("server", "DNS:localhost, DNS:api.example.test", VALID);
    authority
}

/// `[target.connection]` with this authority.
fn trusting(authority: &Authority) -> String {
    format!("tls = {{ ca_file = '{}' }}\n", authority.path("ca.pem"))
}

#[test]
fn a_server_of_an_own_authority_is_spoken_to() {
    let (authority, port) = (authority(), free_port());
    let nginx = Nginx::start(&tls_server(&authority, "server", port, ""), &[port]);
    let (_, output) = accepted(&scenario(&format!("https://localhost:{port}"), &trusting(&authority), ""));
    assert!(text(&output.stderr).contains("trusts "), "the plan names the authority: {}", text(&output.stderr));
    let log = nginx.log(ATTEMPTS);
    assert_eq!(log.len(), ATTEMPTS, "the probe sends no request: {log:?}");
    assert!(log.iter().all(|line| line.protocol() == "HTTP/1.1"), "{log:?}");
    let connections: BTreeSet<_> = log.iter().map(nginx::Line::connection).collect();
    assert_eq!(connections.len(), 3, "a connection for each user: {log:?}");
}

#[test]
fn each_flaw_of_a_certificate_is_named_before_the_run_and_in_it() {
    let (own, other, namesake) = (authority(), Authority::new("another authority"), Authority::new("test authority"));
    own.issue("old", "DNS:localhost", EXPIRED);
    own.issue("stranger", "DNS:elsewhere.example.test", VALID);
    let ports = [free_port(), free_port(), free_port()];
    let names = ["server", "old", "stranger"];
    let servers: String = names.iter().zip(ports).map(|(name, port)| tls_server(&own, name, port, "")).collect();
    let _nginx = Nginx::start(&servers, &ports);
    let [good, old, stranger] = ports.map(|port| format!("https://localhost:{port}"));
    for (url, connection, flaw, remedy) in [
        (&good, String::new(), "tls.unknown_issuer", "tls.ca_file"),
        (&good, trusting(&other), "tls.unknown_issuer", "tls.ca_file"),
        (&good, trusting(&namesake), "tls.bad_signature", "tls.ca_file"),
        (&old, trusting(&own), "tls.expired", "renew"),
        (&stranger, trusting(&own), "tls.wrong_name", "target.connection.resolve"),
    ] {
        let scenario = scenario(url, &connection, "");
        let said = refused(&scenario);
        assert!(said.contains(&format!("({flaw})")) && said.contains(remedy), "{said}");
        assert_eq!(code(&scenario), format!("not_sent.{flaw}"));
    }
}

#[test]
fn insecure_believes_everybody_and_says_so() {
    let (authority, port) = (authority(), free_port());
    authority.issue("old", "DNS:elsewhere.example.test", EXPIRED);
    let _nginx = Nginx::start(&tls_server(&authority, "old", port, ""), &[port]);
    let (place, output) = accepted(&scenario(&format!("https://localhost:{port}"), "tls = { insecure = true }", ""));
    let said = text(&output.stderr);
    assert!(said.contains("caution: certificates are not checked"), "{said}");
    assert!(said.contains("warning: certificates were not checked"), "{said}");
    let warnings = json(&place.run().join("run.json"))["warnings"].clone();
    assert!(warnings.to_string().contains("certificates_not_checked"), "{warnings}");
}

#[test]
fn a_client_certificate_is_shown_to_who_asks() {
    let (authority, port) = (authority(), free_port());
    authority.issue("client", "DNS:client", VALID);
    let verify = format!("; ssl_verify_client on; ssl_client_certificate {}", authority.path("ca.pem"));
    let nginx = Nginx::start(&tls_server(&authority, "server", port, &verify), &[port]);
    let url = format!("https://localhost:{port}");
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let tls = format!("tls = {{ ca_file = '{ca}', client_cert = '{certificate}', client_key = '{key}' }}");
    let (place, _) = accepted(&scenario(&url, &tls, ""));
    let log = nginx.log(ATTEMPTS);
    assert!(log.iter().all(|line| line.client_verify() == "SUCCESS"), "{log:?}");
    assert_eq!(curl(&place.write("check.toml", &scenario(&url, &tls, ""))), "202");

    // nginx completes the handshake without one and answers 400 by itself.
    let place = Place::new();
    run(&place, &scenario(&url, &trusting(&authority), "")).output().unwrap();
    assert_eq!(counts(&place), BTreeMap::from([("rejected".to_owned(), ATTEMPTS)]));
    let log = nginx.log(2 * ATTEMPTS + 1);
    assert!(log[ATTEMPTS + 1..].iter().all(|line| line.client_verify() == "NONE"), "{log:?}");
}

#[test]
fn a_key_of_another_certificate_and_an_encrypted_one_are_mistakes_of_the_scenario() {
    let (own, other) = (authority(), authority());
    own.openssl(&["ec", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "traditional.key"]);
    own.openssl(&["pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:secret", "-out", "encrypted.key"]);
    let certificate = own.path("server.pem");
    for (key, why) in [
        (other.path("server.key"), "which does not belong to the certificate in"),
        (own.path("encrypted.key"), "which holds an encrypted key"),
        (own.path("traditional.key"), "which holds an encrypted key"),
    ] {
        let tls = format!("tls = {{ client_cert = '{certificate}', client_key = '{key}' }}");
        let output = run(&Place::new(), &scenario("https://localhost", &tls, "")).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains("`target.connection.tls.client_key`") && said.contains(why), "{said}");
    }
}

#[test]
fn a_server_that_insists_on_a_client_certificate_is_told_of_before_the_run() {
    let (own, other) = (authority(), authority());
    other.issue("client", "DNS:client", VALID);
    for (version, missing) in [("-tls1_3", "tls.client_certificate_required"), ("-tls1_2", "tls.handshake_refused")] {
        let port = free_port();
        let mut server = Command::new("openssl");
        server.args(["s_server", "-www", "-quiet", version, "-accept", &port.to_string(), "-Verify", "1"]);
        server.args(["-verify_return_error", "-CAfile", &own.path("ca.pem")]);
        server.args(["-cert", &own.path("server.pem"), "-key", &own.path("server.key")]);
        let _server = Server::start("openssl", &mut server, &[port]);
        let url = format!("https://localhost:{port}");
        let said = refused(&scenario(&url, &trusting(&own), ""));
        assert!(said.contains(&format!("({missing})")) && said.contains("client_cert"), "{said}");
        let [ca, certificate, key] = [own.path("ca.pem"), other.path("client.pem"), other.path("client.key")];
        let tls = format!("tls = {{ ca_file = '{ca}', client_cert = '{certificate}', client_key = '{key}' }}");
        let said = refused(&scenario(&url, &tls, ""));
        assert!(said.contains("(tls.client_certificate_refused)"), "{said}");
    }
}

#[test]
fn http_2_is_spoken_with_and_without_tls_on_as_many_connections_as_asked_for() {
    let (authority, ports) = (authority(), [free_port(), free_port()]);
    let plain = format!("server {{ listen 127.0.0.1:{} http2; location / {{ return 202; }} }}\n", ports[1]);
    let nginx = Nginx::start(&(tls_server(&authority, "server", ports[0], "http2") + &plain), &ports);
    let urls = [format!("https://localhost:{}", ports[0]), format!("http://127.0.0.1:{}", ports[1])];
    let connection = trusting(&authority) + "http = \"2\"";
    let mut seen = 0;
    for (url, (connections, expected)) in
        urls.iter().flat_map(|url| [("per-user", 3), ("shared", 1), ("per-request", ATTEMPTS)].map(|load| (url, load)))
    {
        accepted(&scenario(url, &connection, &format!("connections = \"{connections}\"")));
        let log = nginx.log(seen + ATTEMPTS);
        let lines = &log[seen..];
        assert_eq!(lines.len(), ATTEMPTS, "{log:?}");
        assert!(lines.iter().all(|line| line.protocol() == "HTTP/2.0"), "{log:?}");
        let opened: BTreeSet<_> = lines.iter().map(nginx::Line::connection).collect();
        assert_eq!(opened.len(), expected, "{url} {connections}: {log:?}");
        seen += ATTEMPTS;
    }
}

#[test]
fn a_server_without_http_2_is_told_of_before_the_run() {
    let (authority, port) = (authority(), free_port());
    let _nginx = Nginx::start(&tls_server(&authority, "server", port, ""), &[port]);
    let connection = trusting(&authority) + "http = \"2\"";
    let said = refused(&scenario(&format!("https://localhost:{port}"), &connection, ""));
    assert!(said.contains("(tls.no_common_http)") && said.contains("target.connection.http"), "{said}");
}

#[test]
fn a_server_without_http_2_and_without_tls_is_told_of_before_the_run() {
    let port = free_port();
    let server = format!("server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }}\n");
    let nginx = Nginx::start(&server, &[port]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs_up = silent.local_addr().unwrap();
    // Its thread ends with the test's process.
    thread::spawn(move || silent.incoming().for_each(drop));
    for address in [format!("127.0.0.1:{port}"), hangs_up.to_string()] {
        let said = refused(&scenario(&format!("http://{address}"), "http = \"2\"", ""));
        assert!(said.contains("(http2.not_spoken)") && said.contains("write http = \"1.1\""), "{said}");
    }
    assert!(nginx.log(1).iter().all(|line| !line.request().starts_with("PATCH")), "nothing was sent");
}

#[test]
fn requests_without_tls_go_by_way_of_a_proxy() {
    let [target, proxy] = [free_port(), free_port()];
    let servers = format!(
        "server {{ listen 127.0.0.1:{target}; location / {{ return 202; }} }}\n\
         server {{ listen 127.0.0.1:{proxy}; location / {{ proxy_pass http://$http_host$request_uri; }} }}\n"
    );
    let nginx = Nginx::start(&servers, &[target, proxy]);
    let url = format!("http://127.0.0.1:{target}");
    let (_, output) = accepted(&scenario(&url, &format!("proxy = \"http://127.0.0.1:{proxy}\""), ""));
    assert!(text(&output.stderr).contains("by way of 127.0.0.1"), "{}", text(&output.stderr));
    let log = nginx.log(2 * ATTEMPTS);
    for port in [target, proxy] {
        assert_eq!(log.iter().filter(|line| line.port() == port.to_string()).count(), ATTEMPTS, "{log:?}");
    }
    let asked = format!("PATCH {url}/one HTTP/1.1");
    assert!(log.iter().any(|line| line.request() == asked), "the proxy got the whole URL: {log:?}");
}

/// A proxy that opens tunnels for who knows the password, and what it was asked for.
struct TunnelProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asked_here = asked.clone();
        // Its threads end with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let asked = asked_here.clone();
                thread::spawn(move || tunnel(&stream.unwrap(), &asked));
            }
        });
        Self { port, asked }
    }
}

/// `Basic` of `load:s3cret`.
const PROXY_AUTHORIZATION: &str = "Basic bG9hZDpzM2NyZXQ=";

fn tunnel(client: &TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let head: Vec<String> = reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let Some(first) = head.first() else { return };
    asked.lock().unwrap().push(first.clone());
    let mut back = client.try_clone().unwrap();
    let is_allowed = head.iter().any(|line| {
        line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value == PROXY_AUTHORIZATION
        })
    });
    if !is_allowed {
        let _ = back.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let mut server = TcpStream::connect(first.split(' ').nth(1).unwrap()).unwrap();
    back.write_all(b"HTTP/1.1 200 Established\r\n\r\n").unwrap();
    let mut to_client = server.try_clone().unwrap();
    thread::spawn(move || {
        let _ = std::io::copy(&mut to_client, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut reader, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[test]
fn requests_with_tls_go_through_a_tunnel_whose_password_comes_from_the_environment() {
    let (authority, port) = (authority(), free_port());
    let nginx = Nginx::start(&tls_server(&authority, "server", port, "http2"), &[port]);
    let proxy = TunnelProxy::start();
    let url = format!("https://localhost:{port}");
    for version in ["1.1", "2"] {
        let connection = format!(
            "{}http = \"{version}\"\n\
             proxy = {{ url = \"http://127.0.0.1:{}\", user = \"load\", password = \"${{PROXY_PASSWORD}}\" }}",
            trusting(&authority),
            proxy.port
        );
        let scenario = scenario(&url, &connection, "");
        let place = Place::new();
        let output = run(&place, &scenario).env("PROXY_PASSWORD", "s3cret").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(counts(&place), BTreeMap::from([("accepted".to_owned(), ATTEMPTS)]));
        let told = std::fs::read_to_string(place.run().join("run.json")).unwrap();
        assert!(!told.contains("s3cret"), "{told}");

        let output = run(&Place::new(), &scenario).env("PROXY_PASSWORD", "wrong").output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let said = last_line(&output);
        assert!(said.contains("(proxy.authorization)") && said.contains("target.connection.proxy"), "{said}");
    }
    let asked = proxy.asked.lock().unwrap();
    assert!(asked.iter().all(|line| *line == format!("CONNECT localhost:{port} HTTP/1.1")), "{asked:?}");
    let protocols: BTreeSet<_> = nginx.log(2 * ATTEMPTS).iter().map(|line| line.protocol().to_owned()).collect();
    assert_eq!(protocols, BTreeSet::from(["HTTP/1.1".to_owned(), "HTTP/2.0".to_owned()]));
}

#[test]
fn a_name_is_what_the_scenario_says_for_requests_and_logins() {
    let (authority, port) = (authority(), free_port());
    let login = "} location /oauth/token { return 200 '{\"access_token\": \"t1\", \"expires_in\": 3600}'; ";
    let server = tls_server(&authority, "server", port, "").replace("return 202; ", &format!("return 202; {login}"));
    let nginx = Nginx::start(&server, &[port]);
    let connection = format!("{}resolve = {{ \"api.example.test\" = \"127.0.0.1:{port}\" }}", trusting(&authority));
    let auth = "[target.auth]\nkind = \"client-credentials\"\nclient_id = \"id\"\nclient_secret = \"secret\"\n\
                login_url = \"https://api.example.test/oauth/token\"\n";
    let scenario = scenario("https://api.example.test", &format!("{connection}\n{auth}"), "");
    let (place, _) = accepted(&scenario);
    let log = nginx.log(ATTEMPTS + 1);
    assert_eq!(curl(&place.write("check.toml", &scenario)), "202");
    assert_eq!(log.iter().filter(|line| line.request().starts_with("POST /oauth/token")).count(), 1, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.authorization() == "Bearer t1").count(), ATTEMPTS, "{log:?}");
}

#[test]
fn a_login_that_finds_no_trusted_server_says_why_and_what_to_do() {
    let (authority, ports) = (authority(), [free_port(), free_port()]);
    let plain = format!("server {{ listen 127.0.0.1:{}; location / {{ return 202; }} }}\n", ports[1]);
    let _nginx = Nginx::start(&(tls_server(&authority, "server", ports[0], "") + &plain), &ports);
    let auth = |host: &str| {
        format!(
            "[target.auth]\nkind = \"client-credentials\"\nclient_id = \"id\"\nclient_secret = \"secret\"\n\
             login_url = \"https://{host}:{}/oauth/token\"\n",
            ports[0]
        )
    };
    for (connection, host, code, remedy) in [
        (String::new(), "localhost", "tls.unknown_issuer", "`target.connection.tls.ca_file`"),
        (trusting(&authority), "127.0.0.1", "tls.wrong_name", "`target.auth.login_url`"),
    ] {
        let lines = format!("{connection}\n{}", auth(host));
        let said = refused(&scenario(&format!("http://127.0.0.1:{}", ports[1]), &lines, ""));
        assert!(said.contains("the login at https://") && said.contains(&format!("({code})")), "{said}");
        assert!(said.contains(remedy), "{said}");
    }
}

#[test]
fn a_source_address_of_another_family_than_the_other_end_is_told_of_before_the_run() {
    let port = free_port();
    let server = format!("server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }}");
    let nginx = Nginx::start(&server, &[port]);
    let resolve = format!("resolve = {{ \"api.example.test\" = \"127.0.0.1:{port}\" }}\n");
    for (host, connection) in [("127.0.0.1", ""), ("api.example.test", resolve.as_str())] {
        for addresses in ["\"::1\"", "\"127.0.0.1\", \"::1\""] {
            let connection = format!("{connection}source_addresses = [{addresses}]");
            let said = refused(&scenario(&format!("http://{host}:{port}"), &connection, ""));
            assert!(said.contains("from ::1, which is IPv6") && said.contains("source_addresses"), "{said}");
        }
    }
    assert!(nginx.log(0).is_empty(), "nothing was sent");
}

#[test]
fn users_take_the_source_addresses_in_turn() {
    let port = free_port();
    let server = format!("server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }}");
    let nginx = Nginx::start(&server, &[port]);
    let url = format!("http://127.0.0.1:{port}");
    let mut seen = 0;
    for connections in ["per-user", "shared", "per-request"] {
        let load = format!("connections = \"{connections}\"");
        accepted(&scenario(&url, "source_addresses = [\"127.0.0.2\", \"127.0.0.3\"]", &load));
        let log = nginx.log(seen + ATTEMPTS);
        let from = |address| log[seen..].iter().filter(|line| line.address() == address).count();
        // Three users with two requests each.
        assert_eq!([from("127.0.0.2"), from("127.0.0.3")], [4, 2], "{connections}: {log:?}");
        seen += ATTEMPTS;
    }
    let said = refused(&scenario(&url, "source_addresses = [\"127.0.0.2\", \"192.0.2.1\"]", ""));
    assert!(said.contains("no socket at 192.0.2.1") && said.contains("source_addresses"), "{said}");
}

#[test]
fn compressed_answers_are_asked_for_and_understood() {
    let port = free_port();
    let body = format!("{{\"code\": \"not.found\", \"message\": \"{}\"}}", "nobody ".repeat(50));
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; gzip on; gzip_types application/json; gzip_min_length 1;\n\
         location / {{ return 404 '{body}'; }} }}"
    );
    let nginx = Nginx::start(&server, &[port]);
    let url = format!("http://127.0.0.1:{port}");
    let mut seen = 0;
    for (compression, encoding) in [("", "-"), ("compression = true", "gzip")] {
        let place = Place::new();
        run(&place, &scenario(&url, compression, "")).output().unwrap();
        assert_eq!(codes(&place), BTreeSet::from(["not.found".to_owned()]), "{compression}");
        let log = nginx.log(seen + ATTEMPTS);
        assert!(log[seen..].iter().all(|line| line.accept_encoding() == encoding), "{log:?}");
        assert!(log[seen..].iter().all(|line| (line.gzip_ratio() == "-") == (encoding == "-")), "{log:?}");
        seen += ATTEMPTS;
    }
}

#[test]
fn a_connection_that_takes_too_long_is_told_from_an_answer_that_does() {
    // The kernel accepts the connection, and nobody ever speaks TLS on it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let scenario = scenario(&url, "connect_timeout = \"200ms\"", "");
    assert_eq!(code(&scenario), "not_sent.connect_timeout");
    let said = refused(&scenario);
    assert!(said.contains("no connection within 200ms") && said.contains("connect_timeout"), "{said}");
}
