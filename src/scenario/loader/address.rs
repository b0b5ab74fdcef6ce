//! Addresses of servers, and who may be given load.

use std::net::IpAddr;

use url::{Host, Url};

use super::tree::Field;
use crate::scenario::Endpoint;

/// The domains of Genesys Cloud, one for each region, as its developer pages list them in 2026; the API answers at `api.`
/// and the token endpoint at `login.` in front.
const REGIONS: [&str; 17] = [
    "mypurecloud.com",
    "use2.us-gov-pure.cloud",
    "usw2.pure.cloud",
    "cac1.pure.cloud",
    "mypurecloud.ie",
    "euw2.pure.cloud",
    "mypurecloud.de",
    "euc2.pure.cloud",
    "mxc1.pure.cloud",
    "mypurecloud.jp",
    "apne2.pure.cloud",
    "apne3.pure.cloud",
    "aps1.pure.cloud",
    "apse1.pure.cloud",
    "mypurecloud.com.au",
    "sae1.pure.cloud",
    "mec1.pure.cloud",
];

/// Where a target is, and where its tokens come from.
pub(super) struct Place {
    /// The API.
    pub(super) endpoint: Endpoint,
    /// The token endpoint, where the place itself names it.
    pub(super) login_url: Option<Url>,
}

impl Place {
    /// A place whose token endpoint is the scenario's to say.
    pub(super) fn of(endpoint: Endpoint) -> Self {
        Self { endpoint, login_url: None }
    }

    /// The place of a region that is named by its domain.
    pub(super) fn of_region(field: &Field<'_>) -> Option<Self> {
        let domain = field.choice(&REGIONS.map(|domain| (domain, domain)))?;
        let url = |address: String| Url::parse(&address).expect("every domain of the table makes a URL");
        Some(Self {
            endpoint: Endpoint::Url(url(format!("https://api.{domain}"))),
            login_url: Some(url(format!("https://login.{domain}/oauth/token"))),
        })
    }

    /// Whether it is the embedded simulator.
    pub(super) fn is_simulator(&self) -> bool {
        matches!(self.endpoint, Endpoint::Simulator(_))
    }
}

/// Notes a mistake where a host that is not this machine gets load without permission.
pub(super) fn need_permission(url: &Url, field: &Field<'_>, is_allowed: bool) {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !is_loopback && !is_allowed {
        note_permission(field);
    }
}

/// As [`need_permission`], for an address.
pub(super) fn need_permission_for(address: IpAddr, field: &Field<'_>, is_allowed: bool) {
    if !address.is_loopback() && !is_allowed {
        note_permission(field);
    }
}

fn note_permission(field: &Field<'_>) {
    field.mistake("is not on this machine; add `target.permission`, a text that says who allowed this load and when");
}

/// An address of a server that is asked with the credentials of `[target.auth]`.
pub(super) fn url(field: &Field<'_>) -> Option<Url> {
    server(field, "put them into [target.auth]")
}

/// An address of a server. Messages do not quote it: it may hold credentials; `remedy` says where those go.
pub(super) fn server(field: &Field<'_>, remedy: &str) -> Option<Url> {
    let text = field.text()?;
    let problem = match Url::parse(&text.value) {
        Err(error) => format!("is no URL ({error}); write one such as \"https://api.example.com\""),
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            "is neither http nor https; use one of these".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            format!("holds credentials; {remedy}")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "holds a query or a fragment; put queries into the `path` of the variants".to_owned()
        }
        Ok(url) => return Some(url),
    };
    field.mistake(problem);
    None
}
