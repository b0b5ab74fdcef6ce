//! Which operation a request asks for.

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;

use super::truth::Kind;

/// A request without its body.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) route: Route<'a>,
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) content_type: Option<&'a [u8]>,
}

/// An operation with what its path names. Ids are UUIDs, which percent-encoding leaves alone, so paths are not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Changes attributes of a participant.
    Attributes {
        /// What the answer says.
        reply: Reply,
        /// Id of the conversation.
        conversation: &'a str,
        /// Id of the participant.
        participant: &'a str,
    },
    /// Reads a conversation.
    Conversation {
        /// Id of the conversation.
        conversation: &'a str,
    },
    /// Asks for a token.
    Login,
    /// A known path with the wrong method.
    WrongMethod {
        /// The right method.
        allow: &'static str,
    },
    /// Nothing that the API has.
    Unknown,
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
    pub(super) fn of(head: &'a Parts) -> Self {
        let header = |name| head.headers.get(name).map(hyper::header::HeaderValue::as_bytes);
        let route = Route::of(&head.method, head.uri.path());
        let kind = match (&head.method, route) {
            (&Method::PATCH, _) => Kind::Patch,
            (&Method::GET, _) => Kind::Get,
            (_, Route::Login) => Kind::Login,
            _ => Kind::Other,
        };
        Self { kind, route, authorization: header(AUTHORIZATION), content_type: header(CONTENT_TYPE) }
    }
}

impl<'a> Route<'a> {
    fn of(method: &Method, path: &'a str) -> Self {
        match Self::at(path) {
            Self::Unknown => Self::Unknown,
            route if method.as_str() == route.method() => route,
            route => Self::WrongMethod { allow: route.method() },
        }
    }

    fn at(path: &'a str) -> Self {
        if path == "/oauth/token" {
            return Self::Login;
        }
        let Some(rest) = path.strip_prefix("/api/v2/conversations/") else { return Self::Unknown };
        let (reply, rest) = match rest.split_once('/') {
            None => return Self::Conversation { conversation: rest },
            Some(("calls" | "callbacks" | "emails" | "messages", rest)) => (Reply::Echo, rest),
            Some(_) => (Reply::Empty, rest),
        };
        let mut parts = rest.split('/');
        match [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()] {
            [Some(conversation), Some("participants"), Some(participant), Some("attributes"), None] => {
                Self::Attributes { reply, conversation, participant }
            }
            _ => Self::Unknown,
        }
    }

    /// The one method of a known path.
    fn method(self) -> &'static str {
        match self {
            Self::Attributes { .. } => "PATCH",
            Self::Conversation { .. } => "GET",
            Self::Login => "POST",
            Self::WrongMethod { allow } => allow,
            Self::Unknown => "",
        }
    }

    /// Whether the operation needs a token, and counts against its quota.
    pub(super) fn needs_token(self) -> bool {
        matches!(self, Self::Attributes { .. } | Self::Conversation { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_operation_of_a_path() {
        let attributes = |reply| Route::Attributes { reply, conversation: "c", participant: "p" };
        for (method, path, route) in [
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes", attributes(Reply::Empty)),
            (Method::PATCH, "/api/v2/conversations/calls/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/callbacks/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/emails/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::PATCH, "/api/v2/conversations/messages/c/participants/p/attributes", attributes(Reply::Echo)),
            (Method::GET, "/api/v2/conversations/c", Route::Conversation { conversation: "c" }),
            (Method::POST, "/oauth/token", Route::Login),
            (Method::PUT, "/api/v2/conversations/c/participants/p/attributes", Route::WrongMethod { allow: "PATCH" }),
            (Method::PATCH, "/api/v2/conversations/c", Route::WrongMethod { allow: "GET" }),
            (Method::GET, "/oauth/token", Route::WrongMethod { allow: "POST" }),
            (Method::PATCH, "/api/v2/conversations/c/participants/p", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/c/participants/p/attributes/", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/web/c/participants/p/attributes", Route::Unknown),
            (Method::PATCH, "/api/v2/conversations/calls/c", Route::Unknown),
            (Method::GET, "/", Route::Unknown),
        ] {
            assert_eq!(Route::of(&method, path), route, "{method} {path}");
        }
    }
}
