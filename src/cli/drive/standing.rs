//! How runs of this machine stand, besides what their events say.

use crate::cli::session::Session;
use crate::cli::state::State;
use crate::model::{AttemptName, RunId, RunStatus};
use crate::runs::LoadedRun;
use crate::runs::view::{RunView, Surroundings};
use crate::worker;

/// Whether a container of the run is kept for a person to enter.
#[must_use]
pub fn keeps_some(state: &State, run: &RunId) -> bool {
    let entries = std::fs::read_dir(state.folder.join("kept")).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|it| AttemptName::parse_slug(it.file_name().to_str()?));
    names.any(|it| it.run == *run)
}

/// Whether a run has not ended, and no living process goes on with it.
#[must_use]
pub fn is_interrupted(state: &State, run: &RunId, status: RunStatus) -> bool {
    !status.is_finished() && !worker::is_driven_here(&state.folder, run)
}

/// What people see of a run of this machine.
#[must_use]
pub fn view_of(session: &Session, state: &State, loaded: &LoadedRun) -> RunView {
    let row = &loaded.row;
    let is_interrupted = is_interrupted(state, &row.id, loaded.run.status());
    let around = Surroundings { events: loaded.seq, is_interrupted, ..Surroundings::of(row) };
    RunView::new(&loaded.run, around, session.now())
}
