//! Templates that need more than plain names, rendered by minijinja.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::calls::{Calls, WrongCall};
use super::function::{Argument, Call, FUNCTIONS, MADE_UP, Made};
use super::place::{Escaped, REFUSAL};
use super::{Name, OPERATION_NAMES, Place, Values};
use crate::scenario::{Operation, RenderError, Rows};

/// Steps that one rendering may take: far more than a request needs, and soon over.
const FUEL: u64 = 100_000;

/// Why a template could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenario) enum TemplateError {
    /// It is no template.
    Syntax {
        /// The line of the template, counted from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// It uses names that stand for nothing.
    UnknownNames(Vec<String>),
    /// It makes calls that fail whenever they are made.
    WrongCalls(Vec<WrongCall>),
}

/// How templates are written.
pub(super) static SYNTAX: LazyLock<SyntaxConfig> = LazyLock::new(|| {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the default delimiters are valid")
});

/// What all templates have in common; a clone shares it.
pub(super) static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(SYNTAX.clone());
    environment.set_auto_escape_callback(|place| AutoEscape::Custom(place.to_owned().into()));
    environment.set_formatter(write_value);
    environment.add_filter("json", json);
    // They would get around the escaping, or escape for HTML.
    for filter in ["safe", "escape", "e"] {
        environment.remove_filter(filter);
    }
    environment.remove_global("debug");
    environment
});

/// A template in an environment of its own, so that templates share no lock.
#[derive(Clone)]
pub(super) struct Engine {
    environment: Arc<Environment<'static>>,
    place: Place,
    columns: Arc<[String]>,
    /// Whether errors keep quiet about details, which may quote what came from the environment.
    pub(super) quiet: bool,
    /// No `pick` in it has more texts to choose from.
    pub(super) choices: usize,
    /// The columns that it may look at, by number.
    pub(super) looks_at: Arc<[usize]>,
    /// The whole numbers that stand in it.
    pub(super) numbers: Arc<[u64]>,
}

impl Engine {
    /// # Errors
    /// Wrong syntax, names that are not known, and calls that fail whenever they are made.
    pub(super) fn compile(source: &str, place: Place, columns: &[String]) -> Result<Self, TemplateError> {
        let calls = Calls::of(source, columns);
        let engine = Self::unjudged(source, place, columns)?;
        if !calls.wrong.is_empty() {
            return Err(TemplateError::WrongCalls(calls.wrong));
        }
        Ok(Self {
            looks_at: calls.columns.into_iter().collect(),
            numbers: calls.numbers.into_iter().filter_map(|number| u64::try_from(number).ok()).collect(),
            ..engine
        })
    }

    /// Compiles without a look at the calls.
    pub(super) fn unjudged(source: &str, place: Place, columns: &[String]) -> Result<Self, TemplateError> {
        let mut environment = BASE.clone();
        environment
            .add_template_owned(place.name(), source.to_owned())
            .map_err(|error| TemplateError::Syntax { line: error.line().unwrap_or(1), text: describe(&error) })?;
        let mut unknown: Vec<String> = {
            let template = environment.get_template(place.name()).expect("it was added above");
            let is_known = |name: &String| {
                Name::of(name, columns).is_some()
                    || super::is_taken(name)
                    || environment.globals().any(|(global, _)| global == name)
            };
            template.undeclared_variables(false).into_iter().filter(|name| !is_known(name)).collect()
        };
        unknown.sort();
        if !unknown.is_empty() {
            return Err(TemplateError::UnknownNames(unknown));
        }
        // A comma stands between two arguments.
        let choices = if source.contains("pick") { source.matches(',').count() + 1 } else { 1 };
        Ok(Self {
            environment: Arc::new(environment),
            place,
            columns: columns.into(),
            quiet: false,
            choices,
            looks_at: Arc::default(),
            numbers: Arc::default(),
        })
    }

    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, RenderError> {
        let context = Context {
            columns: Arc::clone(&self.columns),
            rows: values.rows.cloned(),
            seed: values.seed,
            operation: *values.operation,
            clock: values.clock,
            part: values.part,
            choice: values.choice,
            draws: AtomicU32::new(0),
        };
        self.environment
            .get_template(self.place.name())
            .and_then(|template| template.render(Value::from_object(context)))
            .map_err(|error| RenderError(if self.quiet { error.kind().to_string() } else { describe(&error) }))
    }
}

/// What minijinja says, without the name that we gave the template.
pub(super) fn describe(error: &Error) -> String {
    let line = error.line().filter(|line| *line > 1).map(|line| format!(" in line {line} of the template"));
    let detail = error.detail().map(|detail| format!(": {detail}"));
    format!("{}{}{}", error.kind(), line.unwrap_or_default(), detail.unwrap_or_default())
}

/// The names of a template, looked up as it asks for them.
#[derive(Debug)]
struct Context {
    columns: Arc<[String]>,
    rows: Option<Rows>,
    seed: u64,
    operation: Operation,
    clock: fn() -> SystemTime,
    part: u64,
    choice: Option<usize>,
    /// The calls so far that drew a value. One thread renders; the engine wants values that any may have.
    draws: AtomicU32,
}

/// The functions of an operation without a data row, by name.
pub(super) fn functions() -> BTreeMap<String, Value> {
    let context = Arc::new(Context {
        columns: Arc::new([]),
        rows: None,
        seed: 0,
        operation: Operation { user: 0, step: 0, number: 0, variant: 0, row: 0 },
        clock: SystemTime::now,
        part: 0,
        choice: None,
        draws: AtomicU32::new(0),
    });
    let function =
        |name: &'static str| (name.to_owned(), Value::from_object(Function { name, context: context.clone() }));
    FUNCTIONS.map(function).into()
}

impl Context {
    fn values(&self) -> Values<'_> {
        Values {
            rows: self.rows.as_ref(),
            seed: self.seed,
            operation: &self.operation,
            clock: self.clock,
            part: self.part,
            choice: self.choice,
        }
    }

    fn make(&self, call: &Call) -> Value {
        let index = self.draws.fetch_add(u32::from(call.draws()), Ordering::Relaxed);
        match call.make(&self.values(), index) {
            Made::Text(text) => Value::from(text.into_owned()),
            Made::Whole(number) => Value::from(number),
        }
    }
}

/// A function that a template may call.
#[derive(Debug)]
struct Function {
    name: &'static str,
    context: Arc<Context>,
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let wrong = |text: String| Error::new(ErrorKind::InvalidOperation, text);
        let argument = |value: &Value| match (value.as_str(), i64::try_from(value.clone())) {
            (Some(text), _) => Ok(Argument::Text(text.to_owned())),
            (None, Ok(number)) if value.is_integer() => Ok(Argument::Whole(number)),
            _ => Err(wrong(format!("`{}` takes texts and whole numbers of up to 18 digits", self.name))),
        };
        let arguments = arguments.iter().map(argument).collect::<Result<_, _>>()?;
        Call::new(self.name, arguments).map(|call| self.context.make(&call)).map_err(wrong)
    }
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if let Some(call) = Call::named(name) {
            return Some(self.make(&call));
        }
        if let Some(name) = FUNCTIONS.into_iter().find(|function| *function == name) {
            return Some(Value::from_object(Function { name, context: Arc::clone(self) }));
        }
        let values = self.values();
        Some(match Name::of(name, &self.columns)? {
            Name::Column(column) => Value::from(values.cell(column)?),
            Name::Unique => Value::from(format!("{}-{}", self.seed, self.operation.number)),
            Name::User => Value::from(self.operation.user),
            Name::Step => Value::from(self.operation.step),
            Name::Operation => Value::from(self.operation.number),
        })
    }
}

/// Writes a value as its place wants it.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let place = match state.auto_escape() {
        AutoEscape::Custom(name) => Place::ALL.into_iter().find(|place| place.name() == name),
        _ => None,
    };
    let place = place.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "`autoescape` cannot be used here"))?;
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(function) = value.downcast_object_ref::<Function>() {
        let text = format!("`{name}` is a function; call it as in {name}(…)", name = function.name);
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    let written = if value.is_safe() {
        out.write_str(value.as_str().unwrap_or_default())
    } else {
        let mut escaped = Escaped { place, out };
        match value.as_str() {
            Some(text) => escaped.write_str(text),
            None => write!(escaped, "{value}"),
        }
    };
    written.map_err(|_| Error::new(ErrorKind::InvalidOperation, REFUSAL))
}

/// The filter `json`: a whole JSON value.
fn json(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let mut text = String::new();
    write_json_value(value, &mut text)?;
    let in_json = matches!(state.auto_escape(), AutoEscape::Custom(name) if name == Place::Json.name());
    // In another place the text is escaped like any other.
    Ok(if in_json { Value::from_safe_string(text) } else { Value::from(text) })
}

fn write_json_value(value: &Value, out: &mut String) -> Result<(), Error> {
    let text = |text: &str, out: &mut String| {
        out.push('"');
        let written = Escaped { place: Place::Json, out }.write_str(text);
        out.push('"');
        written.map_err(|_| Error::from(ErrorKind::BadSerialization))
    };
    let separate = |i: usize, out: &mut String| {
        if i > 0 {
            out.push(',');
        }
    };
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let number = value.to_string();
            if number.parse::<f64>().is_ok_and(f64::is_finite) {
                out.push_str(&number);
            } else {
                return Err(Error::new(ErrorKind::BadSerialization, "JSON has no such number"));
            }
        }
        ValueKind::String => text(value.as_str().unwrap_or_default(), out)?,
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (i, item) in value.try_iter()?.enumerate() {
                separate(i, out);
                write_json_value(&item, out)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                separate(i, out);
                text(&key.to_string(), out)?;
                out.push(':');
                write_json_value(&value.get_item(&key)?, out)?;
            }
            out.push('}');
        }
        _ => {
            return Err(Error::new(
                ErrorKind::BadSerialization,
                "only texts, numbers, lists and maps have a JSON form",
            ));
        }
    }
    Ok(())
}

/// The names that a template may use, for messages.
pub(in crate::scenario) fn known_names(columns: &[String]) -> Vec<&str> {
    columns.iter().map(String::as_str).chain(OPERATION_NAMES).chain(MADE_UP).chain(FUNCTIONS).collect()
}
