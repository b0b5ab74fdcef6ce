//! One attempt against a server that sends what the test says, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use patchload::engine::RunClock;
use patchload::http::{Attempt, Clients, Request, Transport as _};
use patchload::measure::Outcome;
use patchload::scenario::{Overrides, Scenario};

/// A server that calls `answer` for every request it reads, on any number of connections.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers; the connection is closed when `answer` returns false. Threads end with the test's process.
    fn start(answer: impl Fn(&mut TcpStream) -> bool + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: requests.clone(),
            connections: connections.clone(),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (answer, requests) = (answer.clone(), requests.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    while read_request(&mut stream) {
                        requests.fetch_add(1, Ordering::Relaxed);
                        if !answer(&mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    /// Sends the same bytes to every request and keeps the connection.
    fn sends(bytes: &'static str) -> Self {
        Self::start(move |stream| stream.write_all(bytes.as_bytes()).is_ok())
    }

    /// Sends the same bytes to every request and closes the connection.
    fn sends_and_closes(bytes: &'static str) -> Self {
        Self::start(move |stream| {
            let _ = stream.write_all(bytes.as_bytes());
            false
        })
    }
}

/// Reads one request of a PATCH with a body of two bytes; false at the end of the connection.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n{}") {
        match stream.read(&mut byte) {
            Ok(1) => read.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Sends so many attempts, one after the other, as one user.
fn attempts(address: SocketAddr, connections: &str, count: usize) -> Vec<Attempt> {
    attempts_with(address, connections, count, "")
}

/// The same, with more in the scenario.
fn attempts_with(address: SocketAddr, connections: &str, count: usize, more: &str) -> Vec<Attempt> {
    let text = format!(
        r#"
        name = "http"
        [target]
        base_url = "http://{address}"
        timeout = "400ms"
        [[variant]]
        name = "one"
        path = "/one"
        body = "{{}}"
        expect = [202]
        [load]
        stages = [{{ for = "1s", users = 1 }}]
        connections = "{connections}"
        {more}
        "#
    );
    let scenario = Scenario::parse(Path::new("http.toml"), text.as_bytes(), &|_| None, &Overrides::default()).unwrap();
    let scenario = Arc::new(scenario);
    let base = format!("http://{address}").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clients = Clients::new(scenario.clone(), &base).unwrap();
        let user = clients.for_worker(RunClock::new(Instant::now())).unwrap().user();
        let mut attempts = Vec::new();
        for step in 0..count {
            let operation = scenario.operation(0, step as u64);
            let rendered = scenario.variants[0].render(&scenario, &operation).unwrap();
            attempts.push(user.attempt(Request { variant: 0, rendered, authorization: None }).await);
        }
        attempts
    })
}

fn attempt(server: &Server) -> Attempt {
    attempts(server.address, "per-user", 1).remove(0)
}

fn told(attempt: &Attempt) -> (Outcome, Option<u16>, &str) {
    (attempt.answer.outcome, attempt.answer.status, &attempt.answer.code)
}

#[test]
fn a_status_that_is_expected_is_accepted() {
    let attempt = attempt(&Server::sends("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(told(&attempt), (Outcome::Accepted, Some(202), ""));
    assert!(attempt.connect.is_some() && attempt.first_byte.is_some());
}

#[test]
fn a_success_that_is_not_expected_is_told_apart() {
    let attempt = attempt(&Server::sends("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
    assert_eq!(told(&attempt), (Outcome::Unexpected, Some(200), ""));
}

#[test]
fn a_429_brings_its_code_correlation_id_and_retry_after() {
    let attempt = attempt(&Server::sends(concat!(
        "HTTP/1.1 429 Too Many Requests\r\nININ-Correlation-Id: 2f6e\r\nRetry-After: 42\r\ncontent-length: 85\r\n\r\n",
        r#"{"message":"wait","code":"too.many.requests.retry.after","status":429,"details":[] } "#,
    )));
    assert_eq!(told(&attempt), (Outcome::Throttled, Some(429), "too.many.requests.retry.after"));
    assert_eq!(attempt.answer.retry_after, Some(Duration::from_secs(42)));
    assert_eq!(attempt.answer.correlation_id.as_deref(), Some("2f6e"));
    assert_eq!(attempt.answer.message.as_deref(), Some("wait"));
}

#[test]
fn a_retry_after_may_be_a_date() {
    let attempt = attempt(&Server::sends(concat!(
        "HTTP/1.1 429 Too Many Requests\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n",
        "Retry-After: Sat, 21 Nov 2026 10:01:30 GMT\r\ncontent-length: 0\r\n\r\n",
    )));
    assert_eq!(attempt.answer.retry_after, Some(Duration::from_secs(90)));
}

#[test]
fn a_code_may_stand_in_the_errors_alone_and_the_correlation_id_in_the_body() {
    let attempt = attempt(&Server::sends(concat!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 55\r\n\r\n",
        r#"{"contextId":"77","errors":[{"errorCode":"bad.thing"}]}"#,
    )));
    assert_eq!(told(&attempt), (Outcome::Rejected, Some(400), "bad.thing"));
    assert_eq!(attempt.answer.correlation_id.as_deref(), Some("77"));
}

#[test]
fn a_rule_of_the_scenario_sees_the_error_in_an_accepted_answer() {
    const RULE: &str =
        "[[outcome]]\nname = \"not-ok\"\nstatus = 202\npointer = \"/ok\"\nequals = false\nas = \"rejected\"";
    let told_of = |bytes| attempts_with(Server::sends(bytes).address, "per-user", 1, RULE).remove(0);
    let refused = told_of(concat!(
        "HTTP/1.1 202 Accepted\r\nx-request-id: r-7\r\ncontent-length: 46\r\n\r\n",
        r#"{"ok":false,"message":"no such participant" } "#,
    ));
    assert_eq!(told(&refused), (Outcome::Rejected, Some(202), "not-ok"));
    assert_eq!(refused.answer.correlation_id.as_deref(), Some("r-7"));
    assert_eq!(refused.answer.message.as_deref(), Some("no such participant"));
    let accepted = told_of("HTTP/1.1 202 Accepted\r\ncontent-length: 11\r\n\r\n{\"ok\":true}");
    assert_eq!(told(&accepted), (Outcome::Accepted, Some(202), ""));
}

#[test]
fn a_problem_is_named_by_its_type_and_tells_its_field() {
    let attempt = attempt(&Server::sends(concat!(
        "HTTP/1.1 422 Unprocessable\r\ncontent-type: application/problem+json\r\ncontent-length: 118\r\n\r\n",
        r##"{"type":"https://example.com/invalid-attribute","title":"Invalid","errors":[{"detail":"too long","pointer":"#/tier"}]}"##,
    )));
    assert_eq!(told(&attempt), (Outcome::Rejected, Some(422), "invalid-attribute"));
    assert_eq!(attempt.answer.field.as_deref(), Some("#/tier"));
    assert_eq!(attempt.answer.message.as_deref(), Some("Invalid"));
}

#[test]
fn bodies_that_are_html_empty_or_text_are_named_so() {
    for (body, code) in [
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 16\r\n\r\n <html>oh</html>", "html"),
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n", "empty"),
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\n\r\nbusy", "text"),
    ] {
        assert_eq!(told(&attempt(&Server::sends(body))), (Outcome::Failed, Some(503), code));
    }
}

#[test]
fn a_body_that_is_cut_is_broken_and_keeps_its_status() {
    let attempt = attempt(&Server::sends_and_closes("HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n{"));
    assert_eq!(told(&attempt), (Outcome::Broken, Some(202), "closed"));
    assert!(!attempt.answer.not_sent && attempt.first_byte.is_some());
}

#[test]
fn what_is_no_http_is_a_breach_of_the_protocol() {
    let attempt = attempt(&Server::sends_and_closes("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    assert_eq!(told(&attempt), (Outcome::Broken, None, "protocol"));
}

#[test]
fn a_connection_that_closes_without_an_answer_is_not_tried_again() {
    let server = Server::start(|_| false);
    let attempt = attempt(&server);
    assert_eq!(told(&attempt), (Outcome::Broken, None, "closed"));
    assert!(!attempt.answer.not_sent);
    assert_eq!(server.requests.load(Ordering::Relaxed), 1);
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::sends("HTTP/1.1 307 Temporary Redirect\r\nlocation: /two\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(told(&attempt(&server)), (Outcome::Unexpected, Some(307), ""));
    assert_eq!(server.requests.load(Ordering::Relaxed), 1);
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout() {
    let server = Server::start(|_| {
        thread::sleep(Duration::from_secs(2));
        false
    });
    let attempt = attempt(&server);
    assert_eq!(told(&attempt), (Outcome::Broken, None, "timeout"));
    assert!(!attempt.answer.not_sent, "it was sent");
    let service = attempt.done.saturating_sub(attempt.sent);
    assert!(service >= Duration::from_millis(400) && service < Duration::from_secs(2), "{service:?}");
}

#[test]
fn nobody_listening_is_not_sent() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let attempt = attempts(address, "per-user", 1).remove(0);
    assert_eq!(told(&attempt), (Outcome::Broken, None, "not_sent.refused"));
    assert!(attempt.answer.not_sent && attempt.connect.is_none());
}

#[test]
fn an_attempt_is_done_when_the_whole_body_is_read() {
    let server = Server::start(|stream| {
        let head = stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n");
        thread::sleep(Duration::from_millis(150));
        head.and_then(|()| stream.write_all(b"{}")).is_ok()
    });
    let attempt = attempt(&server);
    assert_eq!(told(&attempt), (Outcome::Accepted, Some(202), ""));
    let body = attempt.done.saturating_sub(attempt.first_byte.unwrap());
    assert!(body >= Duration::from_millis(100), "{body:?}");
}

#[test]
fn a_user_keeps_its_connection_and_per_request_opens_one_each() {
    const ANSWER: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    for (connections, expected) in [("per-user", 1), ("shared", 1), ("per-request", 3)] {
        let server = Server::sends(ANSWER);
        let attempts = attempts(server.address, connections, 3);
        assert_eq!(server.connections.load(Ordering::Relaxed), expected, "{connections}");
        let opened = attempts.iter().filter(|attempt| attempt.connect.is_some()).count();
        assert_eq!(opened, expected, "{connections}");
    }
}

#[test]
fn what_a_server_never_read_is_not_sent_although_it_accepted_the_connection() {
    // The connection is reset before anything was read: either the request was written, or it is marked as unsent.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for attempt in attempts(address, "per-request", 50) {
        assert_eq!(attempt.answer.outcome, Outcome::Broken);
        assert_eq!(attempt.answer.not_sent, attempt.answer.code.starts_with("not_sent."), "{:?}", attempt.answer);
    }
}
