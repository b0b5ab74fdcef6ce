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
pub(super) enum Fault {
    /// No token.
    NoToken,
    /// An unknown or expired token.
    WrongToken,
    /// The token's quota is used up.
    Throttled {
        /// Whole seconds until a request is admitted again, rounded up.
        retry_after_s: u64,
    },
    /// No such path.
    UnknownPath,
    /// A known path with another method.
    WrongMethod {
        /// The method that the path has.
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
    /// A login that is refused, in the shape of the login.
    Login(LoginFault),
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginFault {
    /// An unknown client, a wrong secret, or no Basic authentication.
    Client,
    /// The body is no form, or names no grant.
    Form,
    /// Another grant than client credentials.
    Grant,
    /// Too many live tokens.
    TooMany,
}

/// What an error body is made of. `template` becomes the message once its `{name}`s are filled in.
struct Description<'a> {
    status: StatusCode,
    code: &'static str,
    template: Cow<'static, str>,
    params: Vec<(&'static str, &'a str)>,
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
    errors: [Detail<'a>; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    error_code: &'a str,
    field_name: &'a str,
}

/// The login's error body.
#[derive(Serialize)]
struct LoginBody {
    error: &'static str,
    description: &'static str,
    error_description: &'static str,
}

impl Fault {
    /// The status and the body of the answer.
    pub(super) fn render(&self, correlation_id: Id) -> (StatusCode, Vec<u8>) {
        if let Self::Login(fault) = self {
            return fault.render();
        }
        let Description { status, code, template, params } = self.describe();
        let param = |name| params.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let message = params
            .iter()
            .fold(template.clone(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value).into());
        let detail = param("fieldName").map(|field_name| [Detail { error_code: code, field_name }]);
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
            errors: [],
        };
        (status, to_json(&body))
    }

    fn describe(&self) -> Description<'_> {
        const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
        const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
        let (status, code, template, params): (_, _, Cow<'static, str>, _) = match self {
            Self::NoToken => {
                (UNAUTHORIZED, "authentication.required", "No authentication bearer token specified.".into(), vec![])
            }
            Self::WrongToken => (UNAUTHORIZED, "bad.credentials", "Invalid login credentials.".into(), vec![]),
            Self::Throttled { retry_after_s } => {
                let message =
                    format!("Rate limit exceeded the maximum. Retry the request in [{retry_after_s}] seconds");
                (StatusCode::TOO_MANY_REQUESTS, "too.many.requests.retry.after", message.into(), vec![])
            }
            Self::UnknownPath => (StatusCode::NOT_FOUND, "not.found", "The path does not exist.".into(), vec![]),
            Self::WrongMethod { allow } => {
                let message = format!("The path has the method {allow} only.");
                (StatusCode::METHOD_NOT_ALLOWED, "method.not.allowed", message.into(), vec![])
            }
            Self::UnknownConversation { id } => {
                let params = vec![("entityId", id.as_str()), ("entityName", "conversation")];
                (StatusCode::NOT_FOUND, "not.found", "The {entityName} {entityId} does not exist.".into(), params)
            }
            Self::UnknownParticipant { id } => {
                let params = vec![("entityId", id.as_str()), ("entityName", "participant")];
                let code = "conversation.error.not.conversation.participant";
                (StatusCode::NOT_FOUND, code, "The {entityName} {entityId} is not in the conversation.".into(), params)
            }
            Self::ContentType => {
                let message = "The content type must be application/json.".into();
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported.media.type", message, vec![])
            }
            Self::TooLarge => {
                let message = format!("The request is larger than {MAX_BODY} bytes.");
                (StatusCode::PAYLOAD_TOO_LARGE, "request.entity.too.large", message.into(), vec![])
            }
            Self::Malformed { reason } => {
                let params = vec![("reason", reason.as_str())];
                (BAD_REQUEST, "bad.request", "The request body is no JSON object: {reason}".into(), params)
            }
            Self::Null { field } => {
                let code = "conversation.error.participant.attribute.null";
                (
                    BAD_REQUEST,
                    code,
                    "The field {fieldName} must not be null.".into(),
                    vec![("fieldName", field.as_str())],
                )
            }
            Self::Type { field } => {
                let message = "The field {fieldName} must hold text, in a flat map of texts.".into();
                (BAD_REQUEST, "invalid.value", message, vec![("fieldName", field.as_str())])
            }
            Self::Login(_) => unreachable!("a login's fault has a shape of its own"),
        };
        Description { status, code, template, params }
    }
}

impl LoginFault {
    fn render(self) -> (StatusCode, Vec<u8>) {
        let (status, error, description) = match self {
            Self::Client => (StatusCode::UNAUTHORIZED, "invalid_client", "unknown client or wrong secret"),
            Self::Form => (StatusCode::BAD_REQUEST, "invalid_request", "a form with the field grant_type is required"),
            Self::Grant => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant_type must be client_credentials"),
            Self::TooMany => (StatusCode::BAD_REQUEST, "invalid_request", "rate limit exceeded; try again later"),
        };
        (status, to_json(&LoginBody { error, description, error_description: description }))
    }
}

/// The JSON text of a value of ours.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers under text keys are always JSON")
}
