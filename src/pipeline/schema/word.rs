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

/// One value, or a list of at least one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Filled<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

/// A command for a shell; `${{ }}` is not replaced in it, values reach it as environment variables.
#[derive(JsonSchema)]
pub(super) struct Shell(#[schemars(regex(pattern = r"^(?![\s\S]*\$\{\{)[\s\S]*\S"))] String);

/// A glob of paths in the repository, without `/` or `./` before it.
#[derive(JsonSchema)]
pub(super) struct Tracked(#[schemars(regex(pattern = r"^(?!\.?/)."))] String);

/// A path or glob inside the workspace.
#[derive(JsonSchema)]
pub(super) struct Inside(#[schemars(regex(pattern = r"^(?![/~])(?!(.*/)?\.\.(/|$))."))] String);

/// A path in the workspace, or an absolute one in the container; no shell expands it.
#[derive(JsonSchema)]
pub(super) struct Anywhere(
    #[schemars(regex(pattern = r"^(?![~$])(?!/+$)(?!(.*/)?\.\.(/|$))."))] String,
);

/// The name of an environment variable.
#[derive(JsonSchema)]
pub(super) struct Variable(#[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"))] String);

/// The name of a metric.
#[derive(JsonSchema)]
pub(super) struct Metric(#[schemars(regex(pattern = r"^[A-Za-z0-9_./-]{1,128}$"))] String);

/// A span of time above zero, such as `45s`, `15m`, `2h30m` or `14d`.
#[derive(JsonSchema)]
pub(super) struct Positive(
    #[schemars(regex(
        pattern = r"^(?=.*[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
    ))]
    String,
);

/// A user by name or number, perhaps with `:` and a group.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum User {
    Number(u32),
    Text(#[schemars(regex(pattern = r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$"))] String),
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
    Expression(#[schemars(regex(pattern = r"^(?![\s\S]*\$\{\{)[\s\S]*\S"))] String),
    Flag(bool),
}
