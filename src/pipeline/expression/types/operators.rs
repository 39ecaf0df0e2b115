//! What the operators take, and what they give.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::{Inference, Kind, shown};
use crate::pipeline::expression::{ExpressionError, words};

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Logic,
    Choice,
    Equality,
    Order,
    Plus,
    Arithmetic,
    Negation,
    Membership,
    Index,
    /// Made by the parser for loops.
    Inner,
}

/// The operator that CEL calls by this name.
pub(super) fn read(name: &str) -> Option<Operator> {
    Some(match name {
        "_&&_" | "_||_" | "!_" => Operator::Logic,
        "_?_:_" => Operator::Choice,
        "_==_" | "_!=_" => Operator::Equality,
        "_<_" | "_<=_" | "_>_" | "_>=_" => Operator::Order,
        "_+_" => Operator::Plus,
        "_-_" | "_*_" | "_/_" | "_%_" => Operator::Arithmetic,
        "-_" => Operator::Negation,
        "@in" => Operator::Membership,
        "_[_]" => Operator::Index,
        other if other.starts_with(['@', '_']) => Operator::Inner,
        _ => return None,
    })
}

/// The operator as it is written.
pub(in crate::pipeline::expression) fn sign(name: &str) -> &str {
    match name {
        "_?_:_" => "?",
        "_[_]" => "[",
        "@in" => "in",
        other => other.trim_matches('_'),
    }
}

impl Inference<'_> {
    pub(super) fn operator(
        &mut self,
        operator: Operator,
        part: &IdedExpr,
        call: &CallExpr,
    ) -> Result<Kind, ExpressionError> {
        match (operator, call.args.as_slice()) {
            (Operator::Logic, args) => {
                for it in args {
                    self.truth(it);
                }
                Ok(Kind::Bool)
            }
            (Operator::Choice, [asked, yes, no]) => {
                self.truth(asked);
                Ok(Kind::common(vec![self.kind(yes), self.kind(no)]))
            }
            (Operator::Negation, [value]) => self.negation(part, value),
            (Operator::Equality, [left, right]) => self.equality(part, (left, right)),
            (Operator::Order, [left, right]) => self.order(part, (left, right)),
            (Operator::Plus | Operator::Arithmetic, [left, right]) => {
                self.arithmetic(part, (left, right))
            }
            (Operator::Membership, [item, list]) => self.membership(part, (item, list)),
            (Operator::Index, [outer, key]) => self.index(part, (outer, key)),
            (_, args) => {
                self.kinds(args);
                Ok(Kind::Any)
            }
        }
    }

    fn negation(&mut self, part: &IdedExpr, value: &IdedExpr) -> Result<Kind, ExpressionError> {
        let kind = self.kind(value);
        if kind.is_number() {
            return Ok(Kind::Number);
        }
        let error = format!("{} is {kind}, and `-` wants a number", shown(value));
        Err(self.at(part, ExpressionError::new(error)))
    }

    fn equality(
        &mut self,
        part: &IdedExpr,
        (left, right): (&IdedExpr, &IdedExpr),
    ) -> Result<Kind, ExpressionError> {
        let kinds = (self.kind(left), self.kind(right));
        self.check_class(part, (left, right), (&kinds.0, &kinds.1), "which are never equal")?;
        self.check_word((left, &kinds.0), right);
        self.check_word((right, &kinds.1), left);
        Ok(Kind::Bool)
    }

    fn order(
        &mut self,
        part: &IdedExpr,
        (left, right): (&IdedExpr, &IdedExpr),
    ) -> Result<Kind, ExpressionError> {
        let kinds = (self.kind(left), self.kind(right));
        self.check_class(part, (left, right), (&kinds.0, &kinds.1), "which have no order")?;
        for (side, kind) in [(left, &kinds.0), (right, &kinds.1)] {
            if matches!(kind, Kind::List(_) | Kind::Map(_) | Kind::Record(_) | Kind::Null) {
                let error = format!("{} has no order: it is {kind}", shown(side));
                let help = "use `==`, or compare a part of it";
                return Err(self.at(part, ExpressionError::new(error).help(help)));
            }
        }
        Ok(Kind::Bool)
    }

    fn check_class(
        &self,
        part: &IdedExpr,
        (left, right): (&IdedExpr, &IdedExpr),
        kinds: (&Kind, &Kind),
        consequence: &str,
    ) -> Result<(), ExpressionError> {
        let (Some(a), Some(b)) = (kinds.0.class(), kinds.1.class()) else { return Ok(()) };
        if a == b {
            return Ok(());
        }
        let (one, other) = (shown(left), shown(right));
        let error = format!("{one} is {} and {other} is {}, {consequence}", kinds.0, kinds.1);
        Err(self.at(part, ExpressionError::new(error).help(conversion((left, right), kinds))))
    }

    /// Refuses a literal that a text of a few words never is.
    fn check_word(&mut self, (part, kind): (&IdedExpr, &Kind), literal: &IdedExpr) {
        let (Kind::Word(known), Expr::Literal(LiteralValue::String(text))) = (kind, &literal.expr)
        else {
            return;
        };
        let known = known.all();
        if known.contains(&text.inner()) {
            return;
        }
        let listed = words::listed(known.iter().copied());
        let (text_of, never) = (shown(part), text.inner());
        let error = format!("{text_of} is never `\"{never}\"`; it is one of {listed}");
        let error = words::suggest(ExpressionError::new(error), text.inner(), known);
        self.problems.push(self.at(literal, error));
    }

    fn arithmetic(
        &mut self,
        part: &IdedExpr,
        (left, right): (&IdedExpr, &IdedExpr),
    ) -> Result<Kind, ExpressionError> {
        let Expr::Call(call) = &part.expr else { return Ok(Kind::Any) };
        let kinds = (self.kind(left), self.kind(right));
        let sign = sign(&call.func_name);
        if matches!(sign, "/" | "%") && is_zero(right) {
            let error = ExpressionError::new("this divides by zero and has no value");
            return Err(self.at(part, error));
        }
        let is_join = sign == "+";
        let found = match &kinds {
            (Kind::Any, other) | (other, Kind::Any) => {
                if other.is_number() || (is_join && other.class().is_some_and(|it| it > 1)) {
                    Some(Kind::Any)
                } else {
                    None
                }
            }
            (Kind::Number, Kind::Number) => Some(Kind::Number),
            (left, right) if is_join && left.is_text() && right.is_text() => Some(Kind::Text),
            (Kind::List(_), Kind::List(_)) if is_join => {
                Some(Kind::common(vec![kinds.0.clone(), kinds.1.clone()]).or_list())
            }
            (Kind::Bytes, Kind::Bytes) if is_join => Some(Kind::Bytes),
            _ => None,
        };
        found.ok_or_else(|| {
            let (one, other) = (shown(left), shown(right));
            let error = format!(
                "{one} is {} and {other} is {}, and `{sign}` cannot combine them",
                kinds.0, kinds.1
            );
            let help = conversion((left, right), (&kinds.0, &kinds.1));
            self.at(part, ExpressionError::new(error).help(help))
        })
    }

    fn membership(
        &mut self,
        part: &IdedExpr,
        (item, list): (&IdedExpr, &IdedExpr),
    ) -> Result<Kind, ExpressionError> {
        let (wanted, found) = (self.kind(item), self.kind(list));
        match &found {
            Kind::List(items) => {
                if wanted.class().zip(items.class()).is_some_and(|(a, b)| a != b) {
                    let item = shown(item);
                    let error = format!("{item} is {wanted}, and each item of the list is {items}");
                    let help = "write the items as values of the same type";
                    return Err(self.at(part, ExpressionError::new(error).help(help)));
                }
                if let Expr::List(list) = &list.expr {
                    list.elements.iter().for_each(|it| self.check_word((item, &wanted), it));
                }
            }
            Kind::Any | Kind::Map(_) | Kind::Record(_) => {}
            other => {
                let error = format!("{} is {other}, and `in` wants a list", shown(list));
                let help = if other.is_text() && wanted.is_text() {
                    let (list, item) = (shown(list), shown(item));
                    let (list, item) = (list.trim_matches('`'), item.trim_matches('`'));
                    format!(
                        "write `{list}.contains({item})` for a part of it, or a list: `[{list}]`"
                    )
                } else {
                    "write a list, such as `[\"a\", \"b\"]`".to_owned()
                };
                return Err(self.at(part, ExpressionError::new(error).help(help)));
            }
        }
        Ok(Kind::Bool)
    }

    fn index(
        &mut self,
        part: &IdedExpr,
        (outer, key): (&IdedExpr, &IdedExpr),
    ) -> Result<Kind, ExpressionError> {
        let found = self.kind(outer);
        self.kind(key);
        match (&found, &key.expr) {
            (Kind::List(item), _) => Ok(item.as_ref().clone()),
            (Kind::Map(values), _) => Ok(values.as_ref().clone()),
            (Kind::Record(_), Expr::Literal(LiteralValue::String(name))) => {
                self.member(part, &found, (outer, name.inner()))
            }
            (Kind::Any | Kind::Record(_), _) => Ok(Kind::Any),
            _ => {
                let error = format!("{} is {found} and has no parts", shown(outer));
                Err(self.at(part, ExpressionError::new(error)))
            }
        }
    }
}

impl Kind {
    /// Two lists make a list, whatever is in them.
    fn or_list(self) -> Self {
        if self == Self::Any { Self::List(Box::new(Self::Any)) } else { self }
    }
}

fn is_zero(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(LiteralValue::Int(number)) => *number.inner() == 0,
        Expr::Literal(LiteralValue::UInt(number)) => *number.inner() == 0,
        _ => false,
    }
}

/// How the two sides could be made one type.
fn conversion(sides: (&IdedExpr, &IdedExpr), kinds: (&Kind, &Kind)) -> String {
    let is_string = |it: &IdedExpr| matches!(it.expr, Expr::Literal(LiteralValue::String(_)));
    let is_plain = |it: &Kind| matches!(it, Kind::Number | Kind::Bool);
    let is_quoted =
        (is_string(sides.0) && is_plain(kinds.1)) || (is_string(sides.1) && is_plain(kinds.0));
    if is_quoted {
        return "write the value without its quotes".to_owned();
    }
    with_quotes(sides, kinds)
}

/// A literal that a string is compared with, written as a string.
fn with_quotes((left, right): (&IdedExpr, &IdedExpr), kinds: (&Kind, &Kind)) -> String {
    let is_literal = |it: &IdedExpr| matches!(it.expr, Expr::Literal(_));
    let quoted = match kinds {
        (text, Kind::Number | Kind::Bool) if text.is_text() && is_literal(right) => Some(right),
        (Kind::Number | Kind::Bool, text) if text.is_text() && is_literal(left) => Some(left),
        _ => None,
    };
    let text_side = if kinds.0.is_text() { left } else { right };
    let text_side = shown(text_side);
    let text_side = text_side.trim_matches('`');
    match quoted {
        Some(literal) => {
            let bare = shown(literal);
            let bare = bare.trim_matches('`');
            let is_number = !matches!(literal.expr, Expr::Literal(LiteralValue::Boolean(_)));
            if is_number && !text_side.contains(' ') {
                format!("write `\"{bare}\"`, or make a number of the string: `double({text_side})`")
            } else {
                format!("write `\"{bare}\"`")
            }
        }
        None => "convert with `string(…)`, `int(…)` or `double(…)`, or compare values of one type"
            .to_owned(),
    }
}
