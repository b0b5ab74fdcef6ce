//! The API at hand, without a socket: what tests of its rules share.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::Request;
use serde_json::Value;

use super::answer::Reply;
use super::api::{Api, Asked, Ending};
use super::body::{Body, Input};
use super::chance::Chance;
use super::route::Call;
use crate::quota::{Cost, Limiter, Model, Quota, Scope};
use crate::scenario::{Participant, STATIC_TOKEN, Simulator, population};
use crate::units::Rate;

/// The API with its first two conversations at hand.
pub(super) struct Desk {
    pub(super) api: Api,
    pub(super) config: Simulator,
    chance: Chance,
    pub(super) known: Vec<Participant>,
    /// The header of a request that says nothing else.
    pub(super) authorization: String,
}

/// A response, read whole.
pub(super) struct Reading {
    /// 0 for a reset.
    pub(super) status: u16,
    pub(super) headers: hyper::HeaderMap,
    pub(super) body: Value,
}

impl Desk {
    pub(super) fn new(config: &Simulator) -> Self {
        let api = Api::new(config, SystemTime::UNIX_EPOCH);
        let authorization = format!("Bearer {STATIC_TOKEN}");
        let known = population(config).take(4).collect();
        Self { api, config: config.clone(), chance: Chance::new(config), known, authorization }
    }

    pub(super) fn write_path(&self) -> String {
        let Participant { conversation_id, participant_id, .. } = &self.known[0];
        format!("/api/v2/conversations/{conversation_id}/participants/{participant_id}/attributes")
    }

    pub(super) fn read_path(&self) -> String {
        format!("/api/v2/conversations/{}", self.known[0].conversation_id)
    }

    /// A request with the ready token, answered at once.
    pub(super) fn send(&mut self, request: (&str, &str), body: &str, at: Duration) -> Reading {
        let authorization = self.authorization.clone();
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.send_with(request, &headers, &Body::Whole(Bytes::copy_from_slice(body.as_bytes())), at)
    }

    pub(super) fn send_with(
        &mut self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &Body,
        at: Duration,
    ) -> Reading {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (head, ()) = request.body(()).unwrap().into_parts();
        let call = Call::of(&head, self.config.dialect, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let number = self.api.receive(&call, at);
        let input = Input::read(&call, body, self.config.clients);
        let bytes = body.length();
        let asked = Asked { number, call: &call, input, bytes, now: at, latency: Duration::ZERO };
        let verdict = self.api.answer(asked);
        match verdict.ending {
            Ending::Reset => Reading { status: 0, headers: hyper::HeaderMap::new(), body: Value::Null },
            Ending::Answer(answer, signals) => {
                let id = self.chance.correlation_id(number);
                Reading::of(answer.into_reply(self.config.dialect, id, signals))
            }
        }
    }

    /// The lines of the truth.
    pub(super) fn truth(&self) -> Vec<Value> {
        let (first, entries) = self.api.copy_log(0, usize::MAX);
        let line = |(number, entry): (u64, &super::log::Entry)| {
            serde_json::from_slice(&entry.line(number, &self.chance, &self.config.quotas)).unwrap()
        };
        (first..).zip(&entries).map(line).collect()
    }

    pub(super) fn login(&mut self, authorization: &str, form: &str, at: Duration) -> Reading {
        let headers = [("authorization", authorization), ("content-type", "application/x-www-form-urlencoded")];
        let body = Body::Whole(Bytes::copy_from_slice(form.as_bytes()));
        self.send_with(("POST", "/oauth/token"), &headers, &body, at)
    }

    /// The customer's attributes as a read shows them.
    pub(super) fn attributes(&mut self, at: Duration) -> Value {
        let reading = self.send(("GET", &self.read_path()), "", at);
        assert_eq!(reading.status, 200);
        reading.body["participants"][0]["attributes"].clone()
    }
}

impl Reading {
    fn of(reply: Reply) -> Self {
        let Reply { status, headers, body } = reply;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
        Self { status: status.as_u16(), headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

pub(super) const ZERO: Duration = Duration::ZERO;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many requests per window for each token, from the first request on.
pub(super) fn window(count: u32, per: Duration) -> Vec<Quota> {
    let rate = Rate::new(count.try_into().unwrap(), per).unwrap();
    vec![Quota {
        name: "token".to_owned(),
        limiter: Limiter::new(Model::FirstRequestWindow { rate }),
        scope: Scope { token: true, ..Scope::default() },
        cost: Cost::Request,
    }]
}
