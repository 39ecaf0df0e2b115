//! What came in for a project, and once more.

use std::collections::BTreeMap;

pub use crate::forge::About;
use crate::http::{App, CursorForm, Page, PageQuery, Problem};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::DeliveryRow;

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
