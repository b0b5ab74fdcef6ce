//! Why a request is refused, and how the API says so.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Serialize;

use super::id::Id;

/// The largest request body, in bytes.
pub(super) const MAX_BODY: usize = 512_000;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token.
    NoToken,
    /// An unknown or expired token.
    WrongToken,
    /// A token that may not write.
    Forbidden,
    /// A quota is used up.
    Throttled {
        /// Whole seconds until a request is admitted again, rounded up, as they are told; `None` where nothing is told.
        retry_after_s: Option<u64>,
    },
    /// A body that did not arrive in time.
    Timeout,
    /// No such path.
    UnknownPath,
    /// A known path with another method.
    WrongMethod {
        /// The methods that the path has.
        allow: &'static str,
    },
    /// No such conversation.
    UnknownConversation {
        /// The id asked for.
        id: String,
    },
    /// No such participant in the conversation.
    UnknownParticipant {
        /// The id asked for.
        id: String,
    },
    /// A body that is not declared as JSON.
    ContentType,
    /// A body over [`MAX_BODY`].
    TooLarge,
    /// A body that is no JSON object.
    Malformed {
        /// What the parser found.
        reason: String,
    },
    /// A null where a map or a text belongs.
    Null {
        /// Where, from the top of the body.
        field: String,
    },
    /// Something else where a map or a text belongs.
    Type {
        /// Where, from the top of the body.
        field: String,
    },
    /// Something else where a value of the documented kind belongs.
    Value {
        /// Where, from the top of the body.
        field: &'static str,
    },
    /// A field that a payload of the forum lacks, has wrong or must not have.
    Field {
        /// Which, from the top of the body.
        field: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A payload of another shape than the path takes, as the forum's first thread tells it.
    Shape {
        /// The field that is missing.
        field: &'static str,
    },
    /// A request of the forum that does not say what its body is.
    NoContentType,
    /// A request that does not fit the state of the participant.
    Conflict {
        /// How.
        reason: String,
    },
    /// An error of the server: an injected fault.
    Internal,
    /// The server cannot answer at the moment: an injected fault.
    Unavailable,
    /// The server gave up waiting for another: an injected fault.
    GatewayTimeout,
    /// A login that is refused, in the shape of the login.
    Login(LoginRefusal),
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginRefusal {
    /// An unknown client, a wrong secret, or no Basic authentication.
    Client,
    /// The body is no form, or names no grant.
    Form,
    /// Another grant than client credentials.
    Grant,
    /// Too many live tokens, or too many logins of the client.
    TooMany,
}

/// The API's error body. Fields that do not apply are left out, as the API does.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_with_params: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_params: BTreeMap<&'a str, &'a str>,
    context_id: Id,
    details: &'a [Detail<'a>],
    errors: &'a [Nested<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    error_code: &'a str,
    field_name: &'a str,
}

/// An error body within the error body, for the field that is wrong.
#[derive(Serialize)]
struct Nested<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    field: &'a str,
}

/// The login's error body.
#[derive(Serialize)]
struct LoginBody {
    error: &'static str,
    description: &'static str,
    error_description: &'static str,
}

impl Refusal {
    /// The refusal of a participant that the conversation does not have.
    pub(super) fn unknown_participant(id: &str) -> Self {
        Self::UnknownParticipant { id: id.to_owned() }
    }

    /// The refusal of a field of the forum's payloads.
    pub(super) fn field(field: impl Into<String>, reason: &'static str) -> Self {
        Self::Field { field: field.into(), reason }
    }

    /// The status of the answer, and the code in its body.
    pub(super) fn kind(&self) -> (StatusCode, &'static str) {
        const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "authentication.required"),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "bad.credentials"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "missing.permissions"),
            Self::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "too.many.requests.retry.after"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "client.timeout"),
            Self::UnknownPath | Self::UnknownConversation { .. } => (StatusCode::NOT_FOUND, "not.found"),
            Self::UnknownParticipant { .. } => {
                (StatusCode::NOT_FOUND, "conversation.error.not.conversation.participant")
            }
            Self::WrongMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method.not.allowed"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported.media.type"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request.entity.too.large"),
            Self::Malformed { .. } => (BAD_REQUEST, "bad.request"),
            Self::Null { .. } => (BAD_REQUEST, "conversation.error.participant.attribute.null"),
            Self::Type { .. } | Self::Value { .. } => (BAD_REQUEST, "invalid.value"),
            Self::Field { .. } => (BAD_REQUEST, "invalid_request_body"),
            Self::Shape { .. } => (BAD_REQUEST, "validation_failure"),
            Self::NoContentType => (BAD_REQUEST, "missing_content_type"),
            Self::Conflict { .. } => (StatusCode::CONFLICT, "conflict"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal.server.error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "service.unavailable"),
            Self::GatewayTimeout => (StatusCode::GATEWAY_TIMEOUT, "request.timeout"),
            Self::Login(refusal) => {
                let (status, code, _) = refusal.describe();
                (status, code)
            }
        }
    }

    /// The status and the body of the answer.
    pub(super) fn render(&self, correlation_id: Id) -> (StatusCode, Vec<u8>) {
        if let Self::Login(refusal) = self {
            return refusal.render();
        }
        let ((status, code), template, params) = (self.kind(), self.template(), self.params());
        let param = |name| params.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let message = params
            .iter()
            .fold(template.clone(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value).into());
        let field = param("fieldName");
        let detail = field.map(|field_name| [Detail { error_code: code, field_name }]);
        let nested = field.map(|field| [Nested { message: &message, code, status: status.as_u16(), field }]);
        let body = ErrorBody {
            message: &message,
            code,
            status: status.as_u16(),
            entity_id: param("entityId"),
            entity_name: param("entityName"),
            message_with_params: (!params.is_empty()).then_some(&template),
            message_params: params.iter().copied().collect(),
            context_id: correlation_id,
            details: detail.as_ref().map_or(&[], |detail| detail),
            errors: nested.as_ref().map_or(&[], |nested| nested),
        };
        (status, to_json(&body))
    }

    /// The message, with `{name}` for each parameter.
    fn template(&self) -> Cow<'static, str> {
        let text = match self {
            Self::NoToken => "No authentication bearer token specified.",
            Self::WrongToken => "Invalid login credentials.",
            Self::Forbidden => "The token lacks the permission conversation:participant:edit.",
            Self::Throttled { retry_after_s: None } => "Rate limit exceeded the maximum",
            Self::Throttled { retry_after_s: Some(seconds) } => {
                return format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds").into();
            }
            Self::Timeout => "The request did not arrive in time.",
            Self::UnknownPath => "The path does not exist.",
            Self::UnknownConversation { .. } => "The {entityName} {entityId} does not exist.",
            Self::UnknownParticipant { .. } => "The {entityName} {entityId} is not in the conversation.",
            Self::WrongMethod { allow } => return format!("The path has no other methods than {allow}.").into(),
            Self::ContentType => "The content type must be application/json.",
            Self::TooLarge => return format!("The request is larger than {MAX_BODY} bytes.").into(),
            Self::Malformed { .. } => "The request body is no JSON object: {reason}",
            Self::Null { .. } => "The field {fieldName} must not be null.",
            Self::Type { .. } => "The field {fieldName} must hold text, in a flat map of texts.",
            Self::Value { .. } => "The field {fieldName} has a value of another kind.",
            Self::Field { .. } => "The field {fieldName} {reason}.",
            Self::Shape { .. } => "Validation failed: the field {fieldName} is missing.",
            Self::NoContentType => "The request names no content type.",
            Self::Conflict { .. } => "{reason}",
            Self::Internal => "The server met a condition that it did not expect.",
            Self::Unavailable => "The service is not available at the moment.",
            Self::GatewayTimeout => "The request took too long.",
            Self::Login(refusal) => refusal.describe().2,
        };
        text.into()
    }

    /// The parameters of the message.
    fn params(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::UnknownConversation { id } => vec![("entityId", id), ("entityName", "conversation")],
            Self::UnknownParticipant { id } => vec![("entityId", id), ("entityName", "participant")],
            Self::Malformed { reason } | Self::Conflict { reason } => vec![("reason", reason)],
            Self::Null { field } | Self::Type { field } => vec![("fieldName", field)],
            Self::Value { field } | Self::Shape { field } => vec![("fieldName", field)],
            Self::Field { field, reason } => vec![("fieldName", field), ("reason", reason)],
            _ => Vec::new(),
        }
    }
}

impl LoginRefusal {
    fn render(self) -> (StatusCode, Vec<u8>) {
        let (status, error, description) = self.describe();
        (status, to_json(&LoginBody { error, description, error_description: description }))
    }

    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Client => (StatusCode::UNAUTHORIZED, "invalid_client", "unknown client or wrong secret"),
            Self::Form => (StatusCode::BAD_REQUEST, "invalid_request", "a form with the field grant_type is required"),
            Self::Grant => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant_type must be client_credentials"),
            Self::TooMany => (StatusCode::BAD_REQUEST, "invalid_request", "rate limit exceeded; try again later"),
        }
    }
}

/// The JSON text of a value of ours.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers under text keys are always JSON")
}
