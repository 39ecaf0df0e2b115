//! Ends the streams of those whose session or token is over, who were shut out, or may do other things now.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{End, Streams};
use crate::auth::Standing;
use crate::http::App;

/// Between two looks: so long a stream may go on after its reader was shut out.
const LOOK: Duration = Duration::from_secs(3);

/// Looks after all streams of this process until it is told to end.
pub async fn guard_streams(app: App, end: CancellationToken) {
    while end.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let open = app.streams.callers();
        if open.is_empty() {
            continue;
        }
        let callers: Vec<_> = open.iter().map(|(_, caller)| caller.clone()).collect();
        match app.auth.standings(&callers).await {
            Ok(standings) => {
                let all = open.iter().map(|(number, _)| *number).zip(standings);
                end_streams(&app.streams, all);
            }
            // They stay as they are until it is known again.
            Err(error) => tracing::warn!(%error, "nobody knows who may still read streams"),
        }
    }
}

fn end_streams(streams: &Streams, standings: impl Iterator<Item = (u64, Standing)>) {
    for (number, standing) in standings {
        match standing {
            Standing::Same => (),
            Standing::Changed => streams.end(number, End::Reconnect),
            Standing::Gone => streams.end(number, End::SignedOut),
        }
    }
}
