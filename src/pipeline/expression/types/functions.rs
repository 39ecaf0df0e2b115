//! What the functions and methods of CEL take, and what they give.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::{Inference, Kind, shown};
use crate::pipeline::expression::ExpressionError;

impl Inference<'_> {
    pub(super) fn function(
        &mut self,
        part: &IdedExpr,
        call: &CallExpr,
    ) -> Result<Kind, ExpressionError> {
        let values: Vec<&IdedExpr> =
            call.target.iter().map(AsRef::as_ref).chain(&call.args).collect();
        let kinds: Vec<Kind> = values.iter().map(|it| self.kind(it)).collect();
        let name = call.func_name.as_str();
        let (wanted, result) = match name {
            "startsWith" | "endsWith" | "matches" | "contains" => (2, Kind::Bool),
            "size" | "int" | "uint" | "double" => (1, Kind::Number),
            "string" => (1, Kind::Text),
            "bool" => (1, Kind::Bool),
            "bytes" => (1, Kind::Bytes),
            "dyn" | "type" => (1, Kind::Any),
            _ => return Ok(Kind::Any),
        };
        if values.len() != wanted {
            return Err(self.at(part, wrong_count(call, wanted, values.len())));
        }
        for (value, kind) in values.iter().zip(&kinds) {
            if !fits(name, kind, kinds.first()) {
                let error =
                    format!("{} is {kind}, and `{name}` wants {}", shown(value), asked(name));
                let error = ExpressionError::new(error);
                let is_number = kind.is_number() && name != "size";
                let help = "make a string of it with `string(…)`, or write it in quotes";
                let error = if is_number { error.help(help) } else { error };
                self.problems.push(self.at(value, error));
            }
        }
        if let ("matches", Some(pattern)) = (name, values.last()) {
            self.check_pattern(pattern);
        }
        Ok(result)
    }

    fn check_pattern(&mut self, pattern: &IdedExpr) {
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else { return };
        let Err(error) = regex::Regex::new(text.inner()) else { return };
        let said = error.to_string();
        let said = said.lines().last().unwrap_or_default();
        let said = said.trim_start_matches("error: ");
        let error = format!("`{}` is not a regular expression: {said}", text.inner());
        let help = "write `\\\\` before a sign that stands for itself, such as `\\\\(`";
        self.problems.push(self.at(pattern, ExpressionError::new(error).help(help)));
    }
}

fn fits(name: &str, kind: &Kind, first: Option<&Kind>) -> bool {
    match name {
        "size" => {
            kind.is_text()
                || matches!(kind, Kind::Bytes | Kind::List(_) | Kind::Map(_) | Kind::Record(_))
        }
        "startsWith" | "endsWith" | "matches" => kind.is_text(),
        // Lists and maps contain anything.
        "contains" => match first {
            Some(Kind::Text | Kind::Word(_)) => kind.is_text(),
            Some(first) => !matches!(first, Kind::Bool | Kind::Number | Kind::Null),
            None => true,
        },
        "int" | "uint" | "double" => {
            !matches!(kind, Kind::List(_) | Kind::Map(_) | Kind::Record(_))
        }
        _ => true,
    }
}

fn asked(name: &str) -> &'static str {
    match name {
        "size" => "a string, a list or a map",
        "int" | "uint" | "double" => "a string or a number",
        _ => "a string",
    }
}

fn wrong_count(call: &CallExpr, wanted: usize, given: usize) -> ExpressionError {
    let name = &call.func_name;
    let before = usize::from(call.target.is_some());
    let (wanted, given) = (wanted - before, given - before);
    let noun = if wanted == 1 { "argument" } else { "arguments" };
    let error = format!("`{name}` takes {wanted} {noun} here and was given {given}");
    let help = match name.as_str() {
        "startsWith" | "endsWith" | "contains" | "matches" => {
            format!("write it as `git.branch.{name}(\"…\")`")
        }
        _ => format!("write it as `{name}(value)`"),
    };
    ExpressionError::new(error).help(help)
}
