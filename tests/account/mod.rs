//! A simulator's own account, replayed: which write could be read when, and why a write that was acknowledged was not there.
//!
//! Written from the description of the faults, not from the simulator's code: each write that was applied is a layer, a read
//! shows the topmost value of each key, and a write that is undone takes its layer away. A write that loses updates puts what
//! could be read when it was judged over everything beneath it.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a module of a test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use patchload::consistency::{Line, parse_line};
use serde_json::Value;

/// A request in the account. Instants are microseconds of the simulator's clock.
#[derive(Debug, Clone)]
pub struct Request {
    pub arrived: u64,
    pub judged: u64,
    pub answered: u64,
    pub applied: Option<u64>,
    pub reverted: Option<u64>,
    pub status: u64,
    pub faults: BTreeSet<String>,
}

impl Request {
    pub fn has(&self, fault: &str) -> bool {
        self.faults.contains(fault)
    }
}

/// What is written to a resource from an instant on.
#[derive(Debug)]
struct Layer {
    from: u64,
    until: u64,
    /// `None` where a key is taken away.
    values: BTreeMap<String, Option<u64>>,
}

/// The resource of a data row as it was over time.
#[derive(Debug, Default)]
pub struct Resource(Vec<Layer>);

impl Resource {
    /// The values at an instant, by key.
    pub fn at(&self, instant: u64) -> BTreeMap<&str, u64> {
        let mut shown = BTreeMap::new();
        for layer in self.0.iter().filter(|layer| layer.from <= instant && instant < layer.until) {
            for (key, value) in &layer.values {
                match value {
                    Some(value) => shown.insert(key.as_str(), *value),
                    None => shown.remove(key.as_str()),
                };
            }
        }
        shown
    }

    /// Whether a value could be read at an instant.
    pub fn shows(&self, key: &str, value: u64, instant: u64) -> bool {
        self.at(instant).get(key) == Some(&value)
    }

    /// The values before the last change that could be read at an instant.
    pub fn before_last_change(&self, instant: u64) -> BTreeMap<&str, u64> {
        let changes = self.0.iter().flat_map(|layer| [layer.from, layer.until]);
        changes.filter(|change| *change <= instant).max().map_or_else(BTreeMap::new, |change| self.at(change - 1))
    }

    /// Adds a write; all that became visible before it must have been added.
    fn write(&mut self, key: &str, value: u64, request: &Request) {
        let Some(from) = request.applied else { return };
        let mut values = BTreeMap::new();
        if request.has("lost_update") {
            let read = self.at(request.judged);
            let keys = self.0.iter().flat_map(|layer| layer.values.keys());
            values = keys.map(|key| (key.clone(), read.get(key.as_str()).copied())).collect();
        }
        values.insert(key.to_owned(), Some(value));
        self.0.push(Layer { from, until: request.reverted.unwrap_or(u64::MAX), values });
    }
}

/// A write as the run has it, and as the simulator does.
#[derive(Debug)]
pub struct Write {
    pub row: u64,
    pub key: String,
    pub sent: u64,
    pub done: u64,
    pub ack: String,
    pub request: Request,
}

/// A read of one key by the checks, on the run's clock.
#[derive(Debug, Clone)]
pub struct Look {
    pub row: u64,
    pub occasion: String,
    pub of: Option<u64>,
    pub sent: u64,
    pub done: u64,
    pub seen: Option<u64>,
}

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    pub row: u64,
    pub key: String,
    pub value: u64,
    pub at: u64,
    pub found: String,
    #[expect(dead_code, reason = "it is shown when a test fails")]
    pub text: String,
}

/// A run with its history, and the simulator's account of it.
#[derive(Debug, Default)]
pub struct World {
    /// By the number of the operation, in the order of their sending: those that are repeated are sent several times.
    pub writes: HashMap<u64, Vec<Write>>,
    /// By row and key.
    pub looks: HashMap<(u64, String), Vec<Look>>,
    pub findings: Vec<Finding>,
    pub given_up: BTreeSet<u64>,
    /// The operations that wrote a key of a row, in the order of their first sending.
    pub registers: HashMap<(u64, String), Vec<u64>>,
    pub resources: HashMap<u64, Resource>,
    /// Reads that were answered with something stale, by row.
    stale: HashMap<u64, Vec<Request>>,
    /// What the simulator's clock shows when the run's shows zero, at most by so much wrong.
    pub offset: i64,
    pub tolerance: i64,
}

impl World {
    /// Puts the lines of a history and those of the account together, by what the requests call themselves.
    pub fn new(seed: u64, history: &str, truth: &str) -> Self {
        let mut world = Self::default();
        let (mut patches, gets) = account(seed, truth);
        let mut lines: Vec<Line> = history.lines().map(|line| parse_line(line).unwrap()).collect();
        // Requests of the same operation follow each other or are the same: their order is that of their sending.
        lines.sort_by_key(|line| if let Line::Write { sent_us, .. } = line { *sent_us } else { 0 });
        let mut rows = HashMap::new();
        for line in lines {
            match line {
                Line::Write { row, key, value, sent_us: sent, done_us: done, ack, .. } => {
                    let requests = patches.get_mut(&value).unwrap_or_else(|| panic!("{value} is not in the account"));
                    let (conversation, request) = requests.remove(0);
                    rows.entry(conversation).or_insert_with(BTreeSet::new).insert(row);
                    let operations = world.registers.entry((row, key.clone())).or_default();
                    if !operations.contains(&value) {
                        operations.push(value);
                    }
                    world.writes.entry(value).or_default().push(Write { row, key, sent, done, ack, request });
                }
                Line::Look { row, key, occasion, of, sent_us: sent, done_us: done, seen, .. } => {
                    let look = Look { row, occasion, of, sent, done, seen };
                    world.looks.entry((row, key)).or_default().push(look);
                }
                Line::Finding { row, key, value, at_us: at, found, text } => {
                    world.findings.push(Finding { row, key, value: value.unwrap_or(u64::MAX), at, found, text });
                }
                Line::GivenUp { value, .. } => drop(world.given_up.insert(value)),
                Line::Repetition { .. } | Line::Untracked { .. } => {}
            }
        }
        for (conversation, request) in gets.into_iter().filter(|(_, request)| request.has("stale_read")) {
            for row in rows.get(&conversation).into_iter().flatten() {
                world.stale.entry(*row).or_default().push(request.clone());
            }
        }
        world.synchronise();
        world.replay();
        world
    }

    /// Whether any other key of the row was written so.
    pub fn is_row_written(&self, (row, key): &(u64, String), (from, to): (u64, u64), within: u64) -> bool {
        let others = self.registers.keys().filter(|(of, other)| of == row && other != key);
        others
            .flat_map(|register| &self.registers[register])
            .flat_map(|value| &self.writes[value])
            .any(|write| write.sent <= to && write.done + within >= from)
    }

    /// All that was written to a row, and all looks at it, in words.
    pub fn of_row(&self, row: u64) -> String {
        let writes: Vec<_> = self.writes.iter().filter(|(_, writes)| writes[0].row == row).collect();
        let looks: Vec<_> = self.looks.iter().filter(|((of, _), _)| *of == row).collect();
        format!("{writes:#?} {looks:#?}")
    }

    /// An instant of the run on the simulator's clock.
    pub fn there(&self, run: u64) -> u64 {
        u64::try_from(i64::try_from(run).unwrap() + self.offset).unwrap()
    }

    /// Whether a read that was under way in this period was answered with something stale.
    pub fn was_stale(&self, look: &Look) -> bool {
        let slack = u64::try_from(self.tolerance).unwrap();
        let (from, to) = (self.there(look.sent) - slack, self.there(look.done) + slack);
        self.stale.get(&look.row).is_some_and(|all| all.iter().any(|get| get.arrived >= from && get.answered <= to))
    }

    /// Whether another operation wrote the key and may have had its effect in a period of the run: it has it at most `within`
    /// after its answer.
    pub fn is_written(&self, register: &(u64, String), but: u64, (from, to): (u64, u64), within: u64) -> bool {
        let others = self.registers[register].iter().filter(|value| **value != but);
        others.flat_map(|value| &self.writes[value]).any(|write| write.sent <= to && write.done + within >= from)
    }

    /// No request arrived before it was sent, and none was answered after its answer was there.
    fn synchronise(&mut self) {
        let all = || self.writes.values().flatten();
        let signed = |instant: u64| i64::try_from(instant).unwrap();
        let most = all().map(|write| signed(write.request.arrived) - signed(write.sent)).min().unwrap();
        let least = all().map(|write| signed(write.request.answered) - signed(write.done)).max().unwrap();
        assert!(least <= most, "the clocks are at odds: {least} to {most} us");
        self.offset = i64::midpoint(least, most);
        self.tolerance = most - least + 2;
    }

    fn replay(&mut self) {
        let mut all: Vec<_> =
            self.writes.iter().flat_map(|(value, all)| all.iter().map(move |one| (*value, one))).collect();
        all.sort_by_key(|(_, write)| write.request.applied);
        for (value, write) in all {
            self.resources.entry(write.row).or_default().write(&write.key, value, &write.request);
        }
    }
}

/// Requests with their conversations.
type Requests = Vec<(String, Request)>;

/// The writes of the account by the number of their operation, in the order of their arrival, and its reads.
fn account(seed: u64, truth: &str) -> (HashMap<u64, Requests>, Requests) {
    let (mut patches, mut gets): (HashMap<u64, Requests>, _) = (HashMap::new(), Requests::new());
    for line in truth.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| line[name].as_u64();
        let faults = line["faults"].as_array().unwrap();
        let request = Request {
            arrived: number("arrived_us").unwrap(),
            judged: number("judged_us").unwrap_or(0),
            answered: number("answered_us").unwrap_or(0),
            applied: number("applied_us"),
            reverted: number("reverted_us"),
            status: number("status").unwrap_or(0),
            faults: faults.iter().map(|fault| fault.as_str().unwrap().to_owned()).collect(),
        };
        let conversation = line["conversation"].as_str().unwrap_or_default().to_owned();
        match line["method"].as_str().unwrap() {
            "PATCH" => {
                let id = line["request_id"].as_str().unwrap();
                let value = id.strip_prefix(&format!("{seed}-")).unwrap().parse().unwrap();
                patches.entry(value).or_default().push((conversation, request));
            }
            "GET" => gets.push((conversation, request)),
            _ => {}
        }
    }
    (patches, gets)
}
