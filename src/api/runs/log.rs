//! What stages have printed, and what they print.

mod body;
mod read_log;
mod download;
mod stream_log;

use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::blobs::{BlobError, LogReader};
use crate::http::{App, Problem, Visitor};
use crate::model::{AttemptName, Role, StageIndex};
use crate::runs::LoadedRun;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_log::read_log)).routes(routes!(stream_log::stream_log))
}

/// A stage of a run whose log is read.
struct Wanted {
    loaded: LoadedRun,
    stage: StageIndex,
}

impl Wanted {
    async fn find(
        app: &App,
        visitor: &Visitor,
        (run, stage): (&str, &str),
    ) -> Result<Self, Problem> {
        let loaded = super::load(app, visitor, run, Role::Viewer).await?;
        let stage = loaded.find_stage(stage)?;
        Ok(Self { loaded, stage })
    }

    /// How many attempts there are.
    fn attempts(&self) -> u32 {
        let attempts = self.loaded.run.stage(self.stage).map_or(0, |it| it.attempts.len());
        u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// The attempt that is meant: this one, or the last; 0 before the first.
    fn attempt(&self, wanted: Option<u32>) -> Result<u32, Problem> {
        let last = self.attempts();
        match wanted {
            Some(wanted) if wanted == 0 || wanted > last => {
                let title = format!("attempt {wanted} of this stage does not exist");
                Err(Problem::new(crate::http::ProblemKind::NotFound, title)
                    .with_help(format!("The stage has had {last} attempts.")))
            }
            Some(wanted) => Ok(wanted),
            None => Ok(last),
        }
    }

    fn name(&self, attempt: u32) -> AttemptName {
        AttemptName { run: self.loaded.row.id.clone(), stage: self.stage, attempt }
    }

    /// Whether the attempt has ended, as far as the run was read.
    fn is_ended(&self, attempt: u32) -> bool {
        let place = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let attempts = self.loaded.run.stage(self.stage).map(|it| it.attempts.as_slice());
        attempts.and_then(|it| it.get(place)).is_some_and(|it| it.finished_at.is_some())
    }
}

/// Opens a log; `None` where nothing was printed yet, or it is no longer kept.
async fn open(app: &App, name: &AttemptName) -> Result<Option<LogReader>, Problem> {
    match app.logs.reader(name).await {
        Ok(reader) => Ok(Some(reader)),
        Err(BlobError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `attempt:offset`, the id of an event of a log.
fn place_of(headers: &HeaderMap) -> Result<Option<(u32, u64)>, Problem> {
    let Some(id) = crate::http::last_event_id(headers) else { return Ok(None) };
    let place = id
        .split_once(':')
        .and_then(|(attempt, offset)| Some((attempt.parse().ok()?, offset.parse().ok()?)));
    let bad = || Problem::bad_request("`Last-Event-ID` is `<attempt>:<offset>`");
    place.map(Some).ok_or_else(bad)
}
