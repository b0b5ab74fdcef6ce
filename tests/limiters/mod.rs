//! Rate limiters that nobody here wrote, each in a server of its own on a free port, and what is true of them.
//!
//! All are keyed by the `Authorization` header, answer a PATCH of any path with 200 or 202, and refuse with 429.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part of it"
)]

use std::fs;
use std::process::Command;

use crate::nginx::{Nginx, Server, free_port};

/// What .ci/run installs for these tests.
const REMEDY: &str = "as .ci/run installs it (haproxy and nginx-light from Debian, limits and throttled-py from PyPI, \
                      express, express-rate-limit and rate-limiter-flexible from npm)";

/// Where the servers' scripts are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/limiters");

/// A limiter of other people's making.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// By which tests and scripts call it.
    pub name: &'static str,
    /// How its users configure it.
    pub configured: &'static str,
    /// What it is: one tier or more, the most often refusing one first. Empty for what no known kind is.
    pub truth: &'static [Tier],
    /// The share by which a time may be off.
    pub within: f64,
    /// What serves it.
    program: Program,
}

/// What is true of a limiter, or of one of several.
#[derive(Debug, Clone, Copy)]
pub struct Tier {
    /// What it is, as `patchload profile` says it.
    pub kind: &'static str,
    /// Requests of a window; for buckets the burst; for queues those that wait; for concurrency those in flight.
    pub limit: u32,
    /// Seconds of a window; for buckets and queues those in which one request is regained; 0 for concurrency.
    pub time: f64,
    /// Seconds for which a refusal blocks; 0 where it does not.
    pub block: f64,
}

/// What a limiter runs in.
#[derive(Debug, Clone, Copy)]
enum Program {
    /// nginx with these zones, and these directives where requests pass.
    Nginx { zones: &'static str, location: &'static str },
    /// nginx with these, before a server that answers slowly.
    NginxBeforeSlow { zones: &'static str, location: &'static str },
    /// `HAProxy` with these rules on a stick table.
    HaProxy(&'static str),
    /// `server.py`.
    Python,
    /// `server.js`.
    Node,
}

/// Clocks of a millisecond.
const FINE: f64 = 0.002;
/// Clocks of a second.
const COARSE: f64 = 0.03;

const WINDOW: &str = "fixed window from the first request";
const CLOCK_WINDOW: &str = "fixed window on the clock";
const COUNTER: &str = "sliding counter in whole requests";
const ANCHORED: &str = "sliding counter from the first request";
const BUCKET: &str = "token bucket";
const TICKING: &str = "token bucket with clock ticks";

const fn tier(kind: &'static str, limit: u32, time: f64) -> Tier {
    Tier { kind, limit, time, block: 0.0 }
}

const fn foreign(name: &'static str, configured: &'static str, program: Program) -> Foreign {
    Foreign { name, configured, truth: &[], within: FINE, program }
}

impl Foreign {
    const fn is(self, truth: &'static [Tier]) -> Self {
        Self { truth, ..self }
    }

    const fn within(self, within: f64) -> Self {
        Self { within, ..self }
    }

    /// The limiter of this name.
    pub fn named(name: &str) -> Self {
        let found = LIMITERS.iter().chain(&MISFITS).find(|limiter| limiter.name == name);
        *found.unwrap_or_else(|| panic!("there is no limiter {name}"))
    }
}

/// The limiters that have a true answer.
pub const LIMITERS: [Foreign; 16] = [
    foreign(
        "nginx-nodelay",
        "nginx `limit_req` 5r/s, burst=9 nodelay",
        Program::Nginx { zones: REQUESTS, location: "limit_req zone=a burst=9 nodelay;" },
    )
    .is(&[tier(BUCKET, 10, 0.2)]),
    foreign(
        "nginx-delaying",
        "nginx `limit_req` 5r/s, burst=9",
        Program::Nginx { zones: REQUESTS, location: "limit_req zone=a burst=9;" },
    )
    .is(&[tier("leaky queue", 9, 0.2)]),
    foreign(
        "nginx-two",
        "nginx `limit_req` 10r/s, burst=4 and 120r/m, burst=29, nodelay",
        Program::Nginx {
            zones: "limit_req_zone $http_authorization zone=a:1m rate=10r/s;
                    limit_req_zone $http_authorization zone=b:1m rate=120r/m;",
            location: "limit_req zone=a burst=4 nodelay; limit_req zone=b burst=29 nodelay;",
        },
    )
    .is(&[tier(BUCKET, 5, 0.1), tier(BUCKET, 30, 0.5)]),
    foreign(
        "nginx-connections",
        "nginx `limit_conn` 6",
        Program::NginxBeforeSlow {
            zones: "limit_conn_zone $http_authorization zone=a:1m;",
            location: "limit_conn a 6; limit_conn_status 429;",
        },
    )
    .is(&[tier("concurrency limit", 6, 0.0)]),
    foreign(
        "haproxy-untracked",
        "HAProxy `http_req_rate(3s)` ge 20, refusals not tracked",
        Program::HaProxy(
            "http-request deny deny_status 429 if { req.hdr(Authorization),table_http_req_rate(api) ge 20 }
             http-request track-sc0 req.hdr(Authorization)",
        ),
    )
    .is(&[tier(ANCHORED, 20, 3.0)]),
    foreign(
        "haproxy-tracked",
        "HAProxy `http_req_rate(3s)` gt 20, refusals tracked",
        Program::HaProxy(
            "http-request track-sc0 req.hdr(Authorization)
             http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }",
        ),
    )
    .is(&[tier("sliding counter from the first request, refused requests count", 20, 3.0)]),
    foreign("express-rate-limit", "express-rate-limit 15 per 3 s", Program::Node).is(&[tier(WINDOW, 15, 3.0)]),
    foreign("flexible", "rate-limiter-flexible 10 per 2 s", Program::Node).is(&[tier(WINDOW, 10, 2.0)]),
    foreign("flexible-block", "rate-limiter-flexible 10 per 2 s, `blockDuration` 5", Program::Node)
        .is(&[Tier { block: 5.0, ..tier("fixed window from the first request, block after a refusal", 10, 2.0) }]),
    foreign("limits-fixed", "`limits` fixed window, 12 per 3 s", Program::Python).is(&[tier(WINDOW, 12, 3.0)]),
    foreign("limits-moving", "`limits` moving window, 12 per 3 s", Program::Python).is(&[tier("sliding log", 12, 3.0)]),
    foreign("limits-counter", "`limits` sliding window counter, 12 per 3 s", Program::Python)
        .is(&[tier(COUNTER, 12, 3.0)]),
    foreign("throttled-gcra", "throttled-py GCRA, 12 per 3 s, burst 8", Program::Python).is(&[tier(BUCKET, 8, 0.25)]),
    foreign("throttled-bucket", "throttled-py token bucket, 12 per 3 s, burst 8", Program::Python)
        .is(&[tier(TICKING, 8, 0.25)])
        .within(COARSE),
    foreign("throttled-leaking", "throttled-py leaking bucket, 12 per 3 s, burst 8", Program::Python)
        .is(&[tier(TICKING, 8, 0.25)])
        .within(COARSE),
    foreign("throttled-fixed", "throttled-py fixed window, 12 per 3 s", Program::Python).is(&[tier(
        CLOCK_WINDOW,
        12,
        3.0,
    )]),
];

/// Servers of which no known kind is true, or that have no limit at all.
pub const MISFITS: [Foreign; 3] = [
    foreign("shedding", "one request of ten refused at random", Program::Python),
    foreign("changing", "a window whose limit changes every 7 s", Program::Python),
    foreign("open", "no limit", Program::Python),
];

const REQUESTS: &str = "limit_req_zone $http_authorization zone=a:1m rate=5r/s;";

/// A limiter's server; killed when dropped.
pub struct Running {
    /// Where it listens.
    pub port: u16,
    /// nginx and what is behind it, or any other server, with its configuration.
    _held: (Option<Nginx>, Option<Server>, Option<tempfile::TempDir>),
}

impl Running {
    /// Starts the server of a limiter.
    pub fn start(limiter: &Foreign) -> Self {
        let port = free_port();
        let held = match limiter.program {
            Program::Nginx { zones, location } => (Some(nginx(port, free_port(), zones, location, true)), None, None),
            Program::NginxBeforeSlow { zones, location } => {
                let behind = free_port();
                let slow = script("python3", "server.py", "slow", behind);
                (Some(nginx(port, behind, zones, location, false)), Some(slow), None)
            }
            Program::HaProxy(rules) => {
                let (server, folder) = haproxy(port, rules);
                (None, Some(server), Some(folder))
            }
            Program::Python => (None, Some(script("python3", "server.py", limiter.name, port)), None),
            Program::Node => (None, Some(script("node", "server.js", limiter.name, port)), None),
        };
        Self { port, _held: held }
    }
}

/// nginx before another server on a port, or before itself, for what it answers itself passes no limit.
fn nginx(port: u16, behind: u16, zones: &str, location: &str, is_own: bool) -> Nginx {
    let own = if is_own { format!("server {{ listen 127.0.0.1:{behind}; return 202; }}") } else { String::new() };
    let servers = format!(
        "{zones} limit_req_status 429; keepalive_timeout 600s; {own}
         server {{ listen 127.0.0.1:{port}; location / {{ {location} proxy_pass http://127.0.0.1:{behind}; }} }}"
    );
    Nginx::start(&servers, &[port])
}

/// `HAProxy`, which answers itself what its rules let pass.
fn haproxy(port: u16, rules: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global
           nbthread 1
         defaults
           mode http
           timeout client 600s
           timeout http-request 10s
           timeout http-keep-alive 600s
         frontend api
           bind 127.0.0.1:{port}
           option http-buffer-request
           stick-table type string len 64 size 1k expire 60s store http_req_rate(3s)
           {rules}
           http-request return status 202\n"
    );
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let program = format!("haproxy {REMEDY}");
    (Server::start(&program, Command::new("haproxy").args(["-db", "-f"]).arg(&file), &[port]), folder)
}

/// A script of ours around a library of somebody else's.
fn script(program: &str, file: &str, name: &str, port: u16) -> Server {
    let mut command = Command::new(program);
    command.arg(format!("{SCRIPTS}/{file}")).args([name, &port.to_string()]).env("NODE_PATH", modules(program));
    Server::start(&format!("{program} with its packages {REMEDY}"), &mut command, &[port])
}

/// Where npm puts what it installs for everybody; nothing for a program other than Node.js.
fn modules(program: &str) -> String {
    if program != "node" {
        return String::new();
    }
    let output = Command::new("npm").args(["root", "--global"]).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs npm {REMEDY}: {error}"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
