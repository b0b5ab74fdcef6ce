//! Looking into the simulator itself: `/_sim/truth` and `/_sim/config`.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use serde_json::json;
use url::form_urlencoded;

use super::outgoing::Outgoing;
use super::refusal::to_json;
use super::route::Inspection;
use super::shared::Shared;

/// Answers a look into the simulator: neither a request of the API nor part of its truth.
pub(super) fn inspect(shared: &Arc<Shared>, what: Inspection, query: Option<&str>) -> Response<Outgoing> {
    let refuse = |status, text: &str| Outgoing::json(status, to_json(&json!({ "message": text })).into());
    match what {
        Inspection::Config => Outgoing::json(StatusCode::OK, shared.shown.clone()),
        Inspection::Truth if shared.config.truth == 0 => {
            refuse(StatusCode::NOT_FOUND, "the simulator remembers no requests: its `truth` is 0")
        }
        Inspection::Truth => match first_number(query) {
            Some(from) => Outgoing::truth(shared, from),
            None => refuse(StatusCode::BAD_REQUEST, "write the number of the first request, such as ?from=500"),
        },
        Inspection::Unknown => refuse(StatusCode::NOT_FOUND, "there are /_sim/config and /_sim/truth"),
    }
}

/// The number after `from=` in a query, 0 where there is no query; `None` for anything else.
fn first_number(query: Option<&str>) -> Option<u64> {
    let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    match pairs.as_slice() {
        [] => Some(0),
        [(name, number)] if name == "from" => number.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_begins_with_a_number_and_with_nothing_else() {
        for (query, from) in [
            (None, Some(0)),
            (Some(""), Some(0)),
            (Some("from=415"), Some(415)),
            (Some("from="), None),
            (Some("from=-1"), None),
            (Some("from=1e3"), None),
            (Some("form=1"), None),
            (Some("from=1&from=2"), None),
        ] {
            assert_eq!(first_number(query), from, "{query:?}");
        }
    }
}
