//! Which operation a request asks for.

use std::net::IpAddr;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;

use super::form::Form;
use super::truth::Kind;
use crate::scenario::Dialect;

/// The header in which a client says what it calls a request.
const REQUEST_ID: &str = "x-request-id";

/// A request without its body.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) method: &'a Method,
    pub(super) route: Route<'a>,
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) content_type: Option<&'a [u8]>,
    /// What its client calls it.
    pub(super) request_id: Option<&'a str>,
    /// Where it comes from.
    pub(super) address: IpAddr,
}

/// An operation with what its path names. Ids are UUIDs, which percent-encoding leaves alone, so paths are not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Changes attributes of a participant, as documented.
    Attributes {
        /// What the answer says.
        reply: Reply,
        whom: Whom<'a>,
    },
    /// Changes a participant itself, as documented.
    Participant { whom: Whom<'a> },
    /// Changes attributes of a participant, as the forum tells it.
    Forum { form: Form, whom: Whom<'a> },
    /// Reads a conversation.
    Conversation {
        /// Id of the conversation.
        conversation: &'a str,
    },
    /// Reads the organisation's limits.
    Limits {
        /// Which of them.
        namespace: &'a str,
    },
    /// Asks for a token.
    Login,
    /// Looks into the simulator itself.
    Inspect(Inspection),
    /// A known path with the wrong method.
    WrongMethod {
        /// The right methods.
        allow: &'static str,
    },
    /// Nothing that the API has.
    Unknown,
}

/// What of the simulator itself can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspection {
    /// What the server did with each of the latest requests.
    Truth,
    /// The parameters.
    Config,
    /// Nothing that it has.
    Unknown,
}

/// The participant that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whom<'a> {
    /// Id of the conversation; `None` where the path names none.
    pub(super) conversation: Option<&'a str>,
    /// Id of the participant.
    pub(super) participant: &'a str,
}

/// What the answer to a write says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing.
    Empty,
    /// The attributes of the request.
    Echo,
}

impl<'a> Call<'a> {
    /// What the head of a request asks for.
    pub(super) fn of(head: &'a Parts, dialect: Dialect, address: IpAddr) -> Self {
        let header = |name| head.headers.get(name).map(hyper::header::HeaderValue::as_bytes);
        let route = Route::of(dialect, &head.method, head.uri.path());
        let kind = match (&head.method, route) {
            (&Method::PATCH, _) => Kind::Patch,
            (&Method::PUT, _) => Kind::Put,
            (&Method::GET, _) => Kind::Get,
            (_, Route::Login) => Kind::Login,
            _ => Kind::Other,
        };
        Self {
            kind,
            method: &head.method,
            route,
            authorization: header(AUTHORIZATION),
            content_type: header(CONTENT_TYPE),
            request_id: head.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()),
            address,
        }
    }
}

impl Inspection {
    /// What the path after `/_sim/` names.
    fn of(name: &str) -> Self {
        match name {
            "truth" => Self::Truth,
            "config" => Self::Config,
            _ => Self::Unknown,
        }
    }
}

impl<'a> Whom<'a> {
    fn new(conversation: &'a str, participant: &'a str) -> Self {
        Self { conversation: Some(conversation), participant }
    }
}

impl<'a> Route<'a> {
    fn of(dialect: Dialect, method: &Method, path: &'a str) -> Self {
        match Self::at(dialect, path) {
            Self::Unknown => Self::Unknown,
            route if route.methods().split(", ").any(|known| known == method.as_str()) => route,
            route => Self::WrongMethod { allow: route.methods() },
        }
    }

    fn at(dialect: Dialect, path: &'a str) -> Self {
        if path == "/oauth/token" {
            return Self::Login;
        }
        let Some(rest) = path.strip_prefix("/api/v2/") else {
            return path.strip_prefix("/_sim/").map_or(Self::Unknown, |name| Self::Inspect(Inspection::of(name)));
        };
        if let Some(namespace) = rest.strip_prefix("organizations/limits/namespaces/") {
            return Self::Limits { namespace };
        }
        let mut parts = rest.split('/');
        // The longest path has six parts; what is longer has a seventh, which no pattern has.
        let parts: [Option<&str>; 7] = std::array::from_fn(|_| parts.next());
        match dialect {
            Dialect::Documented => Self::documented(parts),
            Dialect::Forum => Self::forum(parts),
        }
    }

    fn documented(parts: [Option<&'a str>; 7]) -> Self {
        const MEDIA: [&str; 4] = ["calls", "callbacks", "emails", "messages"];
        let [Some("conversations"), parts @ ..] = parts else { return Self::Unknown };
        match parts {
            [Some(conversation), None, ..] => Self::Conversation { conversation },
            [Some(medium), Some(c), Some("participants"), Some(p), Some("attributes"), None]
                if MEDIA.contains(&medium) =>
            {
                Self::Attributes { reply: Reply::Echo, whom: Whom::new(c, p) }
            }
            [Some(medium), Some(c), Some("participants"), Some(p), None, ..] if MEDIA.contains(&medium) => {
                Self::Participant { whom: Whom::new(c, p) }
            }
            [Some(c), Some("participants"), Some(p), Some("attributes"), None, ..] => {
                Self::Attributes { reply: Reply::Empty, whom: Whom::new(c, p) }
            }
            [Some(c), Some("participants"), Some(p), None, ..] => Self::Participant { whom: Whom::new(c, p) },
            _ => Self::Unknown,
        }
    }

    fn forum(parts: [Option<&'a str>; 7]) -> Self {
        let form = |form, c, p| Self::Forum { form, whom: Whom::new(c, p) };
        match parts {
            [Some("interactions"), Some(c), Some("participants"), Some(p), None, ..] => form(Form::Interaction, c, p),
            [Some("interactions"), Some(conversation), None, ..] => Self::Conversation { conversation },
            [Some("conversations"), rest @ ..] => match rest {
                [Some("participants"), Some(participant), None, ..] => {
                    Self::Forum { form: Form::Live, whom: Whom { conversation: None, participant } }
                }
                [Some("web"), Some(c), Some("participants"), Some(p), None, ..] => form(Form::Web, c, p),
                [Some("interactions"), Some(c), Some("participants"), Some(p), None, ..] => form(Form::Typed, c, p),
                [Some("calls"), Some(c), Some("participants"), Some(p), None, ..] => form(Form::Sdk, c, p),
                [Some("voice"), Some("conversations"), Some(c), Some("participants"), Some(p), None] => {
                    form(Form::Voice, c, p)
                }
                [Some("web" | "interactions" | "calls"), Some(conversation), None, ..]
                | [Some("voice"), Some("conversations"), Some(conversation), None, ..]
                | [Some(conversation), None, ..] => Self::Conversation { conversation },
                [Some(c), Some("participants"), Some(p), None, ..] => form(Form::Live, c, p),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// The methods of a known path.
    fn methods(self) -> &'static str {
        match self {
            Self::Attributes { .. } | Self::Participant { .. } => "PATCH",
            Self::Forum { form, .. } => form.methods(),
            Self::Conversation { .. } | Self::Limits { .. } | Self::Inspect(_) => "GET",
            Self::Login => "POST",
            Self::WrongMethod { allow } => allow,
            Self::Unknown => "",
        }
    }

    /// Whether the operation needs a token, and counts against quotas.
    pub(super) fn needs_token(self) -> bool {
        self.writes() || matches!(self, Self::Conversation { .. } | Self::Limits { .. })
    }

    /// Whether the operation changes a participant.
    pub(super) fn writes(self) -> bool {
        self.whom().is_some()
    }

    /// The participant that it changes.
    pub(super) fn whom(self) -> Option<Whom<'a>> {
        match self {
            Self::Attributes { whom, .. } | Self::Participant { whom } | Self::Forum { whom, .. } => Some(whom),
            _ => None,
        }
    }

    /// The conversation that it names.
    pub(super) fn conversation(self) -> Option<&'a str> {
        match self {
            Self::Conversation { conversation } => Some(conversation),
            _ => self.whom().and_then(|whom| whom.conversation),
        }
    }

    /// The name of the operation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Attributes { .. } => "attributes",
            Self::Participant { .. } => "participant",
            Self::Forum { form, .. } => form.name(),
            Self::Conversation { .. } => "conversation",
            Self::Limits { .. } => "limits",
            Self::Login => "login",
            Self::Inspect(_) => "inspect",
            Self::WrongMethod { .. } | Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_documented_operation_of_a_path() {
        let whom = Whom::new("c", "p");
        let attributes = |reply| Route::Attributes { reply, whom };
        let reads = Route::Conversation { conversation: "c" };
        for (method, path, route) in [
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes", attributes(Reply::Empty)),
            (Method::PATCH, "/api/v2/conversations/calls/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/callbacks/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/emails/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/messages/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/c/participants/p", Route::Participant { whom }),
            (Method::PATCH, "/api/v2/conversations/emails/c/participants/p", Route::Participant { whom }),
            (Method::GET, "/api/v2/conversations/c", reads),
            (
                Method::GET,
                "/api/v2/organizations/limits/namespaces/platform.api",
                Route::Limits { namespace: "platform.api" },
            ),
            (Method::POST, "/oauth/token", Route::Login),
            (Method::GET, "/_sim/config", Route::Inspect(Inspection::Config)),
            (Method::PUT, "/api/v2/conversations/c/participants/p/attributes", Route::WrongMethod { allow: "PATCH" }),
            (Method::PATCH, "/api/v2/conversations/c", Route::WrongMethod { allow: "GET" }),
            (Method::GET, "/oauth/token", Route::WrongMethod { allow: "POST" }),
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes/", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes/x/y", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/web/c/participants/p/attributes", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/calls/c", Route::Unknown),
            (Method::GET, "/_sim/else", Route::Inspect(Inspection::Unknown)),
            (Method::GET, "/", Route::Unknown),
        ] {
            assert_eq!(Route::of(Dialect::Documented, &method, path), route, "{method} {path}");
        }
    }

    #[test]
    fn finds_the_forum_operation_of_a_path() {
        let forum = |form| Route::Forum { form, whom: Whom::new("c", "p") };
        let alone = Route::Forum { form: Form::Live, whom: Whom { conversation: None, participant: "p" } };
        for (method, path, route) in [
            (Method::PATCH, "/api/v2/conversations/c/participants/p", forum(Form::Live)),
            (Method::PATCH, "/api/v2/conversations/participants/p", alone),
            (Method::PATCH, "/api/v2/conversations/web/c/participants/p", forum(Form::Web)),
            (Method::PATCH, "/api/v2/interactions/c/participants/p", forum(Form::Interaction)),
            (Method::PATCH, "/api/v2/conversations/interactions/c/participants/p", forum(Form::Typed)),
            (Method::PATCH, "/api/v2/conversations/voice/conversations/c/participants/p", forum(Form::Voice)),
            (Method::PUT, "/api/v2/conversations/calls/c/participants/p", forum(Form::Sdk)),
            (Method::PATCH, "/api/v2/conversations/calls/c/participants/p", forum(Form::Sdk)),
            (Method::GET, "/api/v2/conversations/interactions/c", Route::Conversation { conversation: "c" }),
            (Method::PUT, "/api/v2/interactions/c/participants/p", Route::WrongMethod { allow: "PATCH" }),
            (Method::POST, "/api/v2/conversations/calls/c/participants/p", Route::WrongMethod { allow: "PATCH, PUT" }),
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes", Route::Unknown),
        ] {
            assert_eq!(Route::of(Dialect::Forum, &method, path), route, "{method} {path}");
        }
    }
}
