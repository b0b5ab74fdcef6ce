//! A door in front of a server, which a test shuts and opens while a run goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The door. Its threads end with the test's process.
pub(crate) struct Gate {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    /// A read whose path has this in it is answered with 404.
    hidden: Option<String>,
    /// Both sides of each connection.
    connections: Vec<TcpStream>,
}

impl Gate {
    /// An open door to a server.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::<Mutex<State>>::default());
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                thread::spawn(move || pass(client, server, &state));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections, and each new one before it says a word: the server has died, as far as anybody can see.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_shut = true;
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Lets everything through again.
    pub(crate) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        (state.is_shut, state.hidden) = (false, None);
    }

    /// Answers reads of paths with this in them with 404.
    pub(crate) fn hide(&self, part: &str) {
        self.state.lock().unwrap().hidden = Some(part.to_owned());
    }
}

/// Takes a client's requests to the server, each of which comes in one piece, and the answers back.
fn pass(mut client: TcpStream, server: SocketAddr, state: &Mutex<State>) -> Option<()> {
    let mut upstream = TcpStream::connect(server).ok()?;
    {
        let mut state = state.lock().unwrap();
        if state.is_shut {
            return None;
        }
        state.connections.extend([client.try_clone().ok()?, upstream.try_clone().ok()?]);
    }
    let (mut answers, mut back) = (upstream.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 16_384];
    loop {
        let request = match client.read(&mut bytes) {
            Ok(read) if read > 0 => &bytes[..read],
            _ => break,
        };
        let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
        let hidden = state.lock().unwrap().hidden.clone();
        if line.starts_with("GET ") && hidden.is_some_and(|hidden| line.contains(&hidden)) {
            client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?;
        } else {
            upstream.write_all(request).ok()?;
        }
    }
    upstream.shutdown(Shutdown::Both).ok()
}
