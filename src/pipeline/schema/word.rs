//! Single values of the format.

#![expect(dead_code, reason = "these types exist for their schema and never hold a value")]

use schemars::JsonSchema;

/// One value, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// Text; numbers and booleans are taken as written.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Loose {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// A name: lower-case letters, digits, `_` and `-`.
#[derive(JsonSchema)]
pub(super) struct Name(#[schemars(regex(pattern = r"^[a-z0-9_-]{1,63}$"))] String);

/// A span of time, such as `45s`, `15m`, `2h30m` or `14d`.
#[derive(JsonSchema)]
pub(super) struct Duration(
    #[schemars(regex(pattern = r"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"))]
    String,
);

/// A size, such as `512Mi` or `2Gi`.
#[derive(JsonSchema)]
pub(super) struct Size(
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)? *([KMGT]i|[KkMGT])$"))] String,
);

/// An amount of money, such as `4.00 USD`.
#[derive(JsonSchema)]
pub(super) struct Money(#[schemars(regex(pattern = r"^[0-9]+(\.[0-9]{1,9})? +USD$"))] String);

/// A day, such as `2027-03-31`.
#[derive(JsonSchema)]
pub(super) struct Day(#[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))] String);

/// A comparison, such as `>= 0.85` or `>= baseline - 0.02`.
#[derive(JsonSchema)]
pub(super) struct Comparison(#[schemars(regex(pattern = r"^\s*(<=|>=|==|!=|<|>).+$"))] String);

/// A number of CPUs, such as `2`, `0.5` or `500m`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Cpu {
    Number(f64),
    Text(String),
}

/// A condition: `true`, `false`, or an expression.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Condition {
    Expression(String),
    Flag(bool),
}
