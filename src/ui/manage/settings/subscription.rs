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
use crate::ui::form::{
    Compared, Posted, Sent, again, check_seen, listed, mistake, onward, seen_of, settle,
};
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
    /// What is to be, as typed.
    form: ChangeForm,
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
        self.form.events.iter().any(|it| it == event)
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
    seen: String,
}

impl ChangeForm {
    fn of(row: &SubscriptionRow) -> Self {
        let branches: Vec<String> = serde_json::from_str(&row.branches).unwrap_or_default();
        let enabled = if row.disabled_at.is_none() { "yes" } else { "" };
        Self {
            events: told(row),
            branches: branches.join("\n"),
            enabled: enabled.to_owned(),
            seen: seen_of(&(&row.events, &row.branches, enabled)),
        }
    }

    /// Refuses to take back what somebody else has changed.
    fn check_seen(&self, row: &SubscriptionRow) -> Result<(), Problem> {
        let now = Self::of(row);
        let is_on = |it: &Self| if it.enabled.is_empty() { "off" } else { "on" };
        let lines = |it: &Self| listed(&it.branches).join("\n");
        let (typed, there) = ((self.sorted(), lines(self)), (now.sorted(), lines(&now)));
        let fields: [Compared<'_>; 3] = [
            ("it is", is_on(self), is_on(&now)),
            ("when", typed.0.as_str(), there.0.as_str()),
            ("branches", &typed.1, &there.1),
        ];
        check_seen((&self.seen, &now.seen), &fields)
    }

    /// The events in one order, whoever has named them.
    fn sorted(&self) -> String {
        let mut events: Vec<_> = self.events.iter().map(String::as_str).collect();
        events.sort_unstable();
        events.join(", ")
    }
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
    Ok(SubscriptionPage {
        shell,
        words: visit.words(),
        path: format!("{}/notifications/{}", place.path, row.id),
        place,
        form: ChangeForm::of(&row),
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
    let (team, id) = (named.0.as_str(), named.2.as_str());
    let row = subscriptions::find(&app, &visit.visitor, ((team, id), Role::Admin)).await?;
    let changed = match form.check_seen(&row) {
        Ok(()) => subscriptions::change(&app, &visit.visitor, ((team, id), change)).await,
        Err(problem) => Err(problem),
    };
    settle(changed.map(|_| format!("{}?done=saved", path(&named))), |problem| async move {
        let mut shown = new_page(&app, &visit, &named).await?;
        shown.place.problem = Some(problem);
        let seen = shown.form.seen.clone();
        Ok(SubscriptionPage { form: ChangeForm { seen, ..form }, ..shown })
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
