//! A server that answers each request as the test says, and remembers what it was asked.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part of it"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// The value of its `Authorization` header.
    pub authorization: String,
    /// How many requests for a token came before this one.
    pub logins_before: usize,
}

impl Asked {
    /// Whether it asks for a token.
    pub fn is_login(&self) -> bool {
        self.line.starts_with("POST /oauth/token")
    }
}

/// The status, further header lines, and the body.
pub type Reply = (u16, &'static str, String);

/// A server on a port of its own; its threads end with the test.
pub struct Answering {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Answering {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, remembered) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, asked) = (answer.clone(), remembered.clone());
                // A client that goes away ends the conversation.
                thread::spawn(move || converse(stream, &asked, &*answer));
            }
        });
        Self { address, asked }
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests for a token so far.
    pub fn logins(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(Asked::is_login).collect()
    }

    /// `[target]` and `[target.auth]` for this server as API and token endpoint, with these further lines.
    pub fn target(&self, auth: &str) -> String {
        let Self { address, .. } = self;
        format!(
            "[target]\nbase_url = \"http://{address}\"\n[target.auth]\nkind = \"client-credentials\"\n\
             login_url = \"http://{address}/oauth/token\"\n{auth}"
        )
    }
}

/// The answer to a login that gives this token for so many seconds.
pub fn granted(token: &str, expires_in: u64) -> Reply {
    let body = format!(r#"{{"access_token": "{token}", "token_type": "bearer", "expires_in": {expires_in}}}"#);
    (200, "", body)
}

/// The answer to a login with a wrong secret.
pub fn refused() -> Reply {
    (401, "", r#"{"error": "invalid_client", "description": "unknown client or wrong secret"}"#.to_owned())
}

fn converse(stream: TcpStream, asked: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Reply) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut authorization) = (String::new(), 0, String::new());
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if lines.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = &head[start..];
            if let Some((name, value)) = line.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap(),
                    "authorization" => value.trim().clone_into(&mut authorization),
                    _ => {}
                }
            }
        }
        lines.read_exact(&mut vec![0; length]).ok()?;
        let line = head.lines().next().unwrap_or_default().to_owned();
        let request = {
            let mut asked = asked.lock().unwrap();
            let logins_before = asked.iter().filter(|asked| asked.is_login()).count();
            asked.push(Asked { line, authorization, logins_before });
            asked.last()?.clone()
        };
        let (status, headers, body) = answer(&request);
        let text = format!("HTTP/1.1 {status} Told\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        out.write_all(text.as_bytes()).ok()?;
    }
}
