//! The simulated Conversations API: an HTTP/1.1 server with known behaviour, to test the tool and scenarios against.
//!
//! It owns the server's threads, its state and the truth about what it received ([`Truth`], and a line for each request at
//! `/_sim/truth`). It never uses anything of the load generator: what a run measured and what the simulator counted are two
//! independent accounts.
//!
//! # The way of a request
//! `worker` reads it from its connection, `route` finds the operation, `body` and `forum` check what can be checked without
//! the state. Then, under one lock, `api` asks `tokens` and `quotas`, applies a `write` to the `conversations`, and notes it
//! in the `log`. `answer` and `outgoing` give the verdict the form of HTTP.
//!
//! # Rules of both dialects
//! A known path with another method is 405, anything else 404; neither needs a token or uses up a quota. A request is judged
//! when it has arrived as a whole, because it may cost by its body, in this order, and the first failure is the answer:
//!
//! 1. the token: 401;
//! 2. the quotas: 429. It must pass all of them, and is counted by each only then, but for those that count refused requests;
//! 3. the right to write: 403;
//! 4. the request itself: content type (415), the body in time (408) and size (413), its content (400), then conversation
//!    and participant (404), then their state (409).
//!
//! A login with too many live tokens, or too soon after too many others, is refused as the API refuses too many logins.
//!
//! In the dialect `documented` operations are the PATCH of participant attributes (generic, and by medium: `calls`,
//! `callbacks`, `emails`, `messages`; every conversation is taken to be of every medium), the PATCH of the participant itself,
//! whose `state: "disconnected"` ends the call, the GET of a conversation, the GET of the organisation's limits, and
//! `POST /oauth/token`. A map that is missing is a null map, other fields beside `attributes` are ignored. A write to a
//! conversation that has ended is taken like any other, because nothing says what becomes of it. Codes of which nothing says
//! when the API gives them are never given: `invalid.date`, `not.authorized`, `missing.any.permissions`, and the `limit` of an
//! error body. The dialect `forum` is described in its module.
//!
//! # Time
//! The latency of PATCH, PUT and GET is log-normal, a function of the seed and the request's number, and counts from the
//! whole request. Requests are numbered as their heads arrive. Instants are whole microseconds, so that the truth tells them
//! exactly. A write takes effect some time after its answer's instant, whether or not the client still waits for the answer;
//! writes merge per key, in the order of their answers. A read shows what is visible when it arrives. A stall holds back
//! every answer, also to a login.
//!
//! # Memory
//! The visible attributes: participants × distinct keys × the value's length (twice where reads may be stale); keys are never
//! forgotten. Beside them the writes that are not visible yet or will be undone, at most 10,000 tokens, at most 320 bytes for each request that
//! the truth remembers, and the keys of quotas that are in use, with at most as many idle ones or 10,000. Nothing else grows
//! with the number of requests.

mod ailment;
mod answer;
mod api;
mod body;
mod chance;
mod change;
mod conversations;
#[cfg(test)]
mod desk;
mod form;
mod forum;
mod id;
mod in_flight;
mod inspect;
mod limits;
mod log;
mod note;
mod outgoing;
mod pacer;
mod participant;
mod quotas;
mod refusal;
mod route;
mod server;
mod shared;
mod signals;
mod tokens;
mod truth;
mod worker;
mod write;

pub use server::{Error, Server, start};
pub use truth::{Counts, Truth};
