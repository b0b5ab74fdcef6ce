//! From a TOML file to a checked scenario or simulator, with all mistakes at once.
//!
//! Each part of the file has a reader of its own, which notes what is wrong and goes on; nothing leaves the loader unless
//! nothing was noted. It reads the scenario, its data files, its bodies and its certificates, and nothing else.

mod address;
mod arrivals;
mod auth;
mod body;
mod care;
mod checks;
mod environment;
mod read;
mod retry;
mod rows;
mod rules;
mod schedule;
mod simulator;
mod source;
mod target;
mod thresholds;
mod transport;
mod tree;
mod trial;
mod variants;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use toml::de::DeTable;

use super::{LoadError, Mistake, Overrides, Scenario, Schedule, Simulator};
pub(super) use source::is_secret;
use tree::{Document, Table};

/// No file of this kind is longer, in bytes: what goes on is no file at all.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

/// The tables and values at the top of a scenario.
const KEYS: [&str; 14] = [
    "name",
    "seed",
    "target",
    "data",
    "variant",
    "load",
    "limit",
    "stop",
    "read",
    "snapshot",
    "retry",
    "outcome",
    "checks",
    "thresholds",
];

/// Where the values of `${NAME}` come from.
type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

impl Scenario {
    /// Loads the scenario file at `path`; `environment` gives the values of `${NAME}`.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong with it.
    pub fn load(path: &Path, environment: &Environment<'_>, overrides: &Overrides) -> Result<Self, LoadError> {
        Self::parse(path, &bytes_of(path)?, environment, overrides)
    }

    /// Reads a scenario from the content of the file at `path`, beside which its data files lie.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        environment: &Environment<'_>,
        overrides: &Overrides,
    ) -> Result<Self, LoadError> {
        parse(path, bytes, environment, |document, tree| read(document, tree, overrides))
    }
}

impl Simulator {
    /// Loads a file that holds the keys of `[target.simulator]` at its top; `environment` gives the values of `${NAME}`.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong with it.
    pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Self, LoadError> {
        Self::parse(path, &bytes_of(path)?, environment)
    }

    /// Reads a simulator from the content of the file at `path`.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn parse(path: &Path, bytes: &[u8], environment: &Environment<'_>) -> Result<Self, LoadError> {
        parse(path, bytes, environment, |document, tree| Some(read_simulator(document, tree)))
    }
}

/// What a file describes.
#[derive(Debug, Clone)]
pub enum File {
    /// A scenario.
    Scenario(Box<Scenario>),
    /// A simulator, without a scenario around it.
    Simulator(Box<Simulator>),
}

impl File {
    /// Loads the file at `path`, which is a scenario when it has any key that only a scenario has, or none at all; otherwise
    /// it is a simulator.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong with it. Overrides do not go with a simulator.
    pub fn load(path: &Path, environment: &Environment<'_>, overrides: &Overrides) -> Result<Self, LoadError> {
        parse(path, &bytes_of(path)?, environment, |document, tree| {
            if tree.is_empty() || tree.keys().any(|key| is_of_scenario(key.get_ref())) {
                return read(document, tree, overrides).map(Box::new).map(Self::Scenario);
            }
            if *overrides != Overrides::default() {
                note_command_line(
                    document,
                    "the file describes a simulator, which has no load; leave -u, -d, -r and --seed out",
                );
            }
            Some(Self::Simulator(Box::new(read_simulator(document, tree))))
        })
    }
}

/// Whether a scenario has this key at its top, and a simulator has not.
fn is_of_scenario(key: &str) -> bool {
    KEYS.contains(&key) && !simulator::KEYS.contains(&key)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, LoadError> {
    content_of(path).map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })
}

/// All of a file that is read as a whole.
fn content_of(path: &Path) -> io::Result<Vec<u8>> {
    content(&fs::File::open(path)?)
}

fn content(file: &fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Opens a file that the scenario names, with its length in bytes.
///
/// # Errors
/// Why it cannot be read. A pipe or a device is refused before it is opened: to open a pipe that nobody writes to takes for
/// ever.
fn open_named(path: &Path) -> Result<(fs::File, u64), String> {
    let reason = |error: io::Error| error.kind().to_string();
    let metadata = fs::metadata(path).map_err(reason)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.to_string());
    }
    if !metadata.is_file() {
        return Err("a pipe or a device is no file".to_owned());
    }
    Ok((fs::File::open(path).map_err(reason)?, metadata.len()))
}

/// What `read` makes of a file's content, unless it notes a mistake; it gives `None` only after noting one.
fn parse<T>(
    path: &Path,
    bytes: &[u8],
    environment: &Environment<'_>,
    read: impl FnOnce(&Document<'_>, &DeTable<'_>) -> Option<T>,
) -> Result<T, LoadError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let column = valid.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let line = valid.matches('\n').count() + 1;
        let text = "the text is not UTF-8; save the file in UTF-8".to_owned();
        LoadError::Mistakes(vec![Mistake { path: path.to_owned(), line, column, text }])
    })?;
    let (tree, errors) = DeTable::parse_recoverable(text);
    let document = Document::new(path, text, environment, &errors);
    match read(&document, tree.get_ref()) {
        Some(value) if document.is_right() => Ok(value),
        _ => Err(LoadError::Mistakes(document.into_mistakes())),
    }
}

fn read_simulator(document: &Document<'_>, tree: &DeTable<'_>) -> Simulator {
    simulator::of_table(&Table::root(document, tree, &simulator::KEYS))
}

/// Reads all parts; `None` only after noting a mistake.
fn read(document: &Document<'_>, tree: &DeTable<'_>, overrides: &Overrides) -> Option<Scenario> {
    check_overrides(document, overrides);
    let root = Table::root(document, tree, &KEYS);
    let name = root.required("name", "add a name for the run folder, such as name = \"first-run\"");
    let name = name.and_then(|field| field.name());
    let seed = root.field("seed").and_then(|field| field.whole(0..=u64::MAX));
    let seed = overrides.seed.or(seed).unwrap_or(1);
    let target = target::read(&root);
    let tables = rows::read(&root, target.as_ref().and_then(|target| target.endpoint.as_ref()));
    let variants = variants::read(&root, &tables, seed);
    let load = schedule::load(&root, target.as_ref().map(|target| target.timeout), overrides, seed);
    // In the open model the command line's rate is that of the arrivals.
    let is_open = load.as_ref().is_some_and(|load| matches!(load.schedule, Schedule::Arrivals(_)));
    let limit = schedule::limit(&root, overrides.rate.filter(|_| !is_open));
    let outcomes = rules::read(&root);
    let retry = retry::read(&root, variants.as_deref(), &outcomes);
    let names: Option<Vec<_>> =
        variants.as_ref().map(|variants| variants.iter().map(|variant| variant.name.as_str()).collect());
    let thresholds = thresholds::read(&root, names.as_deref());
    let target = target.and_then(target::Parts::whole);
    let care = care::read(&root, target.as_ref().map(|target| &target.auth));
    // What is seen and put back are the rows of the first table.
    let (_, columns) = tables.of(None);
    let how_to_read = read::read(&root, columns, seed);
    let snapshot = read::snapshot(&root, columns, (variants.as_deref(), load.as_ref()), seed);
    let checks = checks::read(&root, columns, seed);
    let mut scenario = Scenario {
        name: name?,
        seed,
        target: target?,
        data: tables.into_data(),
        variants: variants?,
        load: load?,
        limit,
        care,
        read: how_to_read,
        snapshot,
        retry,
        checks,
        outcomes,
        thresholds,
        source: source::redacted(tree, overrides),
        hidden: document.hidden(),
    };
    checks::track(&root, &mut scenario);
    care::check_budget(&root, &scenario);
    Some(scenario)
}

fn check_overrides(document: &Document<'_>, overrides: &Overrides) {
    let note = |text: String| note_command_line(document, &text);
    if let Some(users) = overrides.users.filter(|users| !(1..=schedule::MOST_USERS).contains(users)) {
        note(format!("the number of users is {users}; use 1 to {}", schedule::MOST_USERS));
    }
    if overrides.duration.is_some_and(|length| length.is_zero() || length > tree::LONGEST) {
        note("the duration is zero or longer than a year; use a time such as 30s".to_owned());
    }
}

fn note_command_line(document: &Document<'_>, text: &str) {
    document.note(Mistake { path: "command line".into(), line: 0, column: 0, text: text.to_owned() });
}

#[cfg(test)]
mod tests;
