//! `POST /look`: light, dark, or as the system says.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::ReturnTo;
use crate::http::{App, Problem, set_theme};
use crate::ui::form::{Plain, onward};

#[derive(serde::Deserialize)]
pub(super) struct LookForm {
    theme: String,
    #[serde(flatten)]
    to: ReturnTo,
}

pub(super) async fn send(
    State(_app): State<App>,
    Plain(form): Plain<LookForm>,
) -> Result<Response, Problem> {
    Ok((set_theme(&form.theme), onward(form.to.path())).into_response())
}
