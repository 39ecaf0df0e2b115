//! What came in for a project, and once more.

use std::collections::BTreeMap;

pub use crate::forge::About;
use crate::http::{App, CursorForm, Page, PageQuery, Problem};
use crate::model::{Milliseconds, Timestamp};
use crate::store::access::projects::ProjectRow;
use crate::store::audit::AuditRow;
use crate::store::intake::deliveries::DeliveryRow;

/// What the audit log calls a delivery that was refused.
const REFUSE: &str = "delivery.refuse";
/// How often one of a project is written down.
const NOTED_EVERY: Milliseconds = Milliseconds::from_seconds(60);
/// How long one is told of.
const SHOWN_FOR: Milliseconds = Milliseconds::from_seconds(24 * 60 * 60);
/// Characters of a body that is read for a list.
const CHARS_MAX: u32 = 64 << 10;

/// Deliveries of a project, newest first.
pub async fn list(
    app: &App,
    project: &ProjectRow,
    query: PageQuery,
) -> Result<Page<DeliveryRow>, Problem> {
    let query = query.checked(CursorForm::Id)?;
    let (before, limit) = (query.cursor.as_deref(), query.limit());
    let rows = app.store.list_deliveries(&project.id, before, limit + 1).await?;
    Ok(Page::new(rows, limit, |it| it.id.clone()))
}

/// What people know these deliveries by, which are newest first, by id. One with a very long body is not looked into.
pub async fn about(
    app: &App,
    project: &ProjectRow,
    rows: &[DeliveryRow],
) -> Result<BTreeMap<String, About>, Problem> {
    let (Some(newest), Some(oldest)) = (rows.first(), rows.last()) else {
        return Ok(BTreeMap::new());
    };
    let between = (oldest.id.as_str(), newest.id.as_str());
    let bodies = app.store.list_delivery_bodies(&project.id, between, CHARS_MAX).await?;
    let bodies: BTreeMap<_, _> = bodies.into_iter().collect();
    let known = |row: &DeliveryRow| {
        let about = crate::forge::about(row.forge, &row.event, bodies.get(&row.id)?)?;
        Some((row.id.clone(), about))
    };
    Ok(rows.iter().filter_map(known).collect())
}

/// A delivery that did not prove where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// What is wrong with it, as the end of a sentence.
    pub why: String,
}

/// The newest of the last day that was refused and written down, unless one of these has come after it: then what
/// was wrong is mended.
pub async fn find_refused(
    app: &App,
    project: &ProjectRow,
    came: &[DeliveryRow],
) -> Result<Option<Refused>, Problem> {
    let refused = newest_refused(app, project, SHOWN_FOR).await?;
    Ok(refused.filter(|it| came.iter().all(|came| came.received_at < it.at)))
}

/// Has the audit log tell of a delivery that was refused: the forge is told no more than that. Whoever sends many has
/// one entry in a minute.
pub async fn note_refused(app: &App, project: &ProjectRow, why: &str) -> Result<(), Problem> {
    if newest_refused(app, project, NOTED_EVERY).await?.is_some() {
        return Ok(());
    }
    let row = AuditRow {
        id: app.new_id(),
        at: app.now(),
        actor: "nobody".to_owned(),
        address: String::new(),
        action: REFUSE.to_owned(),
        team: project.team.clone(),
        project: project.id.clone(),
        subject: project.slug(),
        detail: serde_json::json!({ "reason": why }).to_string(),
    };
    Ok(app.store.insert_audit_events(&[row]).await?)
}

async fn newest_refused(
    app: &App,
    project: &ProjectRow,
    within: Milliseconds,
) -> Result<Option<Refused>, Problem> {
    let of = (&project.team, &project.id);
    let above = first_id_of(app.now().minus(within));
    let row = app.store.find_newest_audit_event(of, REFUSE, &above).await?;
    Ok(row.map(|it| {
        let detail: serde_json::Value = serde_json::from_str(&it.detail).unwrap_or_default();
        let why = detail.get("reason").and_then(serde_json::Value::as_str);
        let why = why.unwrap_or_default().to_owned();
        Refused { at: it.at, why }
    }))
}

/// The smallest id that a row of this moment can have.
fn first_id_of(at: Timestamp) -> String {
    let millis = u64::try_from(at.0).unwrap_or_default();
    ulid::Ulid::from_parts(millis, 0).to_string().to_lowercase()
}

/// One of them.
pub async fn find(app: &App, project: &ProjectRow, id: &str) -> Result<DeliveryRow, Problem> {
    let found = app.store.find_delivery(id).await?;
    let found = found.filter(|it| it.project == project.id);
    found.ok_or_else(|| Problem::not_found("this delivery"))
}

/// Its body as it came.
pub async fn body(app: &App, delivery: &DeliveryRow) -> Result<String, Problem> {
    Ok(app.store.find_delivery_body(&delivery.id).await?.unwrap_or_default())
}

/// Has a delivery processed once more; what it has started is not started again.
pub async fn replay(app: &App, project: &ProjectRow, id: &str) -> Result<(), Problem> {
    let row = find(app, project, id).await?;
    app.triggers.replay(&row.id).await?;
    Ok(())
}
