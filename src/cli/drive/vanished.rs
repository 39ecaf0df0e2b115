//! Notices that the state folder has been removed under a run: every error that follows would only tell
//! which file was missed first.

use std::fs;
use std::time::Duration;

use crate::cli::failure::Broken;
use crate::cli::state::State;

/// How often it is looked at.
const PACE: Duration = Duration::from_millis(500);
/// Looks after an error that may come of it, as files go one after the other.
const LOOKS: u32 = 5;
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Whether the folder is gone, or another one is in its place.
pub fn has_vanished(state: &State) -> bool {
    match fs::read_to_string(state.folder.join("instance")) {
        Ok(instance) => instance.trim() != state.instance,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Waits until it is gone.
pub async fn wait(state: &State) {
    while !has_vanished(state) {
        tokio::time::sleep(PACE).await;
    }
}

/// Whether it is gone now or in a moment.
pub async fn is_near(state: &State) -> bool {
    for _ in 0..LOOKS {
        if has_vanished(state) {
            return true;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    false
}

/// What a person is told. `removed` says how many attempts' containers were removed after it.
pub fn error(state: &State, number: i64, removed: usize) -> Broken {
    let folder = state.folder.display();
    let containers = match removed {
        0 => "nothing of it is left in Docker",
        _ => "its containers were removed",
    };
    Broken {
        message: format!(
            "the state folder `{folder}` is gone: it was removed while run #{number} was under way"
        ),
        help: format!(
            "{containers}, and its logs and artifacts went with the folder; start it again with `trunkline run`"
        ),
    }
}
