//! Writes cassettes soon after they have changed, aside from the calls that change them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Cassette;

/// How long a recording waits for others that are written with it.
const SOON: Duration = Duration::from_millis(100);
/// After a file that took its time, so many times as long passes until the next is written: of calls that come one
/// after the other, a large cassette is not written for each.
const PAUSES: u32 = 8;
/// The longest such pause.
const PAUSE_AT_MOST: Duration = Duration::from_secs(5);
/// How often a file is tried that could not be written.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// Writes those of `list` that have changed, whenever there is news, until `over`; and then all for the last time.
pub async fn keep(
    news: Arc<Notify>,
    list: impl Fn() -> Vec<Arc<Cassette>>,
    over: CancellationToken,
) {
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            () = over.cancelled() => break,
            () = news.notified() => {}
        }
        let pause = not_before.saturating_duration_since(Instant::now()).max(SOON);
        if tokio::time::timeout(pause, over.cancelled()).await.is_ok() {
            break;
        }
        let (cassettes, begun) = (list(), Instant::now());
        let save = move || cassettes.iter().filter(|it| it.save_in_turn()).count();
        let left = tokio::task::spawn_blocking(save).await.unwrap_or_default();
        let took = begun.elapsed();
        not_before = Instant::now() + pause_after(took);
        if left > 0 {
            // It is seen to again, whether anything new comes or not.
            news.notify_one();
        }
    }
    for cassette in list() {
        close(cassette).await;
    }
}

/// How long nothing is written after what took so long.
fn pause_after(took: Duration) -> Duration {
    took.saturating_mul(PAUSES).min(PAUSE_AT_MOST)
}

/// Writes a cassette that nothing more is recorded in.
pub async fn close(cassette: Arc<Cassette>) {
    match tokio::task::spawn_blocking(move || cassette.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a cassette could not be written"),
        Err(error) => tracing::error!(%error, "a cassette could not be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cassette_is_written_less_often() {
        let pause = |ms| pause_after(Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 10, 500, 60_000].map(pause), [0, 80, 4000, 5000]);
    }
}
