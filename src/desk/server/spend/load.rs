//! How large the load of a model was, as the ledger has it: for planning its capacity.

use super::{Wanted, visible};
use crate::capacity::measured::{self, Call, Measured};
use crate::http::{App, Problem, Visitor};
use crate::store::spend::calls::AnsweredCall;
use crate::store::spend::sums::SpendFilter;

/// Calls that are looked at: the newest.
pub const CALLS_MAX: u32 = 200_000;

/// What the ledger says of a load.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct LoadView {
    /// What was measured; absent when no call fits.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub measured: Option<Measured>,
    /// Whether there were more calls, and only the newest 200,000 were looked at.
    pub is_cut: bool,
}

impl LoadView {
    /// Of calls that were asked for with one more than are looked at.
    #[must_use]
    pub fn of(rows: &[AnsweredCall]) -> Self {
        let most = CALLS_MAX as usize;
        let count = |it: i64| u64::try_from(it).unwrap_or_default();
        let calls = rows.iter().take(most).map(|it| Call {
            at: it.at,
            total_ms: count(it.total_ms),
            input_tokens: count(it.input_tokens),
            output_tokens: count(it.output_tokens),
            cost: it.cost,
        });
        let calls: Vec<_> = calls.collect();
        Self { measured: measured::measure(&calls), is_cut: rows.len() > most }
    }
}

/// The load of the calls that the caller may know of.
pub async fn measure(app: &App, visitor: &Visitor, wanted: Wanted) -> Result<LoadView, Problem> {
    let (_, filter) = wanted.filter(app.now()).map_err(Problem::bad_request)?;
    let filter = SpendFilter { limit: CALLS_MAX + 1, ..filter };
    let filter = visible(app, visitor, filter).await?;
    Ok(LoadView::of(&app.store.list_answered_calls(&filter).await?))
}
