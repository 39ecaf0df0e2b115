//! What else is set of a project: how its remote is reached, how long its runs are kept, who sees its badges.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::{App, Problem};
use crate::projects::StoredCredential;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::badges::BadgeAccess;
use crate::store::intake::schedules::ScheduleRow;

/// Bytes that a secret of somebody else's making must have.
const SECRET_BYTES_MIN: usize = 16;
/// The most that can be asked for.
const DAYS_MAX: u32 = 36_500;
const COUNT_MAX: u32 = 100_000;

/// Path of the webhook of a project at this server.
#[must_use]
pub fn hook_path(project: &ProjectRow) -> String {
    format!("/api/v1/hooks/{}", project.id.0)
}

/// Makes a new webhook secret, or takes the one that the forge has made; the one before proves nothing from
/// now on.
pub async fn rotate_hook_secret(
    app: &App,
    project: &ProjectRow,
    secret: Option<String>,
) -> Result<String, Problem> {
    if secret.as_ref().is_some_and(|it| it.len() < SECRET_BYTES_MIN) {
        return Err(Problem::bad_request("`secret` has less than 16 letters"));
    }
    let secret = app.triggers.projects().rotate_hook_secret(&project.id, secret).await;
    secret.map_err(|error| Problem::internal(&error))
}

/// Whether there is a credential. What it is, nobody is told.
pub async fn has_credential(app: &App, project: &ProjectRow) -> Result<bool, Problem> {
    let access = app.store.find_project_access(&project.id).await?;
    Ok(access.is_some_and(|it| !it.credential.is_empty()))
}

/// Whether there is a secret that proves deliveries.
pub async fn has_hook_secret(app: &App, project: &ProjectRow) -> Result<bool, Problem> {
    let access = app.store.find_project_access(&project.id).await?;
    Ok(access.is_some_and(|it| !it.hook_secret.is_empty()))
}

/// What the pipelines of the trunk have declared as schedules.
pub async fn list_schedules(app: &App, project: &ProjectRow) -> Result<Vec<ScheduleRow>, Problem> {
    Ok(app.store.list_schedules(&project.id).await?)
}

/// Sets, or with neither token nor key removes, the credential of a project.
pub async fn set_credential(
    app: &App,
    project: &ProjectRow,
    credential: &StoredCredential,
) -> Result<(), Problem> {
    let is_some = credential.forge_token.is_some() || credential.ssh_key.is_some();
    let projects = app.triggers.projects();
    let set = projects.set_credential(&project.id, is_some.then_some(credential)).await;
    set.map_err(|error| Problem::internal(&error))?;
    app.triggers.notify(&project.id).await?;
    Ok(())
}

/// How long the runs of a project are kept, in days, and how many; `None` for what the server's settings say.
pub async fn show_retention(
    app: &App,
    project: &ProjectRow,
) -> Result<(Option<u32>, Option<u32>), Problem> {
    Ok(app.store.find_run_retention(&project.id).await?)
}

/// Says how long the runs of a project are kept; what is `None` is as the server's settings say.
pub async fn save_retention(
    app: &App,
    project: &ProjectRow,
    (runs_days, runs_count): (Option<u32>, Option<u32>),
) -> Result<(), Problem> {
    if runs_days.is_some_and(|it| it > DAYS_MAX) {
        return Err(Problem::bad_request(format!("`runs_days` is at most {DAYS_MAX}")));
    }
    if runs_count.is_some_and(|it| it == 0 || it > COUNT_MAX) {
        return Err(Problem::bad_request(format!("`runs_count` is from 1 to {COUNT_MAX}")));
    }
    app.store.save_run_retention(&project.id, runs_days, runs_count).await?;
    Ok(())
}

/// Who may see the badges of a project.
pub async fn show_badge(app: &App, project: &ProjectRow) -> Result<BadgeAccess, Problem> {
    Ok(app.store.find_badge_access(&project.id).await?.unwrap_or_default())
}

/// Says who may; `token` is `keep`, `rotate` or `remove`.
pub async fn save_badge(
    app: &App,
    project: &ProjectRow,
    (is_public, token): (bool, &str),
) -> Result<BadgeAccess, Problem> {
    let before = show_badge(app, project).await?;
    let token = match token {
        "keep" => before.token,
        "rotate" => URL_SAFE_NO_PAD.encode(crate::secrets::random_bytes::<24>()),
        "remove" => String::new(),
        _ => return Err(Problem::bad_request("`token` is `keep`, `rotate` or `remove`")),
    };
    let access = BadgeAccess { is_public, token };
    app.store.save_badge_access(&project.id, &access).await?;
    Ok(access)
}

/// Path of a badge at this server, for a pipeline.
#[must_use]
pub fn badge_path(project: &ProjectRow, access: &BadgeAccess, pipeline: &str) -> String {
    let query = match access.token.as_str() {
        token if !token.is_empty() && !access.is_public => format!("?token={token}"),
        _ => String::new(),
    };
    format!("/badges/{}/{}/{pipeline}.svg{query}", project.team_name, project.name)
}
