//! The simulated Conversations API: an HTTP/1.1 server with known behaviour, to test the tool and scenarios against.
//!
//! It owns the server's threads, its state and the truth about what it received ([`Truth`]). It never uses anything of
//! the load generator: what a run measured and what the simulator counted are two independent accounts.
//!
//! # Rules of the dialect `documented`
//! Operations are the two PATCH paths of participant attributes (generic, and by medium: `calls`, `callbacks`, `emails`,
//! `messages`; every conversation is taken to be of every medium), the GET of a conversation, and `POST /oauth/token`.
//! A known path with another method is 405, anything else 404; neither needs a token or uses up a quota. A request is
//! checked in this order, and the first failure is the answer:
//!
//! 1. the token: 401;
//! 2. the token's quota: 429. Refused requests are not counted. Both are judged when the request's head arrives;
//! 3. the request itself: content type (415), size (413), body (400), then conversation and participant (404).
//!
//! A map that is missing is a null map, other fields beside `attributes` are ignored. A login with too many live tokens
//! is refused as the API refuses too many logins, so that the memory of tokens has a bound.
//!
//! # Time
//! The latency of PATCH and GET is log-normal, a function of the seed and the request's number, and counts from the whole
//! request. Requests are numbered as their heads arrive. A write takes effect `visible_after` after its answer's instant,
//! whether or not the client still waits for the answer; writes merge per key, in the order of their answers. A read
//! shows what is visible when it arrives. A stall holds back every answer, also to a login.
//!
//! # Memory
//! The visible attributes: participants × distinct keys × the value's length; keys are never forgotten. Beside them the
//! writes of the last `visible_after` and latency, and at most 10,000 tokens. Nothing grows with the number of requests.

mod answer;
mod api;
mod body;
mod chance;
mod conversations;
mod fault;
mod id;
mod pacer;
mod route;
mod server;
mod shared;
mod tokens;
mod truth;
mod worker;

pub use server::{Error, Server, start};
pub use truth::{Counts, Truth};
