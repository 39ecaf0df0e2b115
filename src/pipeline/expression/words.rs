//! The names that expressions may use, and what to say about others.

use super::{ExpressionError, Reference};

/// Roots that hold values in every expression.
pub(super) const ROOTS: [&str; 7] =
    ["env", "event", "git", "inputs", "matrix", "needs", "pull_request"];
/// Roots that only a gate has.
pub(super) const GATE_ROOTS: [&str; 2] = ["baseline", "metrics"];
/// Functions that are ours.
pub(super) const FUNCTIONS: [&str; 5] = ["always", "changed", "failed", "hash", "passed"];
/// Functions of CEL, as a program may call them; the comprehension macros are gone after parsing.
const CEL_FUNCTIONS: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "has", "int", "matches", "size", "string", "type", "uint"];
/// Functions of CEL that are called on a value.
const CEL_METHODS: [&str; 10] = [
    "all",
    "contains",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "map",
    "matches",
    "size",
    "startsWith",
];
/// Loops and tests that the parser replaces; one that is still there was written wrongly.
const CEL_MACROS: [(&str, &str); 6] = [
    ("all", "list.all(it, …)"),
    ("exists", "list.exists(it, …)"),
    ("exists_one", "list.exists_one(it, …)"),
    ("filter", "list.filter(it, …)"),
    ("has", "has(value.field)"),
    ("map", "list.map(it, …)"),
];
/// Types of CEL, which are values too: `type(x) == int`.
const CEL_TYPES: [&str; 9] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// Whether this name is taken, so that no loop variable may hide it.
pub(super) fn is_reserved(name: &str) -> bool {
    is_root(name) || CEL_TYPES.contains(&name)
}

/// Whether this name holds a value of the scope.
pub(super) fn is_root(name: &str) -> bool {
    ROOTS.contains(&name) || GATE_ROOTS.contains(&name)
}

/// Whether this is the name of a type.
pub(super) fn is_type(name: &str) -> bool {
    CEL_TYPES.contains(&name)
}

/// Whether the parser replaces calls of this name that are written rightly.
pub(super) fn is_macro(name: &str) -> bool {
    CEL_MACROS.iter().any(|(it, _)| *it == name)
}

/// Refuses a call of a function that does not exist.
pub(super) fn check_function(name: &str, is_method: bool) -> Result<(), ExpressionError> {
    if let Some((_, form)) = CEL_MACROS.iter().find(|(it, _)| *it == name) {
        return Err(ExpressionError::new(format!("`{name}` is written `{form}`")));
    }
    // Operators are calls of names that nobody can write, such as `_==_`.
    let is_operator = name.contains(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let known: Vec<&str> = if is_method {
        CEL_METHODS.to_vec()
    } else {
        FUNCTIONS.iter().chain(&CEL_FUNCTIONS).copied().collect()
    };
    if is_operator || known.contains(&name) {
        return Ok(());
    }
    let what = if is_method { "method" } else { "function" };
    let error = ExpressionError::new(format!(
        "there is no {what} `{name}`; there are {}",
        listed(known.iter().copied())
    ));
    Err(suggest(error, name, known))
}

/// What is wrong with names that only a gate has, and with names that nothing has.
pub(super) fn condition_problems(references: &[Reference]) -> Vec<ExpressionError> {
    references.iter().filter_map(condition_problem).collect()
}

fn condition_problem(reference: &Reference) -> Option<ExpressionError> {
    let written = match (reference.root.as_str(), reference.name()) {
        ("metrics", Some(metric)) if reference.is_bare => metric,
        ("baseline" | "metrics", _) => {
            let error = format!("`{}` is only known in gates", reference.root);
            let help = "metrics of a need are in `needs.<stage>.metrics`";
            return Some(ExpressionError::new(error).help(help).at(reference.span));
        }
        _ => return None,
    };
    let known = listed(ROOTS.iter().copied());
    let error = ExpressionError::new(format!("there is no `{written}`; there are {known}"));
    let end = reference.span.0 + written.len();
    Some(suggest(error, written, ROOTS).at((reference.span.0, end)))
}

/// What is wrong with metrics whose name is a slip of the pen for `baseline`.
pub(super) fn gate_problems(references: &[Reference]) -> Vec<ExpressionError> {
    let is_slip = |name: &&str| similar(name, ["baseline"]).is_some();
    let problem = |it: &Reference| {
        let slip = it.name().filter(|name| it.root == "metrics" && is_slip(name))?;
        let error = format!("`{slip}` is neither a metric nor `baseline`");
        Some(ExpressionError::new(error).help("did you mean `baseline`?").at(it.span))
    };
    references.iter().filter_map(problem).collect()
}

/// Adds `did you mean`, if a known name is close.
pub(super) fn suggest<'a>(
    error: ExpressionError,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> ExpressionError {
    match similar(name, known) {
        Some(close) => error.help(format!("did you mean `{close}`?")),
        None => error,
    }
}

/// The known name closest to `name`, if it is close enough to be what was meant.
fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&name.to_lowercase(), &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, it)| it)
}

/// Names in backticks with commas between them; a long list is cut.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(SHOWN).map(|it| format!("`{it}`")).collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
