//! `[target.auth]`: how requests are authorised, and which user has which token.

use std::num::NonZeroU32;

use url::Url;

use super::address::{Place, need_permission, url};
use super::tree::{Field, Table, hint};
use crate::scenario::{Auth, CLIENT_ID, CLIENT_SECRET, Endpoint, OauthClient, Secret, TokenPool};

const KEYS: [&str; 7] = ["kind", "tokens", "weights", "client_id", "client_secret", "clients", "login_url"];
const KINDS: [(&str, Kind); 3] =
    [("none", Kind::None), ("bearer", Kind::Bearer), ("client-credentials", Kind::ClientCredentials)];
const MOST_TOKENS: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Bearer,
    ClientCredentials,
}

/// Reads the table; `None` only after noting a mistake.
pub(super) fn read(target: &Table<'_>, place: Option<&Place>, is_allowed: bool) -> Option<(Auth, TokenPool)> {
    let Some(field) = target.field("auth") else {
        let auth = match place?.endpoint {
            Endpoint::Simulator(_) => simulator_client(),
            Endpoint::Url(_) => Auth::None,
        };
        return Some((auth, TokenPool::even(NonZeroU32::MIN)));
    };
    let table = field.table(&KEYS)?;
    let kind = kind(&table.required("kind", "write \"none\", \"bearer\" or \"client-credentials\"")?)?;
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
        Kind::ClientCredentials => client_credentials(&table, place, is_allowed),
    }
}

/// How requests are authorised. A wrong word is not quoted, as other fields do: here it may be a secret in the wrong line.
fn kind(field: &Field<'_>) -> Option<Kind> {
    let text = field.text()?;
    let chosen = KINDS.iter().find(|(word, _)| *word == text.value).map(|(_, kind)| *kind);
    if chosen.is_none() {
        field.mistake(format_args!("is another word; {}", hint(&text.shown, &KINDS.map(|(word, _)| word))));
    }
    chosen
}

fn simulator_client() -> Auth {
    Auth::ClientCredentials {
        login_url: None,
        clients: vec![OauthClient {
            id: CLIENT_ID.to_owned(),
            secret: Secret::new(CLIENT_SECRET.to_owned()),
            place: PAIR.to_owned(),
        }],
    }
}

/// Where the only client stands.
const PAIR: &str = "`target.auth.client_id` and `client_secret`";

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
    let text = field.secret()?;
    if text.value.is_empty() || !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        field.mistake("is empty or has blanks or special characters; write the token alone, without \"Bearer\"");
        return None;
    }
    Some(Secret::new(text.value))
}

fn client_credentials(table: &Table<'_>, place: Option<&Place>, is_allowed: bool) -> Option<(Auth, TokenPool)> {
    let clients = match table.field("clients") {
        Some(field) => several_clients(table, &field, place),
        None => one_client(table, place).map(|client| vec![client]),
    };
    let login_url = login_url(table, place, is_allowed);
    let count = match table.field("tokens") {
        Some(field) => field.whole::<usize>(1..=MOST_TOKENS).map(Some),
        None => Some(None),
    };
    let number = clients.as_ref().map_or(1, Vec::len);
    let default = if table.field("weights").is_some() { None } else { Some(number) };
    let pool = count.and_then(|count| pool(table, count.or(default)))?;
    if pool.count() < number {
        let field = table.field("tokens").or_else(|| table.field("weights"))?;
        field.mistake(format_args!("gives {} tokens to {number} clients; use one for each, or more", pool.count()));
        return None;
    }
    Some((Auth::ClientCredentials { login_url: login_url.ok()?, clients: clients? }, pool))
}

/// The client that stands in the table itself; the simulator's own where it has none.
fn one_client(table: &Table<'_>, place: Option<&Place>) -> Option<OauthClient> {
    let of_simulator = place.is_some_and(Place::is_simulator);
    let text = |key, default: &str, hint, read: fn(&Field<'_>) -> Option<String>| match table.field(key) {
        None if of_simulator => Some(default.to_owned()),
        // Without a target nobody knows whether it is needed, and that mistake has been noted.
        None if place.is_none() => None,
        _ => read(&table.required(key, hint)?),
    };
    let id = text("client_id", CLIENT_ID, "write client_id = \"${CLIENT_ID}\"", |field| Some(field.text()?.value));
    let secret = text("client_secret", CLIENT_SECRET, "write client_secret = \"${CLIENT_SECRET}\"", |field| {
        Some(field.secret()?.value)
    });
    Some(OauthClient { id: id?, secret: Secret::new(secret?), place: PAIR.to_owned() })
}

/// The clients of a list, each with its id and its secret.
fn several_clients(table: &Table<'_>, field: &Field<'_>, place: Option<&Place>) -> Option<Vec<OauthClient>> {
    for pair in ["client_id", "client_secret"].iter().filter_map(|key| table.field(key)) {
        pair.mistake("stands beside `target.auth.clients`; put it into that list");
    }
    let items = field.items()?;
    if items.is_empty() || items.len() as u64 > MOST_TOKENS {
        field.mistake(format_args!("has {} clients; use 1 to {MOST_TOKENS}", items.len()));
        return None;
    }
    let of_simulator = place.is_some_and(Place::is_simulator);
    let client = |item: &Field<'_>| {
        let client = item.table(&["id", "secret"])?;
        let id = client.required("id", "write id = \"${CLIENT_ID}\"").and_then(|field| field.text());
        let secret = match client.field("secret") {
            None if of_simulator => Some(CLIENT_SECRET.to_owned()),
            _ => {
                let field = client.required("secret", "write secret = \"${CLIENT_SECRET}\"");
                field.and_then(|field| field.secret()).map(|text| text.value)
            }
        };
        Some(OauthClient { id: id?.value, secret: Secret::new(secret?), place: format!("`{}`", item.name) })
    };
    let clients: Vec<_> = items.iter().map(client).collect();
    let clients = clients.into_iter().collect::<Option<Vec<_>>>()?;
    let mut ids: Vec<_> = clients.iter().map(|client| &client.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < clients.len() {
        field.mistake("names a client twice; leave one out, and raise `tokens` for more tokens of a client");
        return None;
    }
    Some(clients)
}

/// Says that a mistake has been noted.
struct Noted;

/// Where tokens are asked for; `None` for the simulator, which knows itself.
fn login_url(table: &Table<'_>, place: Option<&Place>, is_allowed: bool) -> Result<Option<Url>, Noted> {
    let hint = "write where tokens are asked for, such as \"https://login.example.com/oauth/token\"";
    let Place { endpoint, login_url } = place.ok_or(Noted)?;
    match (endpoint, login_url, table.field("login_url")) {
        (Endpoint::Simulator(_), _, None) => Ok(None),
        (Endpoint::Simulator(_), _, Some(field)) => {
            field.mistake("does not go with the simulator, which has its own; remove it");
            Err(Noted)
        }
        (Endpoint::Url(_), Some(url), None) => Ok(Some(url.clone())),
        (Endpoint::Url(_), Some(_), Some(field)) => {
            field.mistake("does not go with `target.region`, which has its own; remove it");
            Err(Noted)
        }
        (Endpoint::Url(_), None, _) => {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{Overrides, Scenario};

    fn load(target: &str) -> Scenario {
        let text = format!(
            "name = \"auth\"\n[target]\n{target}\n[[variant]]\nname = \"v\"\npath = \"/x\"\nexpect = [202]\n\
             [load]\nstages = [{{ for = \"1s\", users = 6 }}]"
        );
        Scenario::parse(Path::new("auth.toml"), text.as_bytes(), &|_| None, &Overrides::default()).unwrap()
    }

    #[test]
    fn a_region_is_the_address_of_the_api_and_of_the_token_endpoint() {
        let permission = "permission = \"me, today\"\n[target.auth]\nkind = \"client-credentials\"";
        let scenario = load(&format!(
            "region = \"mypurecloud.com.au\"\n{permission}\nclient_id = \"id\"\nclient_secret = \"secret\""
        ));
        let Endpoint::Url(url) = &scenario.target.endpoint else { panic!("a server") };
        assert_eq!(url.as_str(), "https://api.mypurecloud.com.au/");
        let Auth::ClientCredentials { login_url: Some(url), .. } = &scenario.target.auth else { panic!("a login") };
        assert_eq!(url.as_str(), "https://login.mypurecloud.com.au/oauth/token");
    }

    #[test]
    fn clients_share_the_tokens_in_turn_and_have_one_each_unless_more_are_asked_for() {
        let clients = "clients = [{ id = \"a\", secret = \"s\" }, { id = \"b\", secret = \"t\" }]";
        let place = "base_url = \"http://127.0.0.1:9\"\n[target.auth]\nkind = \"client-credentials\"\n\
                     login_url = \"http://127.0.0.1:9/oauth/token\"";
        for (more, tokens) in [("", 2), ("tokens = 5", 5), ("weights = [1, 1, 4]", 3)] {
            let target = load(&format!("{place}\n{clients}\n{more}")).target;
            assert_eq!(target.tokens.count(), tokens);
            let of: Vec<_> = (0..tokens).map(|token| target.auth.client_of(token)).collect();
            assert_eq!(of, [0, 1, 0, 1, 0][..tokens]);
            let Auth::ClientCredentials { clients, .. } = target.auth else { panic!("clients") };
            assert_eq!(clients.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(clients[1].place, "`target.auth.clients[1]`");
        }
        let simulator = load(
            "simulator = { clients = 2 }\n[target.auth]\nkind = \"client-credentials\"\n\
                              clients = [{ id = \"simulator\" }, { id = \"simulator-2\" }]",
        );
        assert_eq!(simulator.target.tokens.count(), 2, "the simulator's secret is known");
    }
}
