//! The server: its threads and the listener.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::truth::Truth;
use super::worker;
use crate::scenario::{STATIC_TOKEN, Simulator};

/// Connections that the kernel holds until they are accepted. A load test may open thousands at once, and a connection
/// that finds the queue full is tried again a second later: that would be measured as the server's latency.
const BACKLOG: u32 = 4_096;

/// Accepted connections that wait for a thread to take them. When a thread is that far behind, the others' connections wait
/// too, in the kernel's queue.
const HANDED_OVER: usize = 256;

/// The pause after a connection could not be accepted, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; end what uses the address, or take another one, such as port 0 for any free port"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or its runtime cannot be made.
    #[error(
        "cannot start a thread of the simulator: {0}; lower the number of its threads or raise the limits of processes and open files"
    )]
    Thread(#[source] io::Error),
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropping it ends the accept loop, and that all threads.
    stop: Option<oneshot::Sender<()>>,
    /// Joined by [`Server::stop`].
    threads: Vec<JoinHandle<()>>,
}

/// Starts a simulator that listens on `address`, on so many threads of its own.
///
/// When this returns, connections are accepted. One thread accepts and deals them out in turn, so that each thread has
/// as many as any other. (A listener per thread on the same port would let the kernel choose by hash: uneven with few
/// connections, and a second simulator on the same address would go unnoticed.)
///
/// # Errors
/// When the address cannot be listened on, for example because it is in use, or a thread cannot be made.
pub fn start(config: &Simulator, address: SocketAddr, threads: NonZeroUsize) -> Result<Server, Error> {
    let listen = |source| Error::Listen { address, source };
    let socket = bind(address).map_err(listen)?;
    let shared = Arc::new(Shared::new(config, threads.get()));
    let (stop, stopped) = oneshot::channel();
    let mut server = Server {
        address: socket.local_addr().map_err(listen)?,
        shared: Arc::clone(&shared),
        stop: Some(stop),
        threads: Vec::with_capacity(threads.get()),
    };
    let (lanes, connections): (Vec<_>, Vec<_>) = (0..threads.get()).map(|_| mpsc::channel(HANDED_OVER)).unzip();
    let mut acceptor = Some(Acceptor { socket, address, lanes, stopped });
    // Each thread reports once, so there is room for every report.
    let (ready, reports) = std::sync::mpsc::sync_channel(threads.get());
    for (index, connections) in connections.into_iter().enumerate() {
        let thread = Thread { index, shared: Arc::clone(&shared), connections, acceptor: acceptor.take() };
        let ready = ready.clone();
        let builder = std::thread::Builder::new().name(format!("simulator-{index}"));
        server.threads.push(builder.spawn(move || thread.run(&ready)).map_err(Error::Thread)?);
    }
    drop(ready);
    for _ in 0..threads.get() {
        let panicked = |_| Error::Thread(io::Error::other("it ended before it was ready"));
        reports.recv().map_err(panicked)??;
    }
    Ok(server)
}

/// A socket bound to the address. An address in use is an error; one whose last connections still fade out is not.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Server {
    /// Where it listens, with the port that it was given where it asked for any.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token that is valid without a login, for as long as the configuration says. It has quotas like any other.
    #[must_use]
    pub fn token(&self) -> &'static str {
        STATIC_TOKEN
    }

    /// The account of all requests so far; after [`stop`](Self::stop) it is final.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.shared.api().truth()
    }

    /// The server's start, from which the truth counts its instants.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.shared.started
    }

    /// Writes what the server did with each of the latest requests, a line of JSON each: what `/_sim/truth` shows.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_truth(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let end = self.shared.api().next_number();
        let mut next = 0;
        while next < end {
            let page = self.shared.page(next, end);
            if page.text.is_empty() {
                break;
            }
            out.write_all(&page.text)?;
            next = page.next;
        }
        Ok(())
    }

    /// The time that each thread ran or waited for a core, at most about 50 ms old where the thread runs at all. Always
    /// zero where the system does not tell (anything but Linux).
    #[must_use]
    pub fn busy(&self) -> Vec<Duration> {
        self.shared.busy()
    }

    /// Closes the listener and all connections, and waits until all threads have ended. A second call does nothing.
    pub fn stop(&mut self) {
        self.stop.take();
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so on standard error; there is nothing left to stop.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a thread is started with.
struct Thread {
    index: usize,
    shared: Arc<Shared>,
    /// Its share of the accepted connections; closed when the acceptor ends.
    connections: mpsc::Receiver<std::net::TcpStream>,
    /// The first thread accepts for all.
    acceptor: Option<Acceptor>,
}

/// Accepts connections and deals them out.
struct Acceptor {
    socket: TcpSocket,
    address: SocketAddr,
    /// A lane to each thread, owned here alone: a thread ends when its lane does.
    lanes: Vec<mpsc::Sender<std::net::TcpStream>>,
    /// Resolves when the server is stopped.
    stopped: oneshot::Receiver<()>,
}

impl Thread {
    /// Serves until the acceptor ends; reports before that whether it can serve at all.
    fn run(self, ready: &SyncSender<Result<(), Error>>) {
        // A report that nobody waits for: another thread has failed, and the start with it.
        let report = |result| drop(ready.send(result));
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return report(Err(Error::Thread(error))),
        };
        runtime.block_on(async {
            let Some(Acceptor { socket, address, lanes, stopped }) = self.acceptor else {
                report(Ok(()));
                return worker::serve(self.shared, self.connections, self.index).await;
            };
            let listener = match socket.listen(BACKLOG) {
                Ok(listener) => listener,
                Err(source) => return report(Err(Error::Listen { address, source })),
            };
            report(Ok(()));
            let accepting = accept(&self.shared, listener, lanes, stopped);
            tokio::join!(accepting, worker::serve(Arc::clone(&self.shared), self.connections, self.index));
        });
    }
}

/// Accepts until `stopped`, and deals the connections out in turn.
async fn accept(
    shared: &Shared,
    listener: TcpListener,
    lanes: Vec<mpsc::Sender<std::net::TcpStream>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let deal = async {
        for lane in lanes.iter().cycle() {
            let stream = loop {
                match accept_one(&listener).await {
                    Ok(stream) => break stream,
                    // Most often there are too many open files: connections may end meanwhile, the listener stays.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            };
            shared.api().connected();
            // Fails only where the thread has panicked. Its connections are lost, and the run sees them break.
            let _lost = lane.send(stream).await;
        }
    };
    tokio::select! {
        () = deal => {}
        // The sender is dropped, never used.
        _ = &mut stopped => {}
    }
}

/// A connection that any thread's runtime can take over.
async fn accept_one(listener: &TcpListener) -> io::Result<std::net::TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    stream.into_std()
}
