//! Who has done what: owners see all of it, admins what concerns their team.

use crate::desk::teams;
use crate::http::{App, CursorForm, Page, PageQuery, Problem, ProblemKind, Visitor};
use crate::model::{Role, TeamId, Timestamp};
use crate::store::audit::{AuditFilter, AuditRow};

/// Which part of the log; what is empty or `None` does not count.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Name of a team; only owners may leave it out.
    pub team: Option<String>,
    /// Id of a project.
    pub project: String,
    /// Who did it.
    pub actor: String,
    /// What was done: `secret.read`, or `secret.` for all that begin so.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// The audit log, newest first.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    (query, page): (AuditQuery, PageQuery),
) -> Result<Page<AuditRow>, Problem> {
    let page = page.checked(CursorForm::Id)?;
    let filter = AuditFilter {
        team: team(app, visitor, query.team.as_deref()).await?,
        project: query.project,
        actor: query.actor,
        action: query.action,
        subject: query.subject,
        since: query.since,
        until: query.until,
        limit: page.limit() + 1,
        cursor: page.cursor.clone().unwrap_or_default(),
    };
    let rows = app.store.list_audit_events(&filter).await?;
    Ok(Page::new(rows, page.limit(), |it: &AuditRow| it.id.clone()))
}

async fn team(app: &App, visitor: &Visitor, name: Option<&str>) -> Result<Option<TeamId>, Problem> {
    let Some(name) = name else {
        let refused = || {
            Problem::new(ProblemKind::Forbidden, "only owners of the installation see all of it")
                .with_help("Name one of your teams with `team`.")
        };
        return visitor.0.may_own().then_some(None).ok_or_else(refused);
    };
    Ok(Some(teams::find(app, visitor, name, Role::Admin).await?.id))
}
