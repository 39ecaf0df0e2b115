//! Whole lives of runs in simulated time, from a seed: the real worker, engine, store and logs over a
//! world that fails. A failure names its seed; `SIM_SEED=<seed>` plays that one again, and
//! `SIM_HISTORIES` says how many there are.
//!
//! What a seed does not decide: the order in which the threads of the database and of the disk answer
//! calls of the same simulated moment. Run a seed a few times when it does not fail at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

mod chance;
mod script;
mod plans;
mod weather;
mod play;
mod tape;
mod world;
mod following;
mod machine;
mod place;
mod person;
mod process;
mod oracle;
mod history;
mod checks;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/repository.rs"]
mod repository;

use history::History;
use place::Place;
use world::Seen;

/// How many histories are played unless somebody asks for more.
const HISTORIES: u64 = 300;
/// In real time. A history takes some ten milliseconds.
const STUCK: Duration = Duration::from_mins(2);

#[test]
fn every_run_ends_as_it_must_whatever_happens() {
    let place = Arc::new(Place::new());
    block_on(place.prepare());
    let (first, count) = seeds();
    let next = AtomicU64::new(first);
    let wrong = Mutex::new(Vec::new());
    let all_seen = Mutex::new(Seen::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || wrong.lock().unwrap().len() >= 10 {
                        break;
                    }
                    let (found, of_this) = play(&place, seed);
                    all_seen.lock().unwrap().add(of_this);
                    if !found.is_empty() {
                        println!("SIM_SEED={seed}:\n  {}", found.join("\n  "));
                        wrong.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} histories went wrong, see above", wrong.len());
    let all_seen = all_seen.into_inner().unwrap();
    println!("{count} histories: {all_seen:?}");
    assert!(
        count < HISTORIES || all_seen.is_everything(),
        "something never happened: {all_seen:?}"
    );
}

fn play(place: &Arc<Place>, seed: u64) -> (Vec<String>, Seen) {
    let begun = Instant::now();
    let (done, watched) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let timeout = watched.recv_timeout(STUCK);
            if timeout == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                println!("SIM_SEED={seed} is stuck since {:?}", begun.elapsed());
                // Nothing else ends a thread that hangs.
                std::process::abort();
            }
        });
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            block_on(History::play(place, seed))
        }));
        drop(done);
        played.unwrap_or_else(|_| (vec!["it broke, see above".to_owned()], Seen::default()))
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
fn seeds() -> (u64, u64) {
    let number = |name| std::env::var(name).ok().map(|it| it.parse().expect("it is a number"));
    match number("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("SIM_HISTORIES").unwrap_or(HISTORIES)),
    }
}
