//! What is known of the types in an expression before anything runs. What cannot be known is `Any` and
//! fits everywhere: a problem that is told here would be one in every run.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr,
};

use super::calls::Call;
use super::compile::Compiled;
use super::{ExpressionError, words};

mod functions;
mod kind;
mod operators;

use kind::Kind;
pub(super) use operators::sign;

/// What the value of an expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A condition: true or false.
    Truth,
    /// True or false, where plain names are metrics.
    Gate,
    /// A part of a text.
    Text,
}

/// Why an expression can have no value, or none of the wanted type.
pub(super) fn problems(
    program: &IdedExpr,
    compiled: &Compiled,
    wanted: Wanted,
) -> Vec<ExpressionError> {
    let has_metrics = wanted == Wanted::Gate;
    let mut inference =
        Inference { compiled, has_metrics, locals: Vec::new(), problems: Vec::new() };
    match wanted {
        Wanted::Truth | Wanted::Gate => inference.truth(program),
        Wanted::Text => inference.text(program),
    }
    inference.problems
}

struct Inference<'a> {
    compiled: &'a Compiled,
    /// Whether plain names are metrics.
    has_metrics: bool,
    /// Variables of the loops around the place.
    locals: Vec<(String, Kind)>,
    problems: Vec<ExpressionError>,
}

impl Inference<'_> {
    /// What is known of the value. A part with a problem may be anything from there on, so that it is
    /// told once.
    fn kind(&mut self, part: &IdedExpr) -> Kind {
        match self.try_kind(part) {
            Ok(kind) => kind,
            Err(problem) => {
                self.problems.push(problem);
                Kind::Any
            }
        }
    }

    fn kinds(&mut self, parts: &[IdedExpr]) -> Vec<Kind> {
        parts.iter().map(|it| self.kind(it)).collect()
    }

    fn try_kind(&mut self, part: &IdedExpr) -> Result<Kind, ExpressionError> {
        match &part.expr {
            Expr::Literal(literal) => Ok(literal_kind(literal)),
            Expr::Ident(name) => Ok(self.name(name)),
            Expr::Select(select) => self.select(part, select),
            Expr::List(list) => {
                let items = self.kinds(&list.elements);
                Ok(Kind::List(Box::new(Kind::common(items))))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.key);
                        self.kind(&entry.value);
                    }
                }
                Ok(Kind::Map(Box::new(Kind::Any)))
            }
            Expr::Comprehension(it) => Ok(self.comprehension(it)),
            Expr::Call(call) => self.call(part, call),
            _ => Ok(Kind::Any),
        }
    }

    /// Refuses what cannot stand in a text.
    fn text(&mut self, part: &IdedExpr) {
        let found = self.kind(part);
        if !found.can_be_text() {
            let error = format!("{} is {found} and cannot stand in a string", shown(part));
            let error = ExpressionError::new(error).help("name one of its values");
            self.problems.push(self.at(part, error));
        }
    }

    /// Refuses what is neither true nor false.
    fn truth(&mut self, part: &IdedExpr) {
        let found = self.kind(part);
        if matches!(found, Kind::Any | Kind::Bool) {
            return;
        }
        let text = shown(part);
        let error = format!("{text} is {found}, but a condition must be true or false");
        let bare = text.trim_matches('`');
        let help = match found {
            Kind::Number => format!("compare it with a value, such as `{bare} > 0`"),
            Kind::List(_) | Kind::Map(_) => {
                format!("compare it with a value, such as `size({bare}) > 0`")
            }
            Kind::Record(_) => format!("compare it with a value, such as `{bare} != null`"),
            _ => format!("compare it with a value, such as `{bare} == \"…\"`"),
        };
        let is_named = path_of(part).is_some();
        let help = if is_named { help } else { "write a comparison".to_owned() };
        self.problems.push(self.at(part, ExpressionError::new(error).help(help)));
    }

    fn name(&self, name: &str) -> Kind {
        if let Some((_, kind)) = self.locals.iter().rev().find(|(it, _)| it == name) {
            return kind.clone();
        }
        if let Some(index) = name.strip_prefix('@').and_then(|it| it.parse::<usize>().ok()) {
            return match self.compiled.calls.get(index) {
                Some(Call::Hash(_)) => Kind::Text,
                Some(_) => Kind::Bool,
                None => Kind::Any,
            };
        }
        let is_metric = !words::ROOTS.contains(&name);
        let is_known = !is_metric || (self.has_metrics && !words::FUNCTIONS.contains(&name));
        if is_known && !words::is_type(name) { Kind::of_root(name) } else { Kind::Any }
    }

    fn select(&mut self, part: &IdedExpr, select: &SelectExpr) -> Result<Kind, ExpressionError> {
        let outer = self.kind(&select.operand);
        let found = self.member(part, &outer, (&select.operand, &select.field));
        // `has` may ask for what is not always there, but not for what never is.
        found.map(|kind| if select.test { Kind::Bool } else { kind })
    }

    fn member(
        &self,
        part: &IdedExpr,
        outer: &Kind,
        (operand, field): (&IdedExpr, &str),
    ) -> Result<Kind, ExpressionError> {
        let operand = shown(operand);
        let error = match outer {
            Kind::Any => return Ok(Kind::Any),
            Kind::Map(values) => return Ok(values.as_ref().clone()),
            Kind::Record(record) => {
                if let Some(kind) = record.field(field) {
                    return Ok(kind);
                }
                let known = record.fields().iter().copied();
                let error =
                    format!("{operand} has no `{field}`; it has {}", words::listed(known.clone()));
                words::suggest(ExpressionError::new(error), field, known)
            }
            _ => ExpressionError::new(format!("{operand} is {outer} and has no `{field}`")),
        };
        Err(self.at(part, error))
    }

    fn comprehension(&mut self, it: &ComprehensionExpr) -> Kind {
        let range = self.kind(&it.iter_range);
        let item = match &range {
            Kind::List(item) if it.iter_var2.is_none() => item.as_ref().clone(),
            Kind::Map(_) if it.iter_var2.is_none() => Kind::Text,
            Kind::Any | Kind::List(_) | Kind::Map(_) | Kind::Record(_) => Kind::Any,
            other => {
                let text = shown(&it.iter_range);
                let error = format!("{text} is {other}, and a loop goes over a list or a map");
                self.problems.push(self.at(&it.iter_range, ExpressionError::new(error)));
                Kind::Any
            }
        };
        let result = self.kind(&it.accu_init);
        let outside = self.locals.len();
        self.locals.push((it.iter_var.clone(), item));
        self.locals.extend(it.iter_var2.iter().map(|name| (name.clone(), Kind::Any)));
        self.locals.push((it.accu_var.clone(), result));
        self.kind(&it.loop_step);
        let found = self.kind(&it.result);
        self.locals.truncate(outside);
        found
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Kind, ExpressionError> {
        match operators::read(&call.func_name) {
            Some(operator) => self.operator(operator, part, call),
            None => self.function(part, call),
        }
    }

    /// Says where: a name as a whole, a call or an operator by its word.
    fn at(&self, part: &IdedExpr, error: ExpressionError) -> ExpressionError {
        let places = &self.compiled.places;
        let span = match &part.expr {
            Expr::Call(_) | Expr::Literal(_) => places.word(part.id),
            _ => places.whole(part.id),
        };
        match span {
            Some(span) => error.at(span),
            None => error,
        }
    }
}

fn literal_kind(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
    }
}

/// `["git", "branch"]` of `git.branch`.
fn path_of(part: &IdedExpr) -> Option<Vec<&str>> {
    match &part.expr {
        Expr::Ident(name) if !name.starts_with('@') => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        _ => None,
    }
}

/// The expression in backticks where it is short, else words for it.
fn shown(part: &IdedExpr) -> String {
    match &part.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::String(text) => format!("`\"{}\"`", text.inner()),
            LiteralValue::Int(number) => format!("`{}`", number.inner()),
            LiteralValue::UInt(number) => format!("`{}`", number.inner()),
            LiteralValue::Double(number) => format!("`{}`", number.inner()),
            LiteralValue::Boolean(truth) => format!("`{}`", truth.inner()),
            LiteralValue::Null => "`null`".to_owned(),
            LiteralValue::Bytes(_) => "a literal".to_owned(),
        },
        Expr::Ident(name) if name.starts_with('@') => "the result of a call".to_owned(),
        Expr::Call(call) if operators::read(&call.func_name).is_none() => {
            format!("the result of `{}`", call.func_name)
        }
        Expr::Call(call) => {
            format!("the result of `{}`", sign(&call.func_name))
        }
        Expr::List(_) => "the list".to_owned(),
        Expr::Map(_) => "the map".to_owned(),
        _ => path_of(part)
            .map_or_else(|| "the value".to_owned(), |path| format!("`{}`", path.join("."))),
    }
}
