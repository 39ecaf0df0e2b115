//! Subscriptions of teams: who is told what became of runs.

use crate::desk::{projects, teams};
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::{ProjectId, Role};
use crate::notifications::{
    EventKind, Form, NewSubscription, Notifications, SubscriptionChange, SubscriptionError,
};
use crate::store::intake::outbox::NotificationRow;
use crate::store::intake::subscriptions::SubscriptionRow;

/// The newest notifications that are shown.
const SHOWN_MAX: u32 = 100;

/// A subscription to make, as somebody has written it down.
#[derive(Debug, Clone, Default)]
pub struct WantedSubscription {
    /// `webhook`, `slack` or `mail`.
    pub form: String,
    /// Where to: an address of the web, or of mail.
    pub target: String,
    /// What is told.
    pub events: Vec<String>,
    /// Name of the only project; every project of the team without it.
    pub project: Option<String>,
    /// Globs of branches; none for all.
    pub branches: Vec<String>,
}

/// What changes of one; what is not there stays.
#[derive(Debug, Clone, Default)]
pub struct WantedChange {
    /// What is told.
    pub events: Option<Vec<String>>,
    /// Globs of branches; none for all.
    pub branches: Option<Vec<String>>,
    /// Whether something is sent.
    pub is_enabled: Option<bool>,
}

/// What tells people and programs.
fn notifications(app: &App) -> Result<&Notifications, Problem> {
    app.triggers.notifications().ok_or_else(|| Problem::not_found("this subscription"))
}

/// The subscriptions of a team.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    team: &str,
) -> Result<Vec<SubscriptionRow>, Problem> {
    let team = teams::find(app, visitor, team, Role::Viewer).await?;
    Ok(app.store.list_subscriptions(&team.id).await?)
}

/// A subscription of a team, for what takes `needed`.
pub async fn find(
    app: &App,
    visitor: &Visitor,
    ((team, id), needed): ((&str, &str), Role),
) -> Result<SubscriptionRow, Problem> {
    let team = teams::find(app, visitor, team, needed).await?.id;
    let row = app.store.find_subscription(&id.to_lowercase()).await?;
    row.filter(|it| it.team == team).ok_or_else(|| Problem::not_found("this subscription"))
}

/// Makes a subscription; gives the secret that webhooks are signed with too, which is not shown again.
pub async fn create(
    app: &App,
    visitor: &Visitor,
    (team, wanted): (&str, WantedSubscription),
) -> Result<(SubscriptionRow, Option<String>), Problem> {
    let row = teams::find(app, visitor, team, Role::Admin).await?;
    let project = match &wanted.project {
        Some(name) => projects::find(app, visitor, &format!("{team}/{name}")).await?.id,
        None => ProjectId(String::new()),
    };
    let unknown = || Problem::bad_request("`form` is `webhook`, `slack` or `mail`");
    let new = NewSubscription {
        team: row.id,
        project,
        form: Form::parse(&wanted.form).ok_or_else(unknown)?,
        target: wanted.target,
        events: kinds(&wanted.events)?,
        branches: wanted.branches,
        author: visitor.0.login.clone(),
    };
    Ok(notifications(app)?.subscribe(new).await?)
}

/// Changes one.
pub async fn change(
    app: &App,
    visitor: &Visitor,
    ((team, id), wanted): ((&str, &str), WantedChange),
) -> Result<SubscriptionRow, Problem> {
    let row = find(app, visitor, ((team, id), Role::Admin)).await?;
    let change = SubscriptionChange {
        events: wanted.events.as_deref().map(kinds).transpose()?,
        branches: wanted.branches,
        is_enabled: wanted.is_enabled,
        author: visitor.0.login.clone(),
    };
    Ok(notifications(app)?.change_subscription(row, change).await?)
}

/// Removes one, and what waits for it.
pub async fn delete(app: &App, visitor: &Visitor, (team, id): (&str, &str)) -> Result<(), Problem> {
    let row = find(app, visitor, ((team, id), Role::Admin)).await?;
    Ok(notifications(app)?.unsubscribe(&row, &visitor.0.login).await?)
}

/// Makes a new signing secret; for a day the one before signs too.
pub async fn rotate_secret(
    app: &App,
    visitor: &Visitor,
    (team, id): (&str, &str),
) -> Result<String, Problem> {
    let row = find(app, visitor, ((team, id), Role::Admin)).await?;
    Ok(notifications(app)?.rotate_subscription_secret(row, &visitor.0.login).await?)
}

/// Sends a test; gives its id.
pub async fn send_test(
    app: &App,
    visitor: &Visitor,
    (team, id): (&str, &str),
) -> Result<String, Problem> {
    let row = find(app, visitor, ((team, id), Role::Admin)).await?;
    let noted = notifications(app)?.note_test(&row, (team, &visitor.0.login)).await;
    noted.map_err(|error| Problem::internal(&error))
}

/// The newest notifications of a subscription.
pub async fn list_notifications(
    app: &App,
    visitor: &Visitor,
    (team, id): (&str, &str),
) -> Result<Vec<NotificationRow>, Problem> {
    let row = find(app, visitor, ((team, id), Role::Viewer)).await?;
    Ok(app.store.list_notifications(&row.id, SHOWN_MAX).await?)
}

fn kinds(words: &[String]) -> Result<Vec<EventKind>, Problem> {
    let kind = |word: &String| {
        EventKind::parse(word).ok_or_else(|| {
            let known = EventKind::ALL.map(|it| format!("`{}`", it.as_str())).join(", ");
            Problem::bad_request(format!("`{word}` is no event; known: {known}"))
        })
    };
    words.iter().map(kind).collect()
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Invalid(reason) => Self::bad_request(reason),
            SubscriptionError::Outgoing(error) => {
                Self::new(ProblemKind::Refused, error.to_string())
            }
            SubscriptionError::Store(error) => error.into(),
            SubscriptionError::Seal(error) => Self::internal(&error),
        }
    }
}
