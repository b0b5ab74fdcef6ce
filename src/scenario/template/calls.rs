//! Calls of a template, judged in whatever branch they stand.
//!
//! The loader renders a template with data rows; a branch that none of them enters would fail in the middle of a run. So its
//! filters, tests, functions and operators are found in the syntax tree, and each is tried apart from where it stands, on
//! samples of what its operands may be. What fails on all of them is wrong; what fails for some values is the rows' to show.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::ast::{BinOp, BinOpKind, CallArg, Expr, Slice, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, parse};
use minijinja::value::Value;

use super::Name;
use super::engine::{BASE, SYNTAX, describe, functions};
use super::function::{FUNCTIONS, MADE_UP};
use super::known::{Kind, Known, attempt};

/// A call that fails whenever it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenario) struct WrongCall {
    /// The line of the template, counted from 1.
    pub(in crate::scenario) line: usize,
    /// What is wrong.
    pub(in crate::scenario) text: String,
}

/// What the syntax tree of a template tells.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// What fails whenever it is reached.
    pub(super) wrong: Vec<WrongCall>,
    /// The columns that it may look at.
    pub(super) columns: BTreeSet<usize>,
    /// The whole numbers in it, which its conditions may compare others with.
    pub(super) numbers: BTreeSet<i64>,
}

impl Calls {
    /// Judges the calls of a template whose syntax is right.
    pub(super) fn of(source: &str, columns: &[String]) -> Self {
        let Ok(Stmt::Template(template)) = parse(source, "", SYNTAX.clone()) else { return Self::default() };
        let mut assigned = BTreeSet::from(["loop"]);
        find_assigned(&template.children, &mut assigned);
        let mut walk = Walk { columns, assigned, functions: functions(), calls: Self::default() };
        walk.statements(&template.children);
        walk.calls
    }
}

/// The parts of a statement that hold statements.
fn bodies<'t, 's>(statement: &'t Stmt<'s>) -> [&'t [Stmt<'s>]; 2] {
    match statement {
        Stmt::Template(node) => [&node.children, &[]],
        Stmt::ForLoop(node) => [&node.body, &node.else_body],
        Stmt::IfCond(node) => [&node.true_body, &node.false_body],
        Stmt::WithBlock(node) => [&node.body, &[]],
        Stmt::SetBlock(node) => [&node.body, &[]],
        Stmt::AutoEscape(node) => [&node.body, &[]],
        Stmt::FilterBlock(node) => [&node.body, &[]],
        Stmt::EmitExpr(_) | Stmt::EmitRaw(_) | Stmt::Set(_) | Stmt::Do(_) => [&[], &[]],
    }
}

/// Collects the names that statements assign: nothing is known of their values.
fn find_assigned<'s>(statements: &[Stmt<'s>], names: &mut BTreeSet<&'s str>) {
    for statement in statements {
        match statement {
            Stmt::ForLoop(node) => target(&node.target, names),
            Stmt::Set(node) => target(&node.target, names),
            Stmt::SetBlock(node) => target(&node.target, names),
            Stmt::WithBlock(node) => node.assignments.iter().for_each(|(name, _)| target(name, names)),
            _ => {}
        }
        for body in bodies(statement) {
            find_assigned(body, names);
        }
    }
}

fn target<'s>(expression: &Expr<'s>, names: &mut BTreeSet<&'s str>) {
    match expression {
        Expr::Var(node) => drop(names.insert(node.id)),
        Expr::List(node) => node.items.iter().for_each(|item| target(item, names)),
        Expr::Tuple(node) => node.items.iter().for_each(|item| target(item, names)),
        _ => {}
    }
}

/// A way through the syntax tree.
struct Walk<'a, 's> {
    columns: &'a [String],
    /// Names that the template assigns, whatever they stood for before.
    assigned: BTreeSet<&'s str>,
    functions: BTreeMap<String, Value>,
    calls: Calls,
}

impl<'s> Walk<'_, 's> {
    fn statements(&mut self, statements: &[Stmt<'s>]) {
        for statement in statements {
            self.statement(statement);
            for body in bodies(statement) {
                self.statements(body);
            }
        }
    }

    /// Judges what a statement itself evaluates.
    fn statement(&mut self, statement: &Stmt<'s>) {
        match statement {
            Stmt::EmitExpr(node) => drop(self.value(&node.expr)),
            Stmt::ForLoop(node) => {
                self.value(&node.iter);
                node.filter_expr.iter().for_each(|filter| drop(self.value(filter)));
            }
            Stmt::IfCond(node) => drop(self.value(&node.expr)),
            Stmt::WithBlock(node) => node.assignments.iter().for_each(|(_, value)| drop(self.value(value))),
            Stmt::Set(node) => drop(self.value(&node.expr)),
            Stmt::SetBlock(node) => node.filter.iter().for_each(|filter| drop(self.value(filter))),
            Stmt::FilterBlock(node) => drop(self.value(&node.filter)),
            Stmt::Do(node) => drop(self.call(&node.call.expr, &node.call.args, node.span())),
            Stmt::AutoEscape(node) if node.enabled.as_const().is_none_or(|value| value != Value::from(true)) => {
                self.note(node.span(), "`autoescape` cannot be used here".to_owned());
            }
            Stmt::Template(_) | Stmt::EmitRaw(_) | Stmt::AutoEscape(_) => {}
        }
    }

    /// What is known of an expression, whose calls are judged.
    fn expression(&mut self, expression: &Expr<'s>) -> Known {
        match expression {
            Expr::Var(node) => self.name(node.id),
            Expr::Const(node) => {
                self.calls.numbers.extend(i64::try_from(node.value.clone()).ok());
                Known::Constant(node.value.clone())
            }
            Expr::Slice(node) => self.slice(node, node.span()),
            Expr::UnaryOp(node) => {
                let operand = self.value(&node.expr);
                match node.op {
                    UnaryOpKind::Not => Kind::Truth.into(),
                    UnaryOpKind::Neg => self.attempt("`-`", node.span(), "-a0", &[operand]),
                }
            }
            Expr::BinOp(node) => self.operator(node, node.span()),
            Expr::Compare(node) => {
                self.value(&node.expr);
                node.ops.iter().for_each(|operand| drop(self.value(&operand.expr)));
                Kind::Truth.into()
            }
            Expr::IfExpr(node) => {
                self.value(&node.test_expr);
                let then = self.value(&node.true_expr);
                node.false_expr.as_ref().map_or(Known::Nothing, |other| then.or(&self.value(other)))
            }
            Expr::Filter(node) => {
                // A block is filtered as the text that it gives.
                let of = node.expr.as_ref().map_or(Kind::Text.into(), |of| self.value(of));
                self.filter((node.name, of), &node.args, node.span())
            }
            Expr::Test(node) => {
                let of = self.value(&node.expr);
                let Some((operands, arguments)) = self.arguments(vec![of], &node.args) else { return Known::Nothing };
                let what = format!("`is {}`", node.name);
                self.attempt(&what, node.span(), &format!("a0 is {}{}", node.name, in_brackets(&arguments)), &operands)
            }
            Expr::Call(node) => self.call(&node.expr, &node.args, node.span()),
            Expr::GetAttr(node) => self.only_visit([&node.expr]),
            Expr::GetItem(node) => self.only_visit([&node.expr, &node.subscript_expr]),
            Expr::List(node) => self.only_visit(&node.items),
            Expr::Tuple(node) => self.only_visit(&node.items),
            Expr::Map(node) => self.only_visit(node.keys.iter().chain(&node.values)),
        }
        .or_constant(expression)
    }

    fn slice(&mut self, slice: &Slice<'s>, span: Span) -> Known {
        let mut operands = vec![self.value(&slice.expr)];
        let bounds = [&slice.start, &slice.stop, &slice.step].map(|bound| {
            let Some(bound) = bound else { return String::new() };
            let known = self.value(bound);
            operands.push(known);
            format!("a{}", operands.len() - 1)
        });
        self.attempt("a slice", span, &format!("a0[{}]", bounds.join(":")), &operands)
    }

    fn operator(&mut self, operation: &BinOp<'s>, span: Span) -> Known {
        let operands = [self.value(&operation.left), self.value(&operation.right)];
        match operator(operation.op) {
            Some(word) => self.attempt(&format!("`{word}`"), span, &format!("a0 {word} a1"), &operands),
            None if matches!(operation.op, BinOpKind::ScAnd | BinOpKind::ScOr) => operands[0].or(&operands[1]),
            None => Kind::Truth.into(),
        }
    }

    /// What is known of an expression that is used as a value: a function is none.
    fn value(&mut self, expression: &Expr<'s>) -> Known {
        if let Expr::Var(node) = expression
            && FUNCTIONS.contains(&node.id)
            && !self.assigned.contains(node.id)
        {
            let name = node.id;
            self.note(node.span(), format!("`{name}` is a function; call it as in {name}(…)"));
        }
        self.expression(expression)
    }

    fn only_visit<'t>(&mut self, parts: impl IntoIterator<Item = &'t Expr<'s>>) -> Known
    where
        's: 't,
    {
        parts.into_iter().for_each(|part| drop(self.value(part)));
        Known::Nothing
    }

    fn name(&mut self, name: &str) -> Known {
        let meaning = Name::of(name, self.columns);
        if let Some(Name::Column(column)) = meaning {
            self.calls.columns.insert(column);
        }
        match meaning {
            _ if self.assigned.contains(name) => Known::Nothing,
            Some(Name::Column(_) | Name::Unique) => Kind::Text.into(),
            Some(Name::User | Name::Step | Name::Operation) => Kind::Whole.into(),
            None if MADE_UP.contains(&name) => Kind::Text.into(),
            None => Known::Nothing,
        }
    }

    fn filter(&mut self, (name, of): (&str, Known), arguments: &[CallArg<'s>], span: Span) -> Known {
        self.judge_inner_name(name, arguments, span);
        let is_constant = matches!(of, Known::Constant(_));
        let Some((operands, arguments)) = self.arguments(vec![of], arguments) else { return Known::Nothing };
        // Only the text that is filtered says how many arguments `format` takes.
        if name == "format" && !is_constant {
            return Kind::Text.into();
        }
        self.attempt(&format!("`{name}`"), span, &format!("a0|{name}{}", in_brackets(&arguments)), &operands)
    }

    /// Judges the name of a filter or test that a filter takes as an argument.
    fn judge_inner_name(&mut self, name: &str, arguments: &[CallArg<'s>], span: Span) {
        let (place, expression) = match name {
            "map" => (0, "''|"),
            "select" | "reject" => (0, "'' is "),
            "selectattr" | "rejectattr" => (1, "'' is "),
            _ => return,
        };
        let Some(CallArg::Pos(Expr::Const(inner))) = arguments.get(place) else { return };
        let Some(inner) = inner.value.as_str() else { return };
        let is_name = inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // It may want arguments that are not looked at here, and then fails in another way.
        if let Err(error) = attempt(&format!("{expression}{inner}"), &[], &BTreeMap::new())
            && is_name
            && matches!(error.kind(), minijinja::ErrorKind::UnknownFilter | minijinja::ErrorKind::UnknownTest)
        {
            self.note(span, format!("`{name}` fails: {}", describe(&error)));
        }
    }

    fn call(&mut self, called: &Expr<'s>, arguments: &[CallArg<'s>], span: Span) -> Known {
        let (what, function, operands) = match called {
            Expr::Var(node) if !self.assigned.contains(node.id) && self.is_function(node.id) => {
                (node.id, node.id.to_owned(), Vec::new())
            }
            Expr::Var(node) => (node.id, "a0".to_owned(), vec![self.name(node.id)]),
            Expr::GetAttr(node) => (node.name, format!("a0.{}", node.name), vec![self.value(&node.expr)]),
            other => ("the call", "a0".to_owned(), vec![self.value(other)]),
        };
        let Some((all, arguments)) = self.arguments(operands, arguments) else {
            return Known::Nothing;
        };
        let made = self.attempt(&format!("`{what}`"), span, &format!("{function}({})", arguments.join(", ")), &all);
        // Another operation may get another value of that kind.
        made.or(&made)
    }

    fn is_function(&self, name: &str) -> bool {
        self.functions.contains_key(name) || BASE.globals().any(|(global, _)| global == name)
    }

    /// The operands with those that arguments add, and how they are written; `None` where nobody knows how many there are.
    fn arguments(&mut self, mut operands: Vec<Known>, arguments: &[CallArg<'s>]) -> Option<(Vec<Known>, Vec<String>)> {
        let mut written = Some(Vec::new());
        for argument in arguments {
            let (prefix, expression, is_one) = match argument {
                CallArg::Pos(expression) => (String::new(), expression, true),
                CallArg::Kwarg(name, expression) => (format!("{name}="), expression, true),
                CallArg::PosSplat(expression) | CallArg::KwargSplat(expression) => (String::new(), expression, false),
            };
            let known = self.value(expression);
            written = written.filter(|_| is_one);
            if let Some(written) = &mut written {
                written.push(format!("{prefix}a{}", operands.len()));
            }
            operands.push(known);
        }
        written.map(|written| (operands, written))
    }

    fn attempt(&mut self, what: &str, span: Span, expression: &str, operands: &[Known]) -> Known {
        attempt(expression, operands, &self.functions).unwrap_or_else(|error| {
            // What our own functions say names them.
            let own = error.detail().filter(|detail| detail.starts_with('`')).map(str::to_owned);
            self.note(span, own.unwrap_or_else(|| format!("{what} fails: {}", describe(&error))));
            Known::Nothing
        })
    }

    fn note(&mut self, span: Span, text: String) {
        let line = usize::from(span.start_line).max(1);
        let place = if line > 1 { format!(" in line {line} of the template") } else { String::new() };
        self.calls.wrong.push(WrongCall { line, text: text + &place });
    }
}

impl Known {
    /// The value of a constant expression, of which nothing else is known.
    fn or_constant(self, expression: &Expr<'_>) -> Self {
        match self {
            Self::Nothing => expression.as_const().map_or(Self::Nothing, Self::Constant),
            known => known,
        }
    }
}

/// The word of an operator that some operands make fail.
fn operator(kind: BinOpKind) -> Option<&'static str> {
    match kind {
        BinOpKind::Add => Some("+"),
        BinOpKind::Sub => Some("-"),
        BinOpKind::Mul => Some("*"),
        BinOpKind::Div => Some("/"),
        BinOpKind::FloorDiv => Some("//"),
        BinOpKind::Rem => Some("%"),
        BinOpKind::Pow => Some("**"),
        BinOpKind::Concat => Some("~"),
        BinOpKind::In => Some("in"),
        BinOpKind::Eq
        | BinOpKind::Ne
        | BinOpKind::Lt
        | BinOpKind::Lte
        | BinOpKind::Gt
        | BinOpKind::Gte
        | BinOpKind::ScAnd
        | BinOpKind::ScOr => None,
    }
}

fn in_brackets(arguments: &[String]) -> String {
    if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) }
}
