//! `POST /runs/{run}/cancel`: cancels a run; a second time, at once.

use axum::extract::State;
use axum::response::Response;

use super::path_of;
use crate::desk::runs::{self, CancelOrder};
use crate::http::{App, Path, Problem};
use crate::ui::form::{Posted, onward};

/// Why.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CancelForm {
    #[serde(default)]
    reason: String,
}

pub(super) async fn send(
    State(app): State<App>,
    Path(run): Path<String>,
    Posted(visitor, form): Posted<CancelForm>,
) -> Result<Response, Problem> {
    let order = CancelOrder { reason: form.reason.trim(), is_forced: false };
    let loaded = runs::cancel(&app, &visitor, &run, order).await?;
    Ok(onward(&format!("{}?done=cancelled", path_of(&loaded.row.id))))
}
