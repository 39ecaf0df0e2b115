//! Projects, found by their names; made and changed.

pub mod settings;
pub mod deliveries;
pub mod remote;
pub mod subscriptions;

use crate::http::{App, Detail, Problem, Visitor};
use crate::model::access::is_name;
use crate::model::{ForgeKind, ProjectId, Role};
use crate::runs::News;
use crate::store::StoreError;
use crate::store::access::projects::{ProjectRow, has_credential};

/// Between two looks at a remote: 30 days at most.
const POLL_SECONDS_MAX: i64 = 30 * 24 * 3600;
/// How far from 0 a priority is at most.
const PRIORITY_MAX: i64 = 1000;

/// A project to make.
#[derive(Debug, Clone, Default)]
pub struct NewProject {
    /// Name of its team.
    pub team: String,
    /// Its name: `[a-z0-9_-]{1,63}`.
    pub name: String,
    /// Where the code is fetched from: an `https:`, `ssh:` or `file:` address.
    pub address: String,
    /// `github`, `gitlab`, `gitea` or `git`.
    pub forge: String,
    /// Base address of the forge's API; empty for that of the public one.
    pub forge_url: String,
    /// `owner/name` at the forge.
    pub forge_path: String,
    /// The trunk.
    pub default_branch: String,
    /// Higher is served first within the team.
    pub priority: i64,
    /// How often the remote is asked for news, in seconds; 0 for never.
    pub poll_seconds: i64,
}

/// What changes of a project; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// Where the code is fetched from.
    pub address: Option<String>,
    /// `github`, `gitlab`, `gitea` or `git`.
    pub forge: Option<String>,
    /// Base address of the forge's API; empty for that of the public one.
    pub forge_url: Option<String>,
    /// `owner/name` at the forge, or empty.
    pub forge_path: Option<String>,
    /// The trunk.
    pub default_branch: Option<String>,
    /// Higher is served first within the team.
    pub priority: Option<i64>,
    /// How often the remote is asked for news, in seconds; 0 for never.
    pub poll_seconds: Option<i64>,
    /// Whether nothing starts its runs any more.
    pub archived: Option<bool>,
}

/// The project `team/name`, where the caller may know of it.
pub async fn find(app: &App, visitor: &Visitor, slug: &str) -> Result<ProjectRow, Problem> {
    let what = "this project";
    let (team, name) = slug.split_once('/').ok_or_else(|| Problem::not_found(what))?;
    let found = app.store.find_project_by_name(team, name).await?;
    let project = found.ok_or_else(|| Problem::not_found(what))?;
    visitor.require(&project.team, Role::Viewer, what)?;
    Ok(project)
}

/// It, for those who may change it.
pub async fn find_to_change(
    app: &App,
    visitor: &Visitor,
    slug: &str,
) -> Result<ProjectRow, Problem> {
    let project = find(app, visitor, slug).await?;
    visitor.require(&project.team, Role::Admin, "this project")?;
    Ok(project)
}

/// Makes a project.
pub async fn create(
    app: &App,
    visitor: &Visitor,
    request: NewProject,
) -> Result<ProjectRow, Problem> {
    let team = app.store.find_team(&request.team).await?;
    let team = team.ok_or_else(|| Problem::not_found("this team"))?;
    visitor.require(&team.id, Role::Admin, "this team")?;
    let bad_name = || Problem::bad_request("a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`");
    is_name(&request.name).then_some(()).ok_or_else(bad_name)?;
    check_address(app, &request.address)?;
    check_numbers(Some(request.priority), Some(request.poll_seconds))?;
    let row = ProjectRow {
        id: ProjectId(app.new_id()),
        team: team.id,
        team_name: team.name,
        name: request.name,
        address: request.address,
        forge: ForgeKind::parse(&request.forge).ok_or_else(bad_forge)?,
        forge_url: request.forge_url,
        forge_path: request.forge_path,
        default_branch: request.default_branch,
        priority: request.priority,
        poll_seconds: request.poll_seconds,
        created_at: app.now(),
        archived_at: None,
    };
    app.store.insert_project(&row).await?;
    Ok(row)
}

/// What a project becomes by a change.
pub fn changed(
    app: &App,
    before: ProjectRow,
    request: ProjectChange,
) -> Result<ProjectRow, Problem> {
    // Whoever sends back what was shown changes nothing.
    let shown = before.shown_address();
    let address = request.address.filter(|it| *it != shown);
    if let Some(address) = &address {
        check_address(app, address)?;
    }
    let priority = request.priority.filter(|it| *it != before.priority);
    let poll_seconds = request.poll_seconds.filter(|it| *it != before.poll_seconds);
    check_numbers(priority, poll_seconds)?;
    let forge = match &request.forge {
        Some(word) => ForgeKind::parse(word).ok_or_else(bad_forge)?,
        None => before.forge,
    };
    let archived_at = match request.archived {
        Some(true) => before.archived_at.or_else(|| Some(app.now())),
        Some(false) => None,
        None => before.archived_at,
    };
    Ok(ProjectRow {
        address: address.unwrap_or(before.address),
        forge,
        forge_url: request.forge_url.unwrap_or(before.forge_url),
        forge_path: request.forge_path.unwrap_or(before.forge_path),
        default_branch: request.default_branch.unwrap_or(before.default_branch),
        priority: request.priority.unwrap_or(before.priority),
        poll_seconds: request.poll_seconds.unwrap_or(before.poll_seconds),
        archived_at,
        ..before
    })
}

/// What the audit log is to say of a change: each setting that is another one, as it was and as it is. Of an address
/// with a password, only that it is another one.
#[must_use]
pub fn noted(before: &ProjectRow, after: &ProjectRow) -> Detail {
    let settings = |it: &ProjectRow| {
        [
            ("address", it.address.clone()),
            ("forge", it.forge.to_string()),
            ("forge_url", it.forge_url.clone()),
            ("forge_path", it.forge_path.clone()),
            ("default_branch", it.default_branch.clone()),
            ("priority", it.priority.to_string()),
            ("poll_seconds", it.poll_seconds.to_string()),
            ("archived", it.archived_at.is_some().to_string()),
        ]
    };
    settings(before)
        .into_iter()
        .zip(settings(after))
        .filter(|((_, old), (_, new))| old != new)
        .fold(Detail::default(), |detail, ((name, old), (_, new))| {
            detail.with(name, told(&old, &new))
        })
}

fn told(old: &str, new: &str) -> String {
    if has_credential(old) || has_credential(new) {
        return "changed".to_owned();
    }
    let [old, new] = [old, new].map(|it| if it.is_empty() { "nothing" } else { it });
    format!("{old} → {new}")
}

/// Saves what a project has become, unless it was changed since.
pub async fn save(app: &App, before: &ProjectRow, after: &ProjectRow) -> Result<(), StoreError> {
    app.store.change_project(before, after).await?;
    app.runs.announce(News::Project);
    Ok(())
}

/// Nothing starts its runs any more; those that were stay.
pub async fn archive(app: &App, before: &ProjectRow) -> Result<(), Problem> {
    if before.archived_at.is_none() {
        let after = ProjectRow { archived_at: Some(app.now()), ..before.clone() };
        save(app, before, &after).await?;
    }
    Ok(())
}

/// What is said of an address with a password in it. It is not repeated: logs keep what is said.
const CREDENTIAL: &str = "the address has a user name or password in it, and everybody who sees the project \
    would see them. Leave them out, and keep a token as the project's credential: under `Settings` of the \
    project, or with `trunkline project credential`";

/// Refuses numbers that nobody means.
fn check_numbers(priority: Option<i64>, poll_seconds: Option<i64>) -> Result<(), Problem> {
    if let Some(it) = priority.filter(|it| !(-PRIORITY_MAX..=PRIORITY_MAX).contains(it)) {
        let range = format!("-{PRIORITY_MAX} to {PRIORITY_MAX}");
        return Err(Problem::bad_request(format!("`priority` is {range}, and not {it}")));
    }
    if let Some(it) = poll_seconds.filter(|it| !(0..=POLL_SECONDS_MAX).contains(it)) {
        let range = format!("0 (for never) to {POLL_SECONDS_MAX} (30 days)");
        return Err(Problem::bad_request(format!("`poll_seconds` is {range}, and not {it}")));
    }
    Ok(())
}

fn check_address(app: &App, address: &str) -> Result<(), Problem> {
    if has_credential(address) {
        return Err(Problem::bad_request(CREDENTIAL));
    }
    let rule = app.triggers.projects().addresses();
    rule.admit_form(address).map_err(|it| Problem::bad_request(it.to_string()))
}

fn bad_forge() -> Problem {
    Problem::bad_request("`forge` is `github`, `gitlab`, `gitea` or `git`")
}
