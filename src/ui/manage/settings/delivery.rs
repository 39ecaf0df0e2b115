//! `/projects/{team}/{name}/settings/webhooks/{delivery}`: what came, what became of it, and once more.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{AGAIN, Names, OfProject};
use crate::desk::projects;
use crate::desk::projects::deliveries::{self, About};
use crate::http::{App, Path, Problem};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::DeliveryRow;
use crate::ui::form::{Posted, onward};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page, part};
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
    /// Address of the stream that keeps true what came of it.
    live: String,
    /// The beginning of the body; `None` for those who may not read it.
    body: Option<String>,
    /// Bytes of the body that are not shown.
    hidden_bytes: u64,
}

#[derive(Template)]
#[template(path = "settings/_delivery.html")]
struct DeliveryPart {
    words: Words,
    delivery: DeliveryRow,
    about: Option<About>,
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
    let about = about_of(&app, &project, &delivery).await?;
    let shell = place.shell(&visit, Section::Home);
    place.title = format!("{} of {}", event(&delivery), delivery.forge);
    let hidden_bytes = u64::try_from(hidden).unwrap_or_default();
    let (live, words) = (format!("/live{}/webhooks/{}", place.path, delivery.id), visit.words());
    page(&DeliveryPage { shell, words, place, delivery, about, live, body, hidden_bytes })
}

pub(super) async fn watch(
    State(app): State<App>,
    visit: Visit,
    Path((team, name, delivery)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let names: Names = (team, name);
    let OfProject { project, .. } = OfProject::find(&app, &visit, (&names, "/webhooks")).await?;
    let delivery = deliveries::find(&app, &project, &delivery).await?;
    let about = about_of(&app, &project, &delivery).await?;
    let key = format!("delivery {}", delivery.id);
    let of_parts = app.clone();
    let render: Render = Box::new(move || {
        let (app, project, id) = (of_parts.clone(), project.clone(), delivery.id.clone());
        let about = about.clone();
        Box::pin(async move {
            let delivery = deliveries::find(&app, &project, &id).await?;
            let html = part(&DeliveryPart { words: Words::at(app.now()), delivery, about })?;
            Ok(vec![Part { id: "delivery", html }])
        })
    });
    live::stream_of_many_every(&app, &visit.visitor, (vec![(Audience::One, key, render)], AGAIN))
}

async fn about_of(
    app: &App,
    project: &ProjectRow,
    delivery: &DeliveryRow,
) -> Result<Option<About>, Problem> {
    let about = deliveries::about(app, project, std::slice::from_ref(delivery)).await?;
    Ok(about.into_values().next())
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
