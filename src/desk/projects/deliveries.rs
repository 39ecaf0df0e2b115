//! What came in for a project, and once more.

use crate::http::{App, CursorForm, Page, PageQuery, Problem};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::DeliveryRow;

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
