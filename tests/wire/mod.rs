//! What tests over a real socket share: a simulator, and a connection that does nothing that it is not told.
#![allow(clippy::unwrap_used, dead_code, reason = "helpers of tests fail as tests do, and no test uses all of them")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use patchload::scenario::{Draw, LogNormal, Participant, STATIC_TOKEN, Simulator, population};
use patchload::sim::{self, Server};
use patchload::units::Share;
use serde_json::Value;

/// A body that changes nothing.
pub(crate) const EMPTY: &str = r#"{"attributes": {}}"#;

/// No quota, no latency, no delay: each test adds what it is about.
pub(crate) fn plain() -> Simulator {
    let latency = LogNormal { median: Duration::ZERO, p99: Duration::ZERO };
    Simulator {
        quotas: Vec::new(),
        latency,
        visible_after: LogNormal::always(Duration::ZERO),
        conversations: 10,
        ..Simulator::default()
    }
}

pub(crate) fn start(config: &Simulator, threads: usize) -> Server {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    sim::start(config, any_port, NonZeroUsize::new(threads).unwrap()).unwrap()
}

/// A share of the requests, drawn with the simulator's seed.
pub(crate) fn share(share: f64) -> Draw {
    Draw { share: Share::new(share).unwrap(), seed: None }
}

pub(crate) fn write_path(participant: &Participant) -> String {
    let Participant { conversation_id, participant_id, .. } = participant;
    format!("/api/v2/conversations/{conversation_id}/participants/{participant_id}/attributes")
}

pub(crate) fn first_participant(config: &Simulator) -> Participant {
    population(config).next().unwrap()
}

/// A connection of our own: no retries, no pool.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) token: String,
    /// What has arrived and was not asked for yet.
    rest: Vec<u8>,
}

/// A response, read to its end or as far as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Lines of the head after the first, in lower case.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// Why the body is not whole.
    pub(crate) broken: Option<ErrorKind>,
}

impl Connection {
    pub(crate) fn open(server: &Server) -> Self {
        Self::to(server.address())
    }

    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, token: STATIC_TOKEN.to_owned(), rest: Vec::new() }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let head = self.head(method, path, body.len());
        self.stream.write_all((head + body).as_bytes())
    }

    /// The head of a request with a body of so many bytes.
    pub(crate) fn head(&self, method: &str, path: &str, length: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: simulator\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.token,
        )
    }

    /// Reads one response; an error where not even its head came.
    pub(crate) fn response(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let head = head.lines().skip(1).map(str::to_lowercase).collect();
        let mut response = Response { status, head, body: Vec::new(), broken: None };
        response.broken = self.body(&mut response).err().map(|error| error.kind());
        Ok(response)
    }

    fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.header("transfer-encoding").is_some() {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).unwrap();
                self.take(length, &mut response.body)?;
                self.line()?;
                if length == 0 {
                    return Ok(());
                }
            }
        }
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        self.take(length, &mut response.body)
    }

    /// Moves so many bytes, or all there are before the connection breaks.
    fn take(&mut self, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let mut left = length;
        loop {
            let n = left.min(self.rest.len());
            body.extend(self.rest.drain(..n));
            left -= n;
            if left == 0 {
                return Ok(());
            }
            self.more()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.rest.drain(..end + 2).collect();
                return Ok(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        let n = self.stream.read(&mut buffer)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.rest.extend_from_slice(&buffer[..n]);
        Ok(())
    }

    /// Sends a request and reads the response, which must be whole: its status and body.
    pub(crate) fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        self.send(method, path, body)?;
        let response = self.response()?;
        match response.broken {
            Some(kind) => Err(kind.into()),
            None => Ok((response.status, String::from_utf8(response.body).unwrap())),
        }
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The lines of the truth from number `from` on, fetched over a connection of its own.
pub(crate) fn truth(address: SocketAddr, from: u64) -> Vec<Value> {
    let (status, text) = Connection::to(address).exchange("GET", &format!("/_sim/truth?from={from}"), "").unwrap();
    assert_eq!(status, 200);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until something holds that a server does on its own.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
