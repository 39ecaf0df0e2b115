//! Looks that streams share. Pages over many runs look at the same *beats*, and what one of them has made is sent by all that
//! show the same. A beat comes the later, the more the looks before it have cost: they take a tenth of the time, not more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::http::Problem;

/// News of one moment reach all streams within this time.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest and the longest time between two beats.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A look may take one part in so many of the time.
const SHARE: u32 = 10;
/// What was made for a beat serves who is late for so long.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// Looks that are kept.
const KEPT_MAX: u64 = 1024;

/// A part of a page: the element with this id becomes this.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Id of the element.
    pub id: &'static str,
    /// What is in it.
    pub html: String,
}

/// Parts that were made once, for all that show them.
pub type Made = Arc<Vec<Part>>;

/// The looks of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Looks {
    beat: Arc<Mutex<Beat>>,
    made: Cache<(u64, String), Arc<OnceCell<Made>>>,
}

/// A moment at which pages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    number: u64,
    /// When it is.
    pub at: Instant,
    /// What looks have taken since.
    spent: Duration,
}

impl Default for Looks {
    fn default() -> Self {
        let made = Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT_FOR).build();
        let first = Beat { number: 0, at: Instant::now(), spent: Duration::ZERO };
        Self { beat: Arc::new(Mutex::new(first)), made }
    }
}

impl Looks {
    /// The beat that shows what has happened until now.
    #[must_use]
    pub fn next(&self, now: Instant) -> Beat {
        let mut beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        *beat = beat.next(now);
        *beat
    }

    /// What is seen at this beat under `key`, which names all that it depends on, who looks too. Made once.
    pub async fn see(
        &self,
        beat: Beat,
        key: &str,
        make: impl Future<Output = Result<Vec<Part>, Problem>>,
    ) -> Result<Made, Problem> {
        let cell = self.made.get_with((beat.number, key.to_owned()), Arc::default);
        let make = async {
            let began = Instant::now();
            let parts = make.await?;
            self.spent(began.elapsed());
            Ok(Arc::new(parts))
        };
        cell.get_or_try_init(|| make).await.cloned()
    }

    fn spent(&self, time: Duration) {
        let mut beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.spent += time;
    }
}

impl Beat {
    fn next(self, now: Instant) -> Self {
        if now < self.at {
            return self;
        }
        let pause = (self.spent * SHARE).clamp(PAUSE_MIN, PAUSE_MAX);
        let at = (now + GATHER).max(self.at + pause);
        Self { number: self.number + 1, at, spent: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(html: &str) -> Vec<Part> {
        vec![Part { id: "list", html: html.to_owned() }]
    }

    #[test]
    fn news_of_one_moment_are_seen_at_one_beat_and_dear_looks_come_seldom() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let quiet = Beat { number: 7, at: start, spent: Duration::ZERO };
        let beat = quiet.next(after(60_000));
        assert_eq!((beat.number, beat.at), (8, after(60_050)));
        assert_eq!(beat.next(after(60_049)), beat, "what comes before it is in it");
        let busy = Beat { spent: Duration::from_millis(20), ..beat }.next(after(60_060));
        assert_eq!((busy.number, busy.at), (9, after(61_050)), "a second at least");
        let dear = Beat { spent: Duration::from_millis(300), ..busy }.next(after(61_100));
        assert_eq!(dear.at, after(64_050), "ten times what they took");
        let dearest = Beat { spent: Duration::from_mins(1), ..dear }.next(after(64_050));
        assert_eq!(dearest.at, after(74_050), "and ten seconds at most");
    }

    #[tokio::test]
    async fn what_is_seen_at_a_beat_is_made_once_for_each_key() {
        let looks = Looks::default();
        let beat = looks.next(Instant::now());
        let first = looks.see(beat, "ada /runs", async { Ok(part("hers")) }).await.unwrap();
        let again = looks.see(beat, "ada /runs", async { Ok(part("made twice")) }).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = looks.see(beat, "bob /runs", async { Ok(part("his")) }).await.unwrap();
        assert_eq!(other[0].html, "his");
        let next = Beat { number: beat.number + 1, ..beat };
        let later = looks.see(next, "ada /runs", async { Ok(part("newer")) }).await.unwrap();
        assert_eq!(later[0].html, "newer");
    }

    #[tokio::test]
    async fn a_look_that_failed_is_made_again() {
        let looks = Looks::default();
        let beat = looks.next(Instant::now());
        let failed = looks.see(beat, "ada /", async { Err(Problem::not_found("this run")) }).await;
        assert_eq!(failed.unwrap_err(), Problem::not_found("this run"));
        assert!(looks.see(beat, "ada /", async { Ok(part("here")) }).await.is_ok());
    }
}
