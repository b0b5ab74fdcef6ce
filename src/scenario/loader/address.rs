//! Addresses of servers, and who may be given load.

use url::{Host, Url};

use super::tree::Field;

/// Notes a mistake where a host that is not this machine gets load without permission.
pub(super) fn need_permission(url: &Url, field: &Field<'_>, is_allowed: bool) {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !is_loopback && !is_allowed {
        field.mistake(
            "is not on this machine; add `target.permission`, a text that says who allowed this load and when",
        );
    }
}

/// An address of a server. Messages do not quote it: it may hold credentials.
pub(super) fn url(field: &Field<'_>) -> Option<Url> {
    let text = field.text()?;
    let problem = match Url::parse(&text.value) {
        Err(error) => format!("is no URL ({error}); write one such as \"https://api.example.com\""),
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            "is neither http nor https; use one of these".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "holds credentials; put them into [target.auth]".to_owned()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "holds a query or a fragment; put queries into the `path` of the variants".to_owned()
        }
        Ok(url) => return Some(url),
    };
    field.mistake(problem);
    None
}
