//! One thread's part of the server: its connections, from the socket to the API and back.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

use super::api::{Asked, Ending, Verdict};
use super::body::{Body, Input};
use super::in_flight::InFlight;
use super::inspect::inspect;
use super::outgoing::{NoAnswer, Outgoing};
use super::pacer::Pacer;
use super::refusal::MAX_BODY;
use super::route::{Call, Route};
use super::shared::Shared;

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
    let address = stream.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let service = service_fn(move |request| answer(Rc::clone(&worker), request, address));
    // Answers are small: a copy into one buffer costs less than a list of buffers (5.9 against 6.3 us per PATCH).
    let mut connection = http1::Builder::new().writev(false).serve_connection(TokioIo::new(stream), service);
    let ended = Pin::new(&mut connection).await;
    let reset = |error: &hyper::Error| matches!(error.source().and_then(|e| e.downcast_ref()), Some(NoAnswer::Reset));
    if ended.as_ref().is_err_and(reset) {
        // With no time to linger the socket is closed by a reset instead of an orderly end. hyper keeps the socket from
        // the service, but gives it back once the connection has ended.
        connection.into_parts().io.into_inner().set_zero_linger()?;
    }
    Ok(())
}

async fn answer(
    worker: Rc<Worker>,
    request: Request<Incoming>,
    address: IpAddr,
) -> Result<Response<Outgoing>, NoAnswer> {
    let (head, body) = request.into_parts();
    let (shared, config) = (&worker.shared, &worker.shared.config);
    let call = Call::of(&head, config.dialect, address);
    if let Route::Inspect(what) = call.route {
        return Ok(inspect(shared, what, head.uri.query()));
    }
    // The time is read under the lock, so that the state never sees time go back.
    let number = shared.with_api(|api, now| api.receive(&call, now));
    let body = read(body, config.body_timeout).await.map_err(NoAnswer::Unread)?;
    let input = Input::read(&call, &body, config.clients);
    let bytes = body.length();
    let drawn = if call.kind.is_faulty() { shared.chance.latency(number) } else { Duration::ZERO };
    let latency = worker.pacer.plan(drawn);
    let (now, verdict) =
        shared.with_api(|api, now| (now, api.answer(Asked { number, call: &call, input, bytes, now, latency })));
    let in_flight = verdict.in_flight.map(|caller| InFlight { shared: Arc::clone(shared), caller });
    worker.wait(now, &verdict).await;
    match verdict.ending {
        Ending::Reset => Err(NoAnswer::Reset),
        Ending::Answer(answer, signals) => {
            let reply = answer.into_reply(config.dialect, shared.chance.correlation_id(number), signals);
            let mut response = Outgoing::response(reply, verdict.faults, config.faults.slow_body.time);
            if let Some(in_flight) = in_flight {
                response.body_mut().hold(in_flight);
            }
            Ok(response)
        }
    }
}

/// The whole body, without a copy where it came in one piece.
async fn read(body: Incoming, within: Duration) -> Result<Body, Box<dyn std::error::Error + Send + Sync>> {
    timeout(within, read_whole(body)).await.unwrap_or(Ok(Body::Late))
}

async fn read_whole(mut body: Incoming) -> Result<Body, Box<dyn std::error::Error + Send + Sync>> {
    match Limited::new(&mut body, MAX_BODY).collect().await {
        Ok(whole) => Ok(Body::Whole(whole.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            // What was read before the limit is gone, but it was at least as much.
            let mut bytes = MAX_BODY;
            let mut rest = Limited::new(body, DRAIN);
            while let Some(frame) = rest.frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
            }
            Ok(Body::TooLarge { bytes })
        }
        Err(error) => Err(error),
    }
}

impl Worker {
    /// Waits for the instant of an answer to a request that was whole at `now`.
    async fn wait(&self, now: Duration, verdict: &Verdict) {
        if verdict.answer_at > now {
            sleep_until((self.shared.epoch + verdict.answer_at).into()).await;
            // What holds an answer back beside its latency is none: the pacer owes nothing for it.
            if !verdict.is_held_back {
                self.pacer.late(self.shared.now().saturating_sub(verdict.answer_at));
            }
        }
    }
}
