//! Where the parts of a parsed expression stand in its source. The parser keeps no places, but a walk
//! through its tree meets the words in the order of the source, so each part finds its own.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use std::collections::HashMap;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::parser::pratt_parser::TokenKind;

use crate::pipeline::expression::tokens::Prepared;
use crate::pipeline::expression::types::sign;

/// Bytes from and to.
type Span = (usize, usize);

/// Loops, which the parser replaces by what they do.
const LOOPS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "filter", "map"];

/// The places of the parts, by the number that the parser gave each.
#[derive(Debug, Default)]
pub(in crate::pipeline::expression) struct Places {
    found: HashMap<u64, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// The sign of an operator, the name of a function, a literal.
    word: Span,
    /// From the first word to the last one.
    whole: Span,
}

impl Places {
    /// Finds the place of every part.
    pub(in crate::pipeline::expression) fn of(program: &IdedExpr, prepared: &Prepared) -> Self {
        let mut walk = Walk { prepared, next: 0, found: HashMap::new() };
        walk.visit(program);
        Self { found: walk.found }
    }

    /// The word that makes the part what it is, such as the sign of an operator.
    pub(in crate::pipeline::expression) fn word(&self, id: u64) -> Option<Span> {
        self.found.get(&id).map(|it| it.word)
    }

    /// The part from its first word to its last one.
    pub(in crate::pipeline::expression) fn whole(&self, id: u64) -> Option<Span> {
        self.found.get(&id).map(|it| it.whole)
    }
}

struct Walk<'a> {
    prepared: &'a Prepared,
    /// The first word that has not been passed.
    next: usize,
    found: HashMap<u64, Place>,
}

impl Walk<'_> {
    /// Gives the extent of the part.
    fn visit(&mut self, part: &IdedExpr) -> Option<Span> {
        let (word, whole) = match &part.expr {
            Expr::Ident(name) => {
                let word = self.pass(|text, _| text == name);
                (word, word)
            }
            Expr::Literal(literal) => {
                let word = self.literal(literal);
                (word, word)
            }
            Expr::Select(select) => {
                let asked = if select.test { self.pass(|text, _| text == "has") } else { None };
                let operand = self.visit(&select.operand);
                let field = self.pass(|text, _| text.trim_matches('`') == select.field);
                let close = asked.and_then(|_| self.pass_if_next(TokenKind::TokRightParen));
                (field, around(asked, around(operand, around(field, close))))
            }
            Expr::List(list) => {
                let open = self.pass(|_, kind| kind == TokenKind::TokLeftBracket);
                let items: Vec<_> = list.elements.iter().map(|it| self.visit(it)).collect();
                (open, items.into_iter().fold(open, around))
            }
            Expr::Map(map) => {
                let open = self.pass(|_, kind| kind == TokenKind::TokLeftBrace);
                let mut whole = open;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        whole = around(whole, self.visit(&entry.key));
                        whole = around(whole, self.visit(&entry.value));
                    }
                }
                (open, whole)
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(it) => {
                let range = self.visit(&it.iter_range);
                let is_name = |text: &str, _| LOOPS.contains(&text);
                let is_filter = self.prepared.find_from(self.next, is_name);
                let is_filter = is_filter.is_some_and(|(at, _)| self.prepared.word(at) == "filter");
                let name = self.pass(is_name);
                let variable = self.pass(|text, _| text == it.iter_var);
                let step = self.step(&it.loop_step, is_filter);
                (variable.or(name), around(range, around(name, step)))
            }
            _ => (None, None),
        };
        if let Some((word, whole)) = word.zip(whole) {
            self.found.insert(part.id, Place { word, whole });
        }
        whole
    }

    fn call(&mut self, call: &CallExpr) -> (Option<Span>, Option<Span>) {
        let is_infix = call.target.is_none() && call.func_name.starts_with(['_', '@']);
        let mut arguments = call.args.iter();
        let first = match &call.target {
            Some(target) => self.visit(target),
            None if is_infix => arguments.next().and_then(|it| self.visit(it)),
            None => None,
        };
        let sign = sign(&call.func_name);
        let word = self.pass(|text, _| text == sign);
        self.pass_if_next(TokenKind::TokLeftParen);
        let mut whole = around(first, word);
        for argument in arguments {
            whole = around(whole, self.visit(argument));
        }
        let is_named = sign == call.func_name;
        let end = if is_named { TokenKind::TokRightParen } else { TokenKind::TokRightBracket };
        if is_named || call.func_name == "_[_]" {
            whole = around(whole, self.pass_if_next(end));
        }
        (word, whole)
    }

    /// What a loop does for each item: what was written, inside of what the parser made around it.
    fn step(&mut self, step: &IdedExpr, is_filter: bool) -> Option<Span> {
        let is_result =
            |it: &IdedExpr| matches!(&it.expr, Expr::Ident(name) if name.starts_with('@'));
        let Expr::Call(call) = &step.expr else { return self.visit(step) };
        if !call.args.iter().any(is_result) {
            return self.visit(step);
        }
        let mut whole = None;
        for argument in call.args.iter().filter(|it| !is_result(it)) {
            let found = match &argument.expr {
                // The item that a `filter` keeps; below, the number that `exists_one` counts up by.
                Expr::List(_) if call.func_name == "_+_" && is_filter => None,
                Expr::List(list) if call.func_name == "_+_" => {
                    list.elements.iter().fold(None, |all, it| around(all, self.visit(it)))
                }
                Expr::Literal(_) if call.func_name == "_+_" => None,
                _ => self.step(argument, is_filter),
            };
            whole = around(whole, found);
        }
        whole
    }

    fn literal(&mut self, literal: &LiteralValue) -> Option<Span> {
        self.pass(|text, kind| match literal {
            LiteralValue::String(_) => kind == TokenKind::TokString,
            LiteralValue::Bytes(_) => kind == TokenKind::TokBytes,
            LiteralValue::Boolean(truth) => text == if *truth.inner() { "true" } else { "false" },
            LiteralValue::Null => kind == TokenKind::TokNull,
            LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => {
                matches!(kind, TokenKind::TokInt | TokenKind::TokUint | TokenKind::TokFloat)
            }
        })
    }

    /// Goes behind the next word of this kind; stays, if there is none.
    fn pass(&mut self, is_wanted: impl Fn(&str, TokenKind) -> bool) -> Option<Span> {
        let (index, span) = self.prepared.find_from(self.next, is_wanted)?;
        self.next = index + 1;
        Some(span)
    }

    fn pass_if_next(&mut self, wanted: TokenKind) -> Option<Span> {
        let (index, span) = self.prepared.find_from(self.next, |_, _| true)?;
        let (found, _) = self.prepared.find_from(self.next, |_, kind| kind == wanted)?;
        if index != found {
            return None;
        }
        self.next = index + 1;
        Some(span)
    }
}

/// From the start of the first to the end of the second.
fn around(first: Option<Span>, second: Option<Span>) -> Option<Span> {
    match (first, second) {
        (Some((start, _)), Some((_, end))) => Some((start, end)),
        (found, None) | (None, found) => found,
    }
}
