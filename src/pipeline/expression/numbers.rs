//! Lets whole numbers and metrics mix. CEL compares an `int` with a `double`, but does not add them, and
//! divides `1 / 2` to `0`; metrics are doubles, so beside one a whole number becomes a double.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

const ARITHMETIC: [&str; 4] = ["_+_", "_-_", "_*_", "_/_"];
const COMPARISONS: [&str; 6] = ["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Double,
    Whole,
    Unknown,
}

/// Makes doubles of the whole numbers that meet a metric.
pub(super) fn promote(expr: &mut IdedExpr, metrics: &[String]) {
    match &mut expr.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|it| promote(it, metrics));
            call.args.iter_mut().for_each(|it| promote(it, metrics));
            promote_operands(call, metrics);
        }
        Expr::Comprehension(it) => {
            let it = &mut **it;
            for part in [&mut it.iter_range, &mut it.loop_cond, &mut it.loop_step, &mut it.result] {
                promote(part, metrics);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(|it| promote(it, metrics)),
        Expr::Select(select) => promote(&mut select.operand, metrics),
        _ => (),
    }
}

fn promote_operands(call: &mut CallExpr, metrics: &[String]) {
    let name = call.func_name.as_str();
    let is_arithmetic = ARITHMETIC.contains(&name);
    let meets_double = call.args.iter().any(|it| kind(&it.expr, metrics) == Kind::Double);
    if meets_double && (is_arithmetic || COMPARISONS.contains(&name)) {
        call.args.iter_mut().for_each(|it| to_double(it, metrics, is_arithmetic));
    }
}

fn to_double(expr: &mut IdedExpr, metrics: &[String], is_operand: bool) {
    let found = kind(&expr.expr, metrics);
    match &mut expr.expr {
        Expr::Literal(literal) => {
            if let Some(number) = whole(literal) {
                *literal = LiteralValue::Double(number.into());
            }
        }
        Expr::Call(call)
            if ARITHMETIC.contains(&call.func_name.as_str()) && found == Kind::Whole =>
        {
            call.args.iter_mut().for_each(|it| to_double(it, metrics, true));
        }
        Expr::Call(call) if call.func_name == "-_" || call.func_name == "_?_:_" => {
            let skipped = usize::from(call.func_name == "_?_:_");
            let values = call.args.iter_mut().skip(skipped);
            values.for_each(|it| to_double(it, metrics, is_operand));
        }
        _ if found == Kind::Double || !is_operand => (),
        _ => {
            let args = vec![std::mem::take(expr)];
            let call = CallExpr { func_name: "double".to_owned(), target: None, args };
            *expr = IdedExpr { id: 0, expr: Expr::Call(call) };
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gate's threshold is far below 2^53")]
fn whole(literal: &LiteralValue) -> Option<f64> {
    match literal {
        LiteralValue::Int(number) => Some(*number.inner() as f64),
        LiteralValue::UInt(number) => Some(*number.inner() as f64),
        LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Double(_)
        | LiteralValue::Null
        | LiteralValue::String(_) => None,
    }
}

fn kind(expr: &Expr, metrics: &[String]) -> Kind {
    match expr {
        Expr::Literal(LiteralValue::Double(_)) => Kind::Double,
        Expr::Literal(literal) if whole(literal).is_some() => Kind::Whole,
        Expr::Ident(name) if name == "baseline" || metrics.contains(name) => Kind::Double,
        Expr::Select(select) if !select.test => match &select.operand.expr {
            Expr::Select(outer) if outer.field == "metrics" => Kind::Double,
            Expr::Ident(name) if name == "metrics" => Kind::Double,
            _ => Kind::Unknown,
        },
        Expr::Call(call) => kind_of_call(call, metrics),
        _ => Kind::Unknown,
    }
}

fn kind_of_call(call: &CallExpr, metrics: &[String]) -> Kind {
    let kinds = |skipped: usize| {
        call.args.iter().skip(skipped).map(|it| kind(&it.expr, metrics)).collect::<Vec<_>>()
    };
    let kinds = match call.func_name.as_str() {
        "double" => return Kind::Double,
        "int" | "size" => return Kind::Whole,
        "-_" => kinds(0),
        "_?_:_" => kinds(1),
        name if ARITHMETIC.contains(&name) => kinds(0),
        _ => return Kind::Unknown,
    };
    if kinds.contains(&Kind::Double) {
        Kind::Double
    } else if kinds.iter().all(|it| *it == Kind::Whole) {
        Kind::Whole
    } else {
        Kind::Unknown
    }
}
