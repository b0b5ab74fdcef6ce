//! Request bodies, checked apart from the state: the server's lock is not held meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::form_urlencoded;

use super::fault::{Fault, LoginFault, to_json};
use super::route::{Call, Reply, Route};
use crate::scenario::{CLIENT_ID, CLIENT_SECRET};

/// A map of attributes. Owned, because an accepted one is kept.
pub(super) type Attributes = BTreeMap<Box<str>, Box<str>>;

/// A request's body as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than the API takes; not kept.
    TooLarge,
}

/// What a request without fault asks for, beside its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing.
    Nothing,
    /// A change of attributes.
    Attributes {
        /// The new values.
        attributes: Attributes,
        /// The body of the answer.
        answer: Vec<u8>,
    },
    /// A token for the right client.
    Login,
}

/// The request body of a write, and the answer's body where there is one.
#[derive(Serialize)]
struct Echo<'a> {
    attributes: &'a Attributes,
}

impl Input {
    /// Checks what can be checked without the state.
    pub(super) fn read(call: &Call<'_>, body: &Body) -> Result<Self, Fault> {
        match call.route {
            Route::Unknown => Err(Fault::UnknownPath),
            Route::WrongMethod { allow } => Err(Fault::WrongMethod { allow }),
            Route::Conversation { .. } => Ok(Self::Nothing),
            Route::Login => login(call, body).map(|()| Self::Login).map_err(Fault::Login),
            Route::Attributes { reply, .. } => {
                if !is_media_type(call.content_type, "application/json") {
                    return Err(Fault::ContentType);
                }
                let Body::Whole(body) = body else { return Err(Fault::TooLarge) };
                let attributes = attributes(body)?;
                let answer = match reply {
                    Reply::Empty => Vec::new(),
                    Reply::Echo => to_json(&Echo { attributes: &attributes }),
                };
                Ok(Self::Attributes { attributes, answer })
            }
        }
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

fn login(call: &Call<'_>, body: &Body) -> Result<(), LoginFault> {
    let credentials = call
        .authorization
        .and_then(|header| scheme(header, "basic"))
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    let known = [CLIENT_ID, CLIENT_SECRET].join(":");
    if credentials.is_none_or(|credentials| credentials != known.as_bytes()) {
        return Err(LoginFault::Client);
    }
    let form = is_media_type(call.content_type, "application/x-www-form-urlencoded");
    let Body::Whole(body) = body else { return Err(LoginFault::Form) };
    match form_urlencoded::parse(body).find(|(name, _)| form && name == "grant_type") {
        Some((_, grant)) if grant == "client_credentials" => Ok(()),
        Some(_) => Err(LoginFault::Grant),
        None => Err(LoginFault::Form),
    }
}

/// What follows the scheme in an `Authorization` header; `None` where it has another scheme. Schemes have no case.
pub(super) fn scheme<'a>(header: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    name.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

fn attributes(body: &[u8]) -> Result<Attributes, Fault> {
    let malformed = |error: serde_json::Error| Fault::Malformed { reason: error.to_string() };
    let mut json = serde_json::Deserializer::from_slice(body);
    let map = json.deserialize_map(Envelope).map_err(malformed)?;
    json.end().map_err(malformed)?;
    let map = match map {
        Field::Right(map) => map,
        Field::Null => return Err(Fault::Null { field: "attributes".to_owned() }),
        Field::Wrong => return Err(Fault::Type { field: "attributes".to_owned() }),
    };
    if let Some((key, null)) = map.wrong {
        let field = format!("attributes.{key}");
        return Err(if null { Fault::Null { field } } else { Fault::Type { field } });
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
