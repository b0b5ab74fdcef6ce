//! One thread's part of the server: its connections, from the socket to the API and back.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::api::{Slot, Ticket};
use super::body::{Body, Input};
use super::fault::MAX_BODY;
use super::pacer::Pacer;
use super::route::Call;
use super::shared::Shared;
use super::truth::Kind;

/// How often a thread publishes its CPU time.
const CPU_EVERY: Duration = Duration::from_millis(50);

/// How much of a body that is too large is read all the same, in bytes: a client that still sends sees a reset connection
/// instead of the answer. Whoever sends more is cut off.
const DRAIN: usize = 16 * MAX_BODY;

/// What the connections of one thread share.
struct Worker {
    shared: Arc<Shared>,
    pacer: Pacer,
}

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    /// A fault of ours, drawn by the request's number.
    #[error("the connection is reset instead of an answer")]
    Reset,
    /// The client went away.
    #[error("the request's body did not arrive: {0}")]
    Unread(Box<dyn std::error::Error + Send + Sync>),
}

/// Serves the connections that arrive until no more can, and publishes the thread's CPU time as that of thread `index`.
/// Connections that are open then are closed.
pub(super) async fn serve(shared: Arc<Shared>, mut connections: mpsc::Receiver<std::net::TcpStream>, index: usize) {
    let worker = Rc::new(Worker { shared, pacer: Pacer::default() });
    let mut tasks = JoinSet::new();
    let mut publish = interval(CPU_EVERY);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            connection = connections.recv() => {
                let Some(connection) = connection else { break };
                tasks.spawn_local(connection_loop(Rc::clone(&worker), connection));
            }
            // Only to let go of tasks that ended; how they did is nobody's concern.
            Some(_) = tasks.join_next() => {}
            _ = publish.tick() => worker.shared.publish_busy(index),
        }
    }
    tasks.shutdown().await;
    worker.shared.publish_busy(index);
}

/// Serves one connection until either side ends it. Whatever ends it, the client sees it for itself.
async fn connection_loop(worker: Rc<Worker>, connection: std::net::TcpStream) -> io::Result<()> {
    let stream = TcpStream::from_std(connection)?;
    let service = service_fn(move |request| answer(Rc::clone(&worker), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = Pin::new(&mut connection).await;
    let reset = |error: &hyper::Error| matches!(error.source().and_then(|e| e.downcast_ref()), Some(NoAnswer::Reset));
    if ended.as_ref().is_err_and(reset) {
        // With no time to linger the socket is closed by a reset instead of an orderly end. hyper keeps the socket from
        // the service, but gives it back once the connection has ended.
        connection.into_parts().io.into_inner().set_zero_linger()?;
    }
    Ok(())
}

async fn answer(worker: Rc<Worker>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let (shared, call) = (&worker.shared, Call::of(&head));
    let Ticket { number, refusal } = shared.api().receive(&call, shared.now());
    let body = read(body).await.map_err(NoAnswer::Unread)?;
    let slot = worker.slot(call.kind, number);
    if is_faulty(call.kind) && shared.chance.resets(number) {
        shared.api().reset(call.kind, &slot);
        worker.wait(&slot).await;
        return Err(NoAnswer::Reset);
    }
    let input = refusal.map_or_else(|| Input::read(&call, &body), Err);
    let answer = shared.api().answer(&call, input, &slot);
    worker.wait(&slot).await;
    Ok(answer.into_response(shared.chance.correlation_id(number)))
}

/// Whether latency and resets apply.
fn is_faulty(kind: Kind) -> bool {
    matches!(kind, Kind::Patch | Kind::Get)
}

/// The whole body, without a copy where it came in one piece.
async fn read(mut body: Incoming) -> Result<Body, Box<dyn std::error::Error + Send + Sync>> {
    match Limited::new(&mut body, MAX_BODY).collect().await {
        Ok(whole) => Ok(Body::Whole(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            let mut rest = Limited::new(body, DRAIN);
            while let Some(frame) = rest.frame().await {
                frame?;
            }
            Ok(Body::TooLarge)
        }
        Err(error) => Err(error),
    }
}

impl Worker {
    /// When the request that is whole now will be answered.
    fn slot(&self, kind: Kind, number: u64) -> Slot {
        let now = self.shared.now();
        let latency = if is_faulty(kind) { self.shared.chance.latency(number) } else { Duration::ZERO };
        let answer_at = now.saturating_add(self.pacer.plan(latency));
        match self.shared.chance.stall_end(answer_at) {
            Some(end) => Slot { now, answer_at: end, stalled: true },
            None => Slot { now, answer_at, stalled: false },
        }
    }

    async fn wait(&self, slot: &Slot) {
        if slot.answer_at > slot.now {
            sleep_until((self.shared.epoch + slot.answer_at).into()).await;
            // A stall is no latency: the pacer owes nothing for it.
            if !slot.stalled {
                self.pacer.late(self.shared.now().saturating_sub(slot.answer_at));
            }
        }
    }
}
