//! Remembers compiled expressions by their source. Compiling has no other input and no effect, so
//! nobody can tell a remembered result from a fresh one, except by the time it takes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::ExpressionError;
use super::compile::{self, Compiled};
use super::types::Wanted;

/// More than a large installation has different expressions; forgetting them all costs a moment.
const REMEMBERED_MAX: usize = 4096;

static REMEMBERED: LazyLock<Mutex<HashMap<String, Arc<Compiled>>>> = LazyLock::new(Mutex::default);

/// The compiled form of `source`, ready to be evaluated.
pub(super) fn compiled(source: &str) -> Result<Arc<Compiled>, ExpressionError> {
    let compiled = parsed(source)?;
    match compiled.problems.first() {
        Some(problem) => Err(problem.clone()),
        None => Ok(compiled),
    }
}

/// The compiled form of `source`, which may have names that do not exist.
pub(super) fn parsed(source: &str) -> Result<Arc<Compiled>, ExpressionError> {
    if let Some(known) = remembered().get(source) {
        return Ok(Arc::clone(known));
    }
    let fresh = Arc::new(compile::compile(source)?);
    let mut known = remembered();
    if known.len() >= REMEMBERED_MAX {
        known.clear();
    }
    known.insert(source.to_owned(), Arc::clone(&fresh));
    Ok(fresh)
}

/// Everything that is wrong with `source` when it is used for `wanted`.
pub(super) fn problems(source: &str, wanted: Wanted) -> Vec<ExpressionError> {
    match parsed(source) {
        Ok(compiled) => compiled.problems(wanted),
        Err(error) => vec![error],
    }
}

fn remembered() -> std::sync::MutexGuard<'static, HashMap<String, Arc<Compiled>>> {
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}
