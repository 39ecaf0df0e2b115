//! What is known of the types in an expression before anything runs. What cannot be known is `Any` and
//! fits everywhere: a problem that is told here would be one in every run.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr};

use super::calls::Call;
use super::compile::Compiled;
use super::{ExpressionError, tokens, words};

mod functions;
mod kind;
mod operators;

pub(super) use kind::Kind;

/// What the value of an expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A condition or a gate: true or false.
    Truth,
    /// A part of a text.
    Text,
}

/// Refuses an expression that can have no value, or none of the wanted type.
pub(super) fn check(
    program: &Expr,
    compiled: &Compiled,
    wanted: Wanted,
) -> Result<(), ExpressionError> {
    let mut inference = Inference { compiled, locals: Vec::new() };
    match wanted {
        Wanted::Truth => inference.truth(program),
        Wanted::Text => {
            let found = inference.kind(program)?;
            if found.can_be_text() {
                return Ok(());
            }
            let error = format!("{} is {found} and cannot stand in a string", shown(program));
            Err(inference.at(program, ExpressionError::new(error).help("name one of its values")))
        }
    }
}

struct Inference<'a> {
    compiled: &'a Compiled,
    /// Variables of the loops around the place.
    locals: Vec<(String, Kind)>,
}

impl Inference<'_> {
    fn kind(&mut self, expr: &Expr) -> Result<Kind, ExpressionError> {
        match expr {
            Expr::Literal(literal) => Ok(literal_kind(literal)),
            Expr::Ident(name) => Ok(self.name(name)),
            Expr::Select(select) => self.select(expr, select),
            Expr::List(list) => {
                let items: Result<Vec<_>, _> =
                    list.elements.iter().map(|it| self.kind(&it.expr)).collect();
                Ok(Kind::List(Box::new(Kind::common(items?))))
            }
            Expr::Map(_) => Ok(Kind::Map(Box::new(Kind::Any))),
            Expr::Comprehension(it) => self.comprehension(it),
            Expr::Call(call) => self.call(expr, call),
            _ => Ok(Kind::Any),
        }
    }

    /// Refuses what is neither true nor false.
    fn truth(&mut self, expr: &Expr) -> Result<(), ExpressionError> {
        let found = self.kind(expr)?;
        if matches!(found, Kind::Any | Kind::Bool) {
            return Ok(());
        }
        let text = shown(expr);
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
        let is_named = path_of(expr).is_some();
        let help = if is_named { help } else { "write a comparison".to_owned() };
        Err(self.at(expr, ExpressionError::new(error).help(help)))
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
        if words::is_type(name) { Kind::Any } else { Kind::of_root(name) }
    }

    fn select(&mut self, expr: &Expr, select: &SelectExpr) -> Result<Kind, ExpressionError> {
        let outer = self.kind(&select.operand.expr)?;
        if select.test {
            return Ok(Kind::Bool);
        }
        self.member(expr, &outer, (&select.operand.expr, &select.field))
    }

    fn member(
        &self,
        expr: &Expr,
        outer: &Kind,
        (operand, field): (&Expr, &str),
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
        Err(self.at(expr, error))
    }

    fn comprehension(&mut self, it: &ComprehensionExpr) -> Result<Kind, ExpressionError> {
        let range = self.kind(&it.iter_range.expr)?;
        let item = match &range {
            Kind::List(item) if it.iter_var2.is_none() => item.as_ref().clone(),
            Kind::Map(_) if it.iter_var2.is_none() => Kind::Text,
            Kind::Any | Kind::List(_) | Kind::Map(_) | Kind::Record(_) => Kind::Any,
            other => {
                let text = shown(&it.iter_range.expr);
                let error = format!("{text} is {other}, and a loop goes over a list or a map");
                return Err(self.at(&it.iter_range.expr, ExpressionError::new(error)));
            }
        };
        let result = self.kind(&it.accu_init.expr)?;
        let outside = self.locals.len();
        self.locals.push((it.iter_var.clone(), item));
        self.locals.extend(it.iter_var2.iter().map(|name| (name.clone(), Kind::Any)));
        self.locals.push((it.accu_var.clone(), result));
        self.kind(&it.loop_step.expr)?;
        let found = self.kind(&it.result.expr);
        self.locals.truncate(outside);
        found
    }

    fn call(&mut self, expr: &Expr, call: &CallExpr) -> Result<Kind, ExpressionError> {
        match operators::read(&call.func_name) {
            Some(operator) => self.operator(operator, expr, call),
            None => self.function(expr, call),
        }
    }

    /// Says where, as exactly as the words of the source allow.
    fn at(&self, expr: &Expr, error: ExpressionError) -> ExpressionError {
        let span = match expr {
            Expr::Ident(_) | Expr::Select(_) => self.span_of_path(expr),
            Expr::Call(call) => self.span_of_word(operators::sign(&call.func_name)),
            Expr::Literal(LiteralValue::String(text)) => {
                let text = text.inner();
                self.span_of_word(&format!("\"{text}\""))
                    .or_else(|| self.span_of_word(&format!("'{text}'")))
            }
            _ => None,
        };
        match span {
            Some(span) => error.at(span),
            None => error,
        }
    }

    fn span_of_path(&self, expr: &Expr) -> Option<(usize, usize)> {
        let path = path_of(expr)?;
        let is_it = |it: &&super::Reference| {
            let words = std::iter::once(it.root.as_str()).chain(it.path.iter().map(String::as_str));
            let skipped = usize::from(it.is_bare);
            words.skip(skipped).eq(path.iter().copied())
        };
        self.compiled.references.iter().find(is_it).map(|it| it.span)
    }

    /// The place of a word that stands once in the source.
    fn span_of_word(&self, word: &str) -> Option<(usize, usize)> {
        tokens::prepare(self.compiled.source()).ok()?.find_only(word)
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
fn path_of(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Ident(name) if !name.starts_with('@') => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand.expr)?;
            path.push(&select.field);
            Some(path)
        }
        _ => None,
    }
}

/// The expression in backticks where it is short, else words for it.
fn shown(expr: &Expr) -> String {
    match expr {
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
            format!("the result of `{}`", operators::sign(&call.func_name))
        }
        Expr::List(_) => "the list".to_owned(),
        Expr::Map(_) => "the map".to_owned(),
        _ => path_of(expr)
            .map_or_else(|| "the value".to_owned(), |path| format!("`{}`", path.join("."))),
    }
}
