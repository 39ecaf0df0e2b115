//! What a run has spent on models so far, as the ledger has it.

use crate::http::{App, Problem};
use crate::model::Milliseconds;
use crate::store::runs::RunRow;
use crate::store::spend::sums::{SpendBy, SpendFilter, SpendRow};

/// Stages that are told, the dearest first.
const STAGES_MAX: u32 = 200;

/// What each stage of a run has spent, the dearest first; nothing when none has called a model.
pub async fn spend(app: &App, row: &RunRow) -> Result<Vec<SpendRow>, Problem> {
    let filter = SpendFilter {
        from: row.created_at,
        to: app.now().plus(Milliseconds::from_seconds(1)),
        run: row.id.0.clone(),
        limit: STAGES_MAX,
        ..SpendFilter::default()
    };
    Ok(app.store.sum_spend(SpendBy::Stage, &filter).await?)
}
