//! Says aloud what a database does not take of the ledger: what is in no table is in the log.

use crate::metrics;
use crate::store::spend::refused::{RefusedCall, RefusedParts};

/// Letters of a name in a line of the log.
const LETTERS: usize = 200;

/// Logs and counts each part.
pub(super) fn tell(refused: &RefusedParts) {
    refused.calls.iter().for_each(tell_call);
    for (name, change, error) in &refused.accounts {
        metrics::ledger_refused("account", 1);
        tracing::error!(
            %error,
            budget = short(&name.budget),
            account = short(&name.account),
            spent = %change.spent.money,
            "the database does not take what was spent of a budget: it is not counted there"
        );
    }
}

fn tell_call(refused: &RefusedCall) {
    let RefusedCall { row, why, is_left_out } = refused;
    let (request, attempt, cost) = (&row.request, row.attempt, row.cost);
    let (team, model) = (short(&row.owner.team), short(&row.model));
    let why = cause(why);
    if *is_left_out {
        metrics::ledger_refused("left_out", 1);
        tracing::error!(
            request, attempt, team, model, %cost, why,
            "the database does not take a row of the ledger: it is left out, its money counts for budgets"
        );
    } else {
        metrics::ledger_refused("changed", 1);
        tracing::error!(
            request, attempt, team, model, %cost, why,
            "the database does not take a row of the ledger: it is written in plain words, with the flag `set_aside`"
        );
    }
}

/// What the database itself says.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn short(text: &str) -> String {
    text.chars().take(LETTERS).collect()
}
