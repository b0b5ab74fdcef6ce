//! Request bodies, checked apart from the state: the server's lock is not held meanwhile.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::change::{Attributes, Change, Claims, Effect, Extent, fingerprint};
use super::forum;
use super::refusal::{LoginRefusal, Refusal, to_json};
use super::route::{Call, Reply, Route};
use crate::scenario::{CLIENT_ID, CLIENT_SECRET};

/// A request's body as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than the API takes; not kept.
    TooLarge {
        /// So many bytes came.
        bytes: usize,
    },
    /// It did not arrive in time.
    Late,
}

/// What a request without fault asks for, beside its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing.
    Nothing,
    /// A change of attributes.
    Change(Change),
    /// A change of the participant itself.
    Participant {
        /// Whether it ends the call.
        hangs_up: bool,
    },
    /// A token for this client, counted from 0.
    Login {
        /// Which.
        client: u32,
    },
}

/// The request body of a write, and the answer's body where there is one.
#[derive(Serialize)]
struct Echo<'a> {
    attributes: &'a Attributes,
}

impl Body {
    /// The bytes that came, as far as the request is counted by them.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::TooLarge { bytes } => *bytes,
            Self::Late => 0,
        }
    }

    /// All of it, where it came.
    pub(super) fn whole(&self) -> Result<&Bytes, Refusal> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::TooLarge { .. } => Err(Refusal::TooLarge),
            Self::Late => Err(Refusal::Timeout),
        }
    }
}

impl Input {
    /// Checks what can be checked without the state; the login knows so many clients.
    pub(super) fn read(call: &Call<'_>, body: &Body, clients: u32) -> Result<Self, Refusal> {
        match call.route {
            Route::Unknown => Err(Refusal::UnknownPath),
            Route::WrongMethod { allow } => Err(Refusal::WrongMethod { allow }),
            Route::Conversation { .. } | Route::Limits { .. } | Route::Inspect(_) => Ok(Self::Nothing),
            Route::Login => login(call, body, clients).map(|client| Self::Login { client }).map_err(Refusal::Login),
            Route::Forum { form, .. } => forum::read(form, call, body.whole()?).map(Self::Change),
            Route::Participant { .. } => participant(json_body(call, body)?),
            Route::Attributes { reply, .. } => documented(reply, json_body(call, body)?).map(Self::Change),
        }
    }

    /// The number of attributes that it changes.
    pub(super) fn attributes(&self) -> usize {
        match self {
            Self::Change(change) => change.attributes.len(),
            Self::Nothing | Self::Participant { .. } | Self::Login { .. } => 0,
        }
    }
}

/// The body of a request that must be JSON.
fn json_body<'a>(call: &Call<'_>, body: &'a Body) -> Result<&'a [u8], Refusal> {
    if !is_media_type(call.content_type, "application/json") {
        return Err(Refusal::ContentType);
    }
    Ok(body.whole()?)
}

/// A documented change of attributes.
fn documented(reply: Reply, body: &[u8]) -> Result<Change, Refusal> {
    let attributes = attributes(body)?;
    let answer = match reply {
        Reply::Empty => Vec::new(),
        Reply::Echo => to_json(&Echo { attributes: &attributes }),
    };
    Ok(Change {
        attributes,
        extent: Extent::Merge,
        claims: Claims::default(),
        effect: Effect::Applied,
        status: StatusCode::ACCEPTED,
        body: answer,
        fingerprint: fingerprint(body),
    })
}

/// A documented change of the participant itself. Fields that it does not have are ignored, as the API does.
fn participant(body: &[u8]) -> Result<Input, Refusal> {
    let malformed = |error: serde_json::Error| Refusal::Malformed { reason: error.to_string() };
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(malformed)?;
    let given = |field| fields.get(field).filter(|value| !value.is_null());
    for field in ["recording", "muted", "confined", "held", "wrapupSkipped"] {
        if given(field).is_some_and(|value| !value.is_boolean()) {
            return Err(Refusal::Value { field });
        }
    }
    if given("wrapup").is_some_and(|value| !value.is_object()) {
        return Err(Refusal::Value { field: "wrapup" });
    }
    match given("state") {
        None => Ok(Input::Participant { hangs_up: false }),
        Some(Value::String(state)) => Ok(Input::Participant { hangs_up: state == "disconnected" }),
        Some(_) => Err(Refusal::Value { field: "state" }),
    }
}

/// Whether the header names this media type, with whatever parameters.
fn is_media_type(header: Option<&[u8]>, name: &str) -> bool {
    let name_of = |header: &[u8]| {
        let end = header.iter().position(|byte| *byte == b';').unwrap_or(header.len());
        header[..end].trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    };
    header.is_some_and(name_of)
}

/// The number of the client that asks for a token.
fn login(call: &Call<'_>, body: &Body, clients: u32) -> Result<u32, LoginRefusal> {
    let credentials = call
        .authorization
        .and_then(|header| scheme(header, "basic"))
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|credentials| String::from_utf8(credentials).ok())
        .ok_or(LoginRefusal::Client)?;
    let client = credentials
        .split_once(':')
        .filter(|(_, secret)| *secret == CLIENT_SECRET)
        .and_then(|(id, _)| client_number(id))
        .filter(|number| *number < clients)
        .ok_or(LoginRefusal::Client)?;
    let form = is_media_type(call.content_type, "application/x-www-form-urlencoded");
    let Body::Whole(body) = body else { return Err(LoginRefusal::Form) };
    match form_urlencoded::parse(body).find(|(name, _)| form && name == "grant_type") {
        Some((_, grant)) if grant == "client_credentials" => Ok(client),
        Some(_) => Err(LoginRefusal::Grant),
        None => Err(LoginRefusal::Form),
    }
}

/// The number of a client, from 0: the first bears the plain name, the others the name with `-2` and so on.
fn client_number(id: &str) -> Option<u32> {
    match id.strip_prefix(CLIENT_ID)? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse::<u32>().ok().filter(|number| *number >= 2).map(|number| number - 1),
    }
}

/// What follows the scheme in an `Authorization` header; `None` where it has another scheme. Schemes have no case.
pub(super) fn scheme<'a>(header: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    name.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

fn attributes(body: &[u8]) -> Result<Attributes, Refusal> {
    let malformed = |error: serde_json::Error| Refusal::Malformed { reason: error.to_string() };
    let mut json = serde_json::Deserializer::from_slice(body);
    let map = json.deserialize_map(Envelope).map_err(malformed)?;
    json.end().map_err(malformed)?;
    let map = match map {
        Field::Right(map) => map,
        Field::Null => return Err(Refusal::Null { field: "attributes".to_owned() }),
        Field::Wrong => return Err(Refusal::Type { field: "attributes".to_owned() }),
    };
    if let Some((key, null)) = map.wrong {
        let field = format!("attributes.{key}");
        return Err(if null { Refusal::Null { field } } else { Refusal::Type { field } });
    }
    Ok(map.texts)
}

/// Something of the type that belongs there, or what is there instead.
enum Field<T> {
    Right(T),
    Null,
    Wrong,
}

/// The entries of `attributes`.
#[derive(Default)]
struct Entries {
    texts: Attributes,
    /// The first entry that is no text, and whether it is null.
    wrong: Option<(Box<str>, bool)>,
}

/// The types that a field can have.
trait Expected: Sized {
    fn of_text(_text: &str) -> Option<Self> {
        None
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Expected for Box<str> {
    fn of_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Expected for Entries {
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Self::default();
        while let Some((key, value)) = map.next_entry::<Box<str>, Field<Box<str>>>()? {
            match value {
                // Of a key that comes twice the last value counts, as in every common JSON library.
                Field::Right(text) => drop(entries.texts.insert(key, text)),
                Field::Null => drop(entries.wrong.get_or_insert((key, true))),
                Field::Wrong => drop(entries.wrong.get_or_insert((key, false))),
            }
        }
        Ok(Some(entries))
    }
}

impl<'de, T: Expected> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType(PhantomData))
    }
}

/// Takes a value of any type: a type that does not belong there is an answer, not an error of the parser.
struct AnyType<T>(PhantomData<T>);

impl<'de, T: Expected> Visitor<'de> for AnyType<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::of_text(text).map_or(Field::Wrong, Field::Right))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(T::of_map(map)?.map_or(Field::Wrong, Field::Right))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Wrong)
    }
}

/// The body: an object of which only `attributes` counts.
struct Envelope;

impl<'de> Visitor<'de> for Envelope {
    type Value = Field<Entries>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the field attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut attributes = Field::Null;
        while let Some(name) = fields.next_key::<Box<str>>()? {
            if &*name == "attributes" {
                attributes = fields.next_value()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(attributes)
    }
}
