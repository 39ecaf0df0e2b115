//! Pages that stay true: their parts are made again when a run changes, and sent where they differ.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum::response::sse::Event;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::time::Instant;

pub(in crate::ui) use crate::http::Part;
use crate::http::{App, Made, Problem, Visitor, event, event_stream};
use crate::model::RunId;
use crate::runs::{Change, News};

/// The shortest time between two looks at a run: what changes in between is shown once.
const PACE: Duration = Duration::from_millis(300);
/// Between two looks when no news come. That some were lost is news too, so this is for the ages of things.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// What a page watches.
#[derive(Debug, Clone)]
enum Watch {
    /// One run.
    Run(RunId),
    /// Every run.
    Runs,
}

/// Who sees the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum Audience {
    /// Nobody else: it has what only they may see or do.
    One,
    /// All with the same rights.
    Alike,
}

/// Makes parts anew.
pub(in crate::ui) type Render =
    Box<dyn Fn() -> BoxFuture<'static, Result<Vec<Part>, Problem>> + Send + Sync>;

/// Parts of a page that are made together.
struct View {
    /// Names all that they depend on, where others may be shown the same.
    key: Option<String>,
    render: Render,
}

/// The stream that keeps the page of a run true. It begins with every part, so that who comes back sees what is.
pub(in crate::ui) fn stream(
    app: &App,
    visitor: &Visitor,
    run: RunId,
    render: Render,
) -> Result<Response, Problem> {
    open(app, visitor, Watch::Run(run), (vec![View { key: None, render }], LOOK_AGAIN))
}

/// The same of a page over many runs. `name` stands for what a view shows, with its filters.
pub(in crate::ui) fn stream_of_many(
    app: &App,
    visitor: &Visitor,
    views: Vec<(Audience, String, Render)>,
) -> Result<Response, Problem> {
    stream_of_many_every(app, visitor, (views, LOOK_AGAIN))
}

/// The same of what changes with no run: it is looked at again after so long.
pub(in crate::ui) fn stream_of_many_every(
    app: &App,
    visitor: &Visitor,
    (views, again): (Vec<(Audience, String, Render)>, Duration),
) -> Result<Response, Problem> {
    let view = |(audience, name, render): (Audience, String, Render)| {
        // Rights in any case: a stream goes on with those it was opened with, and the next one may have others.
        let who = match audience {
            Audience::One => format!("{:?} {}", visitor.0.proof, visitor.0.rights()),
            Audience::Alike => visitor.0.rights(),
        };
        View { key: Some(format!("{who} {name}")), render }
    };
    open(app, visitor, Watch::Runs, (views.into_iter().map(view).collect(), again))
}

fn open(
    app: &App,
    visitor: &Visitor,
    watch: Watch,
    (views, again): (Vec<View>, Duration),
) -> Result<Response, Problem> {
    let place = app.streams.open(&visitor.0, app.now())?;
    let watcher = Watcher {
        changes: app.runs.subscribe(),
        app: app.clone(),
        watch,
        views,
        again,
        shown: HashMap::new(),
        queue: VecDeque::new(),
        looked_at: None,
    };
    let events = stream::unfold(watcher, |mut it| async { Some((it.next().await, it)) });
    Ok(event_stream(app, place, events))
}

struct Watcher {
    app: App,
    changes: broadcast::Receiver<Change>,
    watch: Watch,
    views: Vec<View>,
    /// The longest time between two looks.
    again: Duration,
    /// Digests of what the browser shows.
    shown: HashMap<&'static str, u64>,
    /// What is to be sent: places in what was made.
    queue: VecDeque<(Made, usize)>,
    looked_at: Option<Instant>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Event, Problem> {
        loop {
            while let Some((made, place)) = self.queue.pop_front() {
                if let Some(part) = made.get(place) {
                    return event("part", None, part);
                }
            }
            match (self.looked_at, &self.watch) {
                (None, _) => self.look().await?,
                (Some(looked_at), Watch::Run(_)) => {
                    let _elapsed = tokio::time::timeout(self.again, self.changed()).await;
                    tokio::time::sleep_until(looked_at + PACE).await;
                    self.look().await?;
                }
                (Some(_), Watch::Runs) => self.look_with_others().await?,
            }
        }
    }

    async fn changed(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(change) if !concerns(&self.watch, &change) => (),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        self.looked_at = Some(Instant::now());
        // All that was announced until now is in what is read next.
        self.changes = self.app.runs.subscribe();
        for view in &self.views {
            let made = Arc::new((view.render)().await?);
            note(&mut self.shown, &mut self.queue, &made);
        }
        Ok(())
    }

    /// At the next beat; what others have made there is good enough.
    async fn look_with_others(&mut self) -> Result<(), Problem> {
        let _elapsed = tokio::time::timeout(self.again, self.changed()).await;
        // What was announced until now is in what is read at the beat; what comes later asks for another.
        self.changes = self.app.runs.subscribe();
        let looks = self.app.streams.looks();
        let beat = looks.next(Instant::now());
        tokio::time::sleep_until(beat.at).await;
        for view in &self.views {
            let Some(key) = &view.key else { continue };
            let made = looks.see(beat, key, (view.render)()).await?;
            note(&mut self.shown, &mut self.queue, &made);
        }
        Ok(())
    }
}

fn concerns(watch: &Watch, change: &Change) -> bool {
    match (watch, change.news()) {
        (_, News::Everything | News::Project)
        | (Watch::Runs, News::Run(..) | News::Trunk | News::Workers) => true,
        (Watch::Run(run), News::Run(changed, _)) => run == changed,
        _ => false,
    }
}

/// Parts that differ from what is shown are to be sent.
fn note(shown: &mut HashMap<&'static str, u64>, queue: &mut VecDeque<(Made, usize)>, made: &Made) {
    for (place, part) in made.iter().enumerate() {
        let digest = digest(&part.html);
        if shown.insert(part.id, digest) != Some(digest) {
            queue.push_back((Arc::clone(made), place));
        }
    }
}

/// Tells two texts apart, but for how long ago things were: that, the page tells by itself. Nobody gains from
/// making two equal.
fn digest(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<time ") {
        let (opening, after) = after.split_once('>').unwrap_or((after, ""));
        (before, opening).hash(&mut hasher);
        rest = after.find("</time>").and_then(|it| after.get(it..)).unwrap_or(after);
    }
    rest.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_time_goes_by_is_no_difference() {
        let shown =
            "<li>one <time data-ago=\"5\">just now</time> <time data-since=\"6\">1 s</time></li>";
        assert_eq!(digest(shown), digest(&shown.replace("just now", "9 min ago")));
        assert_eq!(digest(shown), digest(&shown.replace("1 s", "2 h")));
        for (from, to) in
            [("data-ago=\"5\"", "data-ago=\"7\""), ("one", "two"), ("</li>", "!</li>")]
        {
            assert_ne!(digest(shown), digest(&shown.replace(from, to)), "{from}");
        }
        assert_ne!(digest("<time "), digest("<time x"), "cut short");
    }
}
