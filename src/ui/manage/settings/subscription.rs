//! `/projects/{team}/{name}/settings/notifications/{subscription}`: one of them: what it tells, a test, what
//! was sent.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::notifications::{kinds, told};
use super::{AGAIN, Names, OfProject};
use crate::desk::projects::subscriptions::{self, WantedChange};
use crate::http::{App, Path, Problem, once_of_form};
use crate::model::Role;
use crate::store::intake::outbox::NotificationRow;
use crate::store::intake::subscriptions::SubscriptionRow;
use crate::ui::form::{Posted, Sent, again, listed, mistake, onward, settle};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

type Named = (String, String, String);

#[derive(Template)]
#[template(path = "settings/subscription.html")]
struct SubscriptionPage {
    shell: Shell,
    words: Words,
    place: Place,
    /// Address of this page.
    path: String,
    row: SubscriptionRow,
    events: Vec<String>,
    branches: String,
    notifications: Vec<NotificationRow>,
    /// The signing secret that was just made: this page is the only one that has it.
    made: Option<String>,
}

impl SubscriptionPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        kinds()
    }

    fn has(&self, event: &str) -> bool {
        self.events.iter().any(|it| it == event)
    }

    fn is_webhook(&self) -> bool {
        self.row.form == "webhook"
    }
}

#[derive(Template)]
#[template(path = "settings/_notifications.html")]
struct NotificationsPart {
    words: Words,
    notifications: Vec<NotificationRow>,
}

impl NotificationRow {
    /// How it looks where it stands, in the words of statuses.
    fn standing(&self) -> &'static str {
        match self.status.as_str() {
            "sent" => "passed",
            "failed" => "failed",
            _ if self.attempts > 0 => "delayed",
            _ => "queued",
        }
    }
}

/// What changes of a subscription.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ChangeForm {
    events: Vec<String>,
    branches: String,
    enabled: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

/// A new secret, once for each page.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct SecretForm {
    once: String,
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (team, name, id): &Named,
) -> Result<SubscriptionPage, Problem> {
    let names: Names = (team.clone(), name.clone());
    let OfProject { mut place, .. } =
        OfProject::find(app, visit, (&names, "/notifications")).await?;
    let row = subscriptions::find(app, &visit.visitor, ((team, id), Role::Viewer)).await?;
    let shell = place.shell(visit, Section::Home);
    place.title = format!("{} to {}", row.form, row.shown_target);
    let branches: Vec<String> = serde_json::from_str(&row.branches).unwrap_or_default();
    Ok(SubscriptionPage {
        shell,
        words: visit.words(),
        path: format!("{}/notifications/{}", place.path, row.id),
        place,
        events: told(&row),
        branches: branches.join("\n"),
        notifications: subscriptions::list_notifications(app, &visit.visitor, (team, id)).await?,
        row,
        made: None,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(named): Path<Named>,
) -> Result<Response, Problem> {
    page(&new_page(&app, &visit, &named).await?)
}

pub(super) async fn watch(
    State(app): State<App>,
    visit: Visit,
    Path((team, name, id)): Path<Named>,
) -> Result<Response, Problem> {
    let names: Names = (team.clone(), name);
    OfProject::find(&app, &visit, (&names, "/notifications")).await?;
    subscriptions::find(&app, &visit.visitor, ((&team, &id), Role::Viewer)).await?;
    let key = format!("notifications {team} {id}");
    let (of_parts, visitor) = (app.clone(), visit.visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), visitor.clone());
        let (team, id) = (team.clone(), id.clone());
        Box::pin(async move {
            let sent = subscriptions::list_notifications(&app, &visitor, (&team, &id)).await?;
            let words = Words::at(app.now());
            let html = part(&NotificationsPart { words, notifications: sent })?;
            Ok(vec![Part { id: "notifications", html }])
        })
    });
    live::stream_of_many_every(&app, &visit.visitor, (vec![(Audience::One, key, render)], AGAIN))
}

fn path((team, name, id): &Named) -> String {
    format!("/projects/{team}/{name}/settings/notifications/{id}")
}

pub(super) async fn change(
    State(app): State<App>,
    Path(named): Path<Named>,
    Sent(visit, form): Sent<ChangeForm>,
) -> Result<Response, Problem> {
    let change = WantedChange {
        events: Some(form.events.clone()),
        branches: Some(listed(&form.branches)),
        is_enabled: Some(!form.enabled.is_empty()),
    };
    let wanted = ((named.0.as_str(), named.2.as_str()), change);
    let changed = subscriptions::change(&app, &visit.visitor, wanted).await;
    settle(changed.map(|_| format!("{}?done=saved", path(&named))), |problem| async move {
        let mut shown = new_page(&app, &visit, &named).await?;
        shown.place.problem = Some(problem);
        Ok(SubscriptionPage { events: form.events, branches: form.branches, ..shown })
    })
    .await
}

pub(super) async fn test(
    State(app): State<App>,
    Path(named): Path<Named>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    subscriptions::send_test(&app, &visitor, (&named.0, &named.2)).await?;
    Ok(onward(&format!("{}?done=sent", path(&named))))
}

/// Answers with the secret: it must be in no address, and is never shown again.
pub(super) async fn rotate(
    State(app): State<App>,
    Path(named): Path<Named>,
    Sent(visit, form): Sent<SecretForm>,
) -> Result<Response, Problem> {
    let work = subscriptions::rotate_secret(&app, &visit.visitor, (&named.0, &named.2));
    match once_of_form(&app, (&visit.visitor, &form.once), work).await {
        Ok(secret) => {
            let shown = new_page(&app, &visit, &named).await?;
            page(&SubscriptionPage { made: Some(secret), ..shown })
        }
        Err(problem) => {
            let problem = mistake(problem)?;
            let mut shown = new_page(&app, &visit, &named).await?;
            shown.place.problem = Some(problem);
            again(&shown)
        }
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    Path((team, name, id)): Path<Named>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    subscriptions::delete(&app, &visitor, (&team, &id)).await?;
    Ok(onward(&format!("/projects/{team}/{name}/settings/notifications?done=removed")))
}
