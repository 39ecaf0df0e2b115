//! `/projects/{team}/{name}/settings/webhooks/{delivery}`: what came, what became of it, and once more.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Names, OfProject};
use crate::desk::projects;
use crate::desk::projects::deliveries::{self, About};
use crate::http::{App, Path, Problem};
use crate::store::intake::deliveries::DeliveryRow;
use crate::ui::form::{Posted, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Bytes of a body that are shown.
const BODY_BYTES_MAX: usize = 16 << 10;

#[derive(Template)]
#[template(path = "settings/delivery.html")]
struct DeliveryPage {
    shell: Shell,
    words: Words,
    place: Place,
    delivery: DeliveryRow,
    about: Option<About>,
    /// The beginning of the body; `None` for those who may not read it.
    body: Option<String>,
    /// Bytes of the body that are not shown.
    hidden_bytes: u64,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((team, name, delivery)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let names: Names = (team, name);
    let OfProject { project, mut place } =
        OfProject::find(&app, &visit, (&names, "/webhooks")).await?;
    let delivery = deliveries::find(&app, &project, &delivery).await?;
    let (body, hidden) = if place.may_change {
        let body = deliveries::body(&app, &delivery).await?;
        let end = body.floor_char_boundary(BODY_BYTES_MAX);
        (body.get(..end).map(indented), body.len() - end)
    } else {
        (None, 0)
    };
    let about = deliveries::about(&app, &project, std::slice::from_ref(&delivery)).await?;
    let about = about.into_values().next();
    let shell = place.shell(&visit, Section::Home);
    place.title = format!("{} of {}", event(&delivery), delivery.forge);
    let hidden_bytes = u64::try_from(hidden).unwrap_or_default();
    let words = visit.words();
    page(&DeliveryPage { shell, words, place, delivery, about, body, hidden_bytes })
}

fn event(row: &DeliveryRow) -> &str {
    if row.event.is_empty() { "Delivery" } else { &row.event }
}

/// A body as people read it, where it is JSON as a whole.
fn indented(body: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(body);
    let pretty = value.ok().and_then(|it| serde_json::to_string_pretty(&it).ok());
    pretty.unwrap_or_else(|| body.to_owned())
}

pub(super) async fn replay(
    State(app): State<App>,
    Path((team, name, delivery)): Path<(String, String, String)>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let project = projects::find_to_change(&app, &visitor, &slug).await?;
    deliveries::replay(&app, &project, &delivery).await?;
    let path = format!("/projects/{}/settings/webhooks", project.slug());
    Ok(onward(&format!("{path}/{delivery}?done=replayed")))
}
