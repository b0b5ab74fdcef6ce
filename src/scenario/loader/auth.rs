//! `[target.auth]`: how requests are authorised, and which user has which token.

use std::num::NonZeroU32;

use url::Url;

use super::address::{need_permission, url};
use super::tree::{Field, Table};
use crate::scenario::{Auth, CLIENT_ID, CLIENT_SECRET, Endpoint, Secret, TokenPool};

const KEYS: [&str; 6] = ["kind", "tokens", "weights", "client_id", "client_secret", "login_url"];
const MOST_TOKENS: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Bearer,
    ClientCredentials,
}

/// Reads the table; `None` only after noting a mistake.
pub(super) fn read(target: &Table<'_>, endpoint: Option<&Endpoint>, is_allowed: bool) -> Option<(Auth, TokenPool)> {
    let Some(field) = target.field("auth") else {
        let auth = match endpoint? {
            Endpoint::Simulator(_) => simulator_client(),
            Endpoint::Url(_) => Auth::None,
        };
        return Some((auth, TokenPool::even(NonZeroU32::MIN)));
    };
    let table = field.table(&KEYS)?;
    let kinds = [("none", Kind::None), ("bearer", Kind::Bearer), ("client-credentials", Kind::ClientCredentials)];
    let kind = table.required("kind", "write \"none\", \"bearer\" or \"client-credentials\"")?.choice(&kinds)?;
    let foreign: &[&str] = match kind {
        Kind::None => &KEYS[1..],
        Kind::Bearer => &KEYS[3..],
        Kind::ClientCredentials => &[],
    };
    for field in foreign.iter().filter_map(|key| table.field(key)) {
        field.mistake("does not go with this `kind`; remove it, or change `kind`");
    }
    match kind {
        Kind::None => Some((Auth::None, TokenPool::even(NonZeroU32::MIN))),
        Kind::Bearer => bearer(&table),
        Kind::ClientCredentials => client_credentials(&table, endpoint, is_allowed),
    }
}

fn simulator_client() -> Auth {
    Auth::ClientCredentials {
        login_url: None,
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
    }
}

fn bearer(table: &Table<'_>) -> Option<(Auth, TokenPool)> {
    let field = table.required("tokens", "write tokens = [\"${TOKEN}\"]")?;
    let items = field.items()?;
    if items.is_empty() || items.len() as u64 > MOST_TOKENS {
        field.mistake(format_args!("has {} tokens; use 1 to {MOST_TOKENS}", items.len()));
        return None;
    }
    let tokens: Vec<_> = items.iter().map(token).collect();
    let pool = pool(table, Some(items.len()))?;
    Some((Auth::Bearer { tokens: tokens.into_iter().collect::<Option<_>>()? }, pool))
}

fn token(field: &Field<'_>) -> Option<Secret> {
    let text = field.text()?;
    if text.value.is_empty() || !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        field.mistake("is empty or has blanks or special characters; write the token alone, without \"Bearer\"");
        return None;
    }
    Some(Secret::new(text.value))
}

fn client_credentials(table: &Table<'_>, endpoint: Option<&Endpoint>, is_allowed: bool) -> Option<(Auth, TokenPool)> {
    let of_simulator = matches!(endpoint, Some(Endpoint::Simulator(_)));
    let text = |key, default: &str, hint| match table.field(key) {
        None if of_simulator => Some(default.to_owned()),
        // Without a target nobody knows whether it is needed, and that mistake has been noted.
        None if endpoint.is_none() => None,
        _ => table.required(key, hint)?.text().map(|text| text.value),
    };
    let client_id = text("client_id", CLIENT_ID, "write client_id = \"${CLIENT_ID}\"");
    let client_secret = text("client_secret", CLIENT_SECRET, "write client_secret = \"${CLIENT_SECRET}\"");
    let login_url = login_url(table, endpoint, is_allowed);
    let count = match table.field("tokens") {
        Some(field) => field.whole::<usize>(1..=MOST_TOKENS).map(Some),
        None => Some(None),
    };
    let pool = count.and_then(|count| pool(table, count))?;
    let auth = Auth::ClientCredentials {
        login_url: login_url.ok()?,
        client_id: client_id?,
        client_secret: Secret::new(client_secret?),
    };
    Some((auth, pool))
}

/// Says that a mistake has been noted.
struct Noted;

/// Where tokens are asked for; `None` for the simulator, which knows itself.
fn login_url(table: &Table<'_>, endpoint: Option<&Endpoint>, is_allowed: bool) -> Result<Option<Url>, Noted> {
    let hint = "write where tokens are asked for, such as \"https://login.example.com/oauth/token\"";
    match (endpoint.ok_or(Noted)?, table.field("login_url")) {
        (Endpoint::Simulator(_), None) => Ok(None),
        (Endpoint::Simulator(_), Some(field)) => {
            field.mistake("does not go with the simulator, which has its own; remove it");
            Err(Noted)
        }
        (Endpoint::Url(_), _) => {
            let field = table.required("login_url", hint).ok_or(Noted)?;
            let url = url(&field).ok_or(Noted)?;
            need_permission(&url, &field, is_allowed);
            Ok(Some(url))
        }
    }
}

/// The pool of so many tokens, or of as many as there are weights.
fn pool(table: &Table<'_>, count: Option<usize>) -> Option<TokenPool> {
    let Some(field) = table.field("weights") else {
        let count = NonZeroU32::new(u32::try_from(count.unwrap_or(1)).ok()?)?;
        return Some(TokenPool::even(count));
    };
    let items = field.items()?;
    let weights: Vec<_> = items.iter().map(|item| item.whole::<u32>(1..=1_000_000)).collect();
    let most = usize::try_from(MOST_TOKENS).unwrap_or(usize::MAX);
    if items.is_empty() || items.len() > most || count.is_some_and(|count| count != items.len()) {
        let wanted =
            count.map_or_else(|| format!("1 to {MOST_TOKENS} numbers"), |count| format!("{count}, one per token"));
        field.mistake(format_args!("has {} numbers; write {wanted}", items.len()));
        return None;
    }
    TokenPool::weighted(weights.into_iter().map(|weight| NonZeroU32::new(weight?)).collect::<Option<_>>()?)
}
