//! Asking again while the machine below does not answer: containers outlive a pause of their daemon.

use std::time::Duration;

use tokio::time::Instant;

use crate::executor::ExecutorError;

/// How long a silence is borne.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The most that is asked again, however long each question took.
const TRIES_MAX: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What is left of one caller's patience.
#[derive(Debug)]
pub(in crate::worker) struct Patience {
    silent_since: Option<Instant>,
    pause: Duration,
    tries: u32,
}

impl Patience {
    pub(in crate::worker) fn new() -> Self {
        Self { silent_since: None, pause: FIRST_PAUSE, tries: 0 }
    }

    /// There was an answer.
    pub(in crate::worker) fn renew(&mut self) {
        (self.silent_since, self.pause) = (None, FIRST_PAUSE);
    }

    /// Waits a while; gives the error back when it means more than silence, or the silence is too long.
    pub(in crate::worker) async fn bear(
        &mut self,
        error: ExecutorError,
    ) -> Result<(), ExecutorError> {
        let is_silence = matches!(error, ExecutorError::Unavailable { .. });
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        self.tries += 1;
        if !is_silence || self.tries > TRIES_MAX || since.elapsed() + self.pause > SILENCE_MAX {
            return Err(error);
        }
        tracing::debug!(%error, tries = self.tries, "no answer; asking again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Asks until there is an answer, or for too long. `ask` must do no harm when it is done twice.
pub(in crate::worker) async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, ExecutorError>
where
    F: Future<Output = Result<T, ExecutorError>>,
{
    let mut patience = Patience::new();
    loop {
        let asked_at = Instant::now();
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                // It has been answered for a long time, and broke off just now.
                if asked_at.elapsed() > SILENCE_MAX {
                    patience.renew();
                }
                patience.bear(error).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn silence() -> ExecutorError {
        ExecutorError::Unavailable {
            operation: "asking".to_owned(),
            reason: "no answer".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hiccup_is_waited_out() {
        let asked = Cell::new(0);
        let answer = patiently(async || {
            asked.set(asked.get() + 1);
            if asked.get() < 5 { Err(silence()) } else { Ok("here") }
        });
        assert_eq!(answer.await.unwrap(), "here");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_silence_is_an_error() {
        let start = Instant::now();
        let answer: Result<(), _> = patiently(async || Err(silence())).await;
        assert!(matches!(answer, Err(ExecutorError::Unavailable { .. })));
        assert!(start.elapsed() <= SILENCE_MAX && start.elapsed() > SILENCE_MAX / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_breaks_off_after_hours_is_taken_up_again() {
        let asked = Cell::new(0);
        let answer = patiently(async || {
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_hours(1)).await;
            if asked.get() < 4 { Err(silence()) } else { Ok(()) }
        });
        answer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_not_asked_for_again() {
        let asked = Cell::new(0);
        let answer: Result<(), _> = patiently(async || {
            asked.set(asked.get() + 1);
            Err(ExecutorError::Gone("it".to_owned()))
        })
        .await;
        assert!(matches!(answer, Err(ExecutorError::Gone(_))));
        assert_eq!(asked.get(), 1);
    }
}
