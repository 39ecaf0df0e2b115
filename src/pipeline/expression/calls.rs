//! The functions that are ours. Their arguments are constant, so each call becomes a name of its own
//! when the expression is compiled, and that name is looked up like every other value.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of `cel`, of which a few cases matter")]

use cel::common::ast::{CallExpr, Expr, LiteralValue};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::ExpressionError;

/// A call of one of our functions.
#[derive(Debug)]
pub(super) enum Call {
    /// `always()`.
    Always,
    /// `failed()`.
    Failed,
    /// `passed()`.
    Passed,
    /// `changed(globs…)`.
    Changed(GlobSet),
    /// `hash(globs…)`.
    Hash(Vec<String>),
}

impl Call {
    /// Whether its answer may change while the run is under way.
    pub(super) fn is_dynamic(&self) -> bool {
        match self {
            Self::Always | Self::Failed | Self::Passed => true,
            Self::Changed(_) | Self::Hash(_) => false,
        }
    }
}

/// What the call means, if it is one of ours.
pub(super) fn read(call: &CallExpr) -> Result<Option<Call>, ExpressionError> {
    if call.target.is_some() {
        return Ok(None);
    }
    let read = match call.func_name.as_str() {
        "always" => without_arguments(call, Call::Always)?,
        "failed" => without_arguments(call, Call::Failed)?,
        "passed" => without_arguments(call, Call::Passed)?,
        "changed" => Call::Changed(matcher(&globs(call)?)?),
        "hash" => {
            let globs = globs(call)?;
            matcher(&globs)?;
            Call::Hash(globs)
        }
        _ => return Ok(None),
    };
    Ok(Some(read))
}

fn without_arguments(call: &CallExpr, read: Call) -> Result<Call, ExpressionError> {
    if call.args.is_empty() {
        return Ok(read);
    }
    let name = &call.func_name;
    Err(ExpressionError::new(format!("`{name}()` takes no arguments")))
}

fn globs(call: &CallExpr) -> Result<Vec<String>, ExpressionError> {
    let name = &call.func_name;
    let constant = |expr: &Expr| match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    };
    let globs: Option<Vec<_>> = call.args.iter().map(|it| constant(&it.expr)).collect();
    match globs {
        Some(globs) if !globs.is_empty() => {
            globs.iter().try_for_each(|it| check_start(it))?;
            Ok(globs)
        }
        Some(_) => Err(ExpressionError::new(format!("`{name}()` needs at least one glob"))
            .help(format!("name the files, such as `{name}(\"src/**\")`"))),
        None => Err(ExpressionError::new(format!("`{name}` takes constant strings only"))
            .help(format!("name the files, such as `{name}(\"src/**\")`"))),
    }
}

fn check_start(glob: &str) -> Result<(), ExpressionError> {
    let Some(bare) = glob.strip_prefix("./").or_else(|| glob.strip_prefix('/')) else {
        return Ok(());
    };
    let error = format!("`{glob}` matches nothing: paths are relative to the repository");
    Err(ExpressionError::new(error).help(format!("write `\"{bare}\"`")))
}

/// `**` crosses folders, `*` and `?` do not.
fn matcher(globs: &[String]) -> Result<GlobSet, ExpressionError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(built.map_err(|error| {
            ExpressionError::new(format!("`{glob}` is not a glob: {}", error.kind()))
        })?);
    }
    set.build().map_err(|error| ExpressionError::new(format!("the globs are too large: {error}")))
}
