//! Containers that are made ready before their turn: which, how many, and what became of them.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::executor::ExecutorError;
use crate::model::AttemptName;

/// The containers that wait. Bounded.
#[derive(Debug)]
pub(in crate::worker) struct LookAhead {
    limit: usize,
    waiting: HashMap<AttemptName, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    /// Being made ready.
    UnderWay,
    /// Being made ready, and an attempt already waits for it.
    Claimed(oneshot::Sender<Option<ExecutorError>>),
    /// Ready.
    Ready,
    /// It could not be made; not tried again before its turn, and then only without a definite error.
    Failed(Option<ExecutorError>),
}

/// What an attempt learns about the container that was made for it.
#[derive(Debug)]
pub(in crate::worker) enum Head {
    /// Nothing was prepared.
    None,
    /// It is ready.
    Ready,
    /// It was tried, and the attempt would only fail the same way.
    Failed(ExecutorError),
    /// It is being made ready; something comes when it is over: an error if the attempt would only fail
    /// the same way.
    Soon(oneshot::Receiver<Option<ExecutorError>>),
}

impl LookAhead {
    pub(in crate::worker) fn new(limit: usize) -> Self {
        Self { limit, waiting: HashMap::new() }
    }

    /// No more containers.
    pub(in crate::worker) fn close(&mut self) {
        self.limit = 0;
    }

    /// How many more there may be.
    pub(in crate::worker) fn room(&self) -> usize {
        self.limit.saturating_sub(self.waiting.len())
    }

    pub(in crate::worker) fn contains(&self, name: &AttemptName) -> bool {
        self.waiting.contains_key(name)
    }

    pub(in crate::worker) fn names(&self) -> Vec<AttemptName> {
        self.waiting.keys().cloned().collect()
    }

    /// One more is being made ready.
    pub(in crate::worker) fn begin(&mut self, name: AttemptName) {
        self.waiting.insert(name, Waiting::UnderWay);
    }

    /// It is ready, or could not be made; then the attempt tries for itself and says why.
    pub(in crate::worker) fn prepared(
        &mut self,
        name: &AttemptName,
        result: &Result<(), ExecutorError>,
    ) {
        if let Err(error) = result {
            tracing::debug!(attempt = %name, %error, "could not look ahead");
        }
        let definite = result.as_ref().err().filter(|it| is_definite(it)).cloned();
        match self.waiting.remove(name) {
            Some(Waiting::Claimed(attempt)) => {
                let _nobody_waits = attempt.send(definite);
            }
            Some(Waiting::UnderWay | Waiting::Ready | Waiting::Failed(_)) => {
                let state = if result.is_ok() { Waiting::Ready } else { Waiting::Failed(definite) };
                self.waiting.insert(name.clone(), state);
            }
            None => (),
        }
    }

    /// Hands the container to its attempt.
    pub(in crate::worker) fn claim(&mut self, name: &AttemptName) -> Head {
        match self.waiting.remove(name) {
            None | Some(Waiting::Failed(None)) => Head::None,
            Some(Waiting::Failed(Some(error))) => Head::Failed(error),
            Some(Waiting::Ready) => Head::Ready,
            Some(Waiting::UnderWay | Waiting::Claimed(_)) => {
                let (sender, receiver) = oneshot::channel();
                self.waiting.insert(name.clone(), Waiting::Claimed(sender));
                Head::Soon(receiver)
            }
        }
    }

    /// Forgets a container; false while it is still being made.
    pub(in crate::worker) fn discard(&mut self, name: &AttemptName) -> bool {
        let is_over = matches!(self.waiting.get(name), Some(Waiting::Ready | Waiting::Failed(_)));
        if is_over {
            self.waiting.remove(name);
        }
        is_over
    }
}

/// Whether it is the attempt's own end. All else may be better when the attempt's needs are done: one of
/// them may make the image that is missing now.
fn is_definite(error: &ExecutorError) -> bool {
    matches!(error, ExecutorError::Service { .. })
}
