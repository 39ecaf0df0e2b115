//! `/projects/{team}/{name}/settings/webhooks`: where the forge sends what happens, and what came.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use tokio::sync::Mutex;

use super::{AGAIN, Names, OfProject};
use crate::desk::projects::deliveries::{self, About, Refused};
use crate::desk::projects::remote::{self, RemoteState};
use crate::desk::projects::settings;
use crate::http::{App, Page, PageQuery, Path, Problem, Query, once_of_form};
use crate::model::ForgeKind;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::{DeliveryRow, DeliveryStatus};
use crate::ui::form::{Sent, again, encoded, mistake};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "settings/webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    words: Words,
    place: Place,
    project: ProjectRow,
    /// What is typed at the forge.
    address: String,
    /// Whether the address begins with that of this server, as others see it.
    is_whole: bool,
    has_secret: bool,
    /// The secret that was just made: this page is the only one that has it.
    made: Option<String>,
    deliveries: Page<DeliveryRow>,
    /// What they are about, by id.
    about: BTreeMap<String, About>,
    /// The newest that did not prove itself, and is none of them.
    refused: Option<Refused>,
    remote: RemoteState,
    /// Address of the stream that keeps the deliveries true.
    live: String,
}

#[derive(Template)]
#[template(path = "settings/_deliveries.html")]
struct DeliveriesPart {
    shell: Shell,
    words: Words,
    place: Place,
    project: ProjectRow,
    deliveries: Page<DeliveryRow>,
    about: BTreeMap<String, About>,
    refused: Option<Refused>,
    remote: RemoteState,
}

/// What deliveries are about, which are shown again and again: their bodies are read once.
#[derive(Default)]
struct KnownAbout {
    about: BTreeMap<String, About>,
    /// Id of the newest that was looked into.
    newest: String,
}

impl ProjectRow {
    /// Whether its remote sends nothing by itself.
    fn is_plain(&self) -> bool {
        self.forge == ForgeKind::Git
    }
}

impl WebhooksPage {
    /// Where at the forge it is typed.
    fn way(&self) -> &'static str {
        match self.project.forge {
            ForgeKind::Github => {
                "Settings, Webhooks, Add webhook. Content type: application/json. Events: pushes, pull requests, issue comments, branch or tag creation and deletion; or simply all of them."
            }
            ForgeKind::Gitlab => {
                "Settings, Webhooks, Add new webhook. Triggers: push, tag push, merge request and comment events. The secret goes into Secret token."
            }
            ForgeKind::Gitea => {
                "Settings, Webhooks, Add webhook. Content type: application/json. Events: push, create, delete, pull request, issue comment."
            }
            ForgeKind::Git => "A plain remote sends nothing by itself.",
        }
    }
}

impl DeliveryRow {
    /// How it looks where it stands, in the words of statuses.
    pub(super) fn look(&self) -> &'static str {
        match self.status {
            DeliveryStatus::Received if self.attempts > 0 => "delayed",
            DeliveryStatus::Received => "queued",
            DeliveryStatus::Processed => "passed",
            DeliveryStatus::Ignored => "skipped",
            DeliveryStatus::Failed => "failed",
        }
    }

    /// Whether what came of it has several lines, which are shown as they are.
    pub(super) fn is_long(&self) -> bool {
        self.outcome.contains('\n')
    }

    /// Numbers of the runs that it has started or changed, as its outcome tells them.
    pub(super) fn runs(&self) -> Vec<i64> {
        let is_told = |it: &&str| it.starts_with("run #") || it.starts_with("`/");
        let number = |it: &str| {
            let (_, rest) = it.split_once("run #")?;
            rest.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
        };
        self.outcome.lines().filter(is_told).filter_map(number).collect()
    }
}

/// A secret that the forge has made, or nothing for a new one.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct SecretForm {
    secret: String,
    once: String,
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (found, query): (OfProject, PageQuery),
) -> Result<WebhooksPage, Problem> {
    let OfProject { project, place } = found;
    let cursor = query.cursor.as_deref().map(|it| format!("?cursor={}", encoded(it)));
    let origin = app.auth.settings().public_url.clone();
    let deliveries = deliveries::list(app, &project, query).await?;
    Ok(WebhooksPage {
        shell: place.shell(visit, Section::Home),
        words: visit.words(),
        is_whole: origin.is_some(),
        address: origin.unwrap_or_default() + &settings::hook_path(&project),
        has_secret: settings::has_hook_secret(app, &project).await?,
        made: None,
        live: format!("/live{}/webhooks{}", place.path, cursor.unwrap_or_default()),
        about: deliveries::about(app, &project, &deliveries.items).await?,
        refused: deliveries::find_refused(app, &project, &deliveries.items).await?,
        deliveries,
        remote: remote::find(app, &project).await?.0,
        place,
        project,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let found = OfProject::find(&app, &visit, (&names, "/webhooks")).await?;
    page(&new_page(&app, &visit, (found, query)).await?)
}

pub(super) async fn watch(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let OfProject { project, place } = OfProject::find(&app, &visit, (&names, "/webhooks")).await?;
    let shell = place.shell(&visit, Section::Home);
    let name = format!("deliveries {} {:?}", project.id.0, query.cursor);
    let (of_parts, known) = (app.clone(), Arc::new(Mutex::new(KnownAbout::default())));
    let render: Render = Box::new(move || {
        let (app, query, known) = (of_parts.clone(), query.clone(), Arc::clone(&known));
        let (project, place, shell) = (project.clone(), place.clone(), shell.clone());
        Box::pin(async move {
            let deliveries = deliveries::list(&app, &project, query).await?;
            let about = {
                let mut known = known.lock().await;
                let is_new = |it: &&DeliveryRow| it.id > known.newest;
                let new: Vec<_> = deliveries.items.iter().take_while(is_new).cloned().collect();
                known.about.extend(deliveries::about(&app, &project, &new).await?);
                known.about.retain(|id, _| deliveries.items.iter().any(|it| it.id == *id));
                if let Some(newest) = new.into_iter().next() {
                    known.newest = newest.id;
                }
                known.about.clone()
            };
            let remote = remote::find(&app, &project).await?.0;
            let refused = deliveries::find_refused(&app, &project, &deliveries.items).await?;
            let words = Words::at(app.now());
            let part_of =
                DeliveriesPart { shell, words, place, project, deliveries, about, refused, remote };
            Ok(vec![Part { id: "deliveries", html: part(&part_of)? }])
        })
    });
    live::stream_of_many_every(&app, &visit.visitor, (vec![(Audience::One, name, render)], AGAIN))
}

/// Answers with the secret: it must be in no address, and is never shown again.
pub(super) async fn rotate(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<SecretForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "/webhooks")).await?;
    let given = Some(form.secret.trim().to_owned()).filter(|it| !it.is_empty());
    let is_given = given.is_some();
    // What the forge has made may be typed again.
    let once = if is_given { "" } else { form.once.as_str() };
    let work = settings::rotate_hook_secret(&app, &found.project, given);
    match once_of_form(&app, (&visit.visitor, once), work).await {
        Ok(secret) => {
            let shown = new_page(&app, &visit, (found, PageQuery::default())).await?;
            let mut shell = shown.shell.clone();
            shell.done = is_given.then_some("Saved.");
            let made = Some(secret).filter(|_| !is_given);
            page(&WebhooksPage { shell, made, ..shown })
        }
        Err(problem) => {
            found.place.problem = Some(mistake(problem)?);
            again(&new_page(&app, &visit, (found, PageQuery::default())).await?)
        }
    }
}
