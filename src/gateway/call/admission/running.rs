//! A call that is under way. It lives in the task of its client's connection, for waking another one takes as long as
//! much of its work does. When the client leaves, it goes on in a task of its own: nothing of it breaks off half-way,
//! and its answer is dropped there, which settles it.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use hyper::Response;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::headers;
use crate::gateway::call::Call;
use crate::gateway::call::answer::Answer;
use crate::provider::Dialect;
use crate::provider::refusal::Refusal;

/// `None` when it has panicked.
type Work = Pin<Box<dyn Future<Output = Option<Response<Answer>>> + Send>>;

/// A call that is under way.
pub(super) struct Running {
    work: Option<Work>,
    tasks: TaskTracker,
    dialect: Dialect,
}

impl Running {
    pub(super) fn new(call: Box<Call>) -> Self {
        let (tasks, dialect) = (call.core.tasks.clone(), call.operation.dialect());
        let work = AssertUnwindSafe(call.run()).catch_unwind().map(Result::ok);
        Self { work: Some(Box::pin(work)), tasks, dialect }
    }
}

impl Future for Running {
    type Output = Response<Answer>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Answer>> {
        let answered = match &mut self.work {
            Some(work) => ready!(work.as_mut().poll(context)),
            None => None,
        };
        self.work = None;
        Poll::Ready(answered.unwrap_or_else(|| {
            let broken = Refusal::Upstream("the gateway could not finish the call".to_owned());
            headers::refused(&broken, self.dialect)
        }))
    }
}

/// The client has left before there was an answer.
impl Drop for Running {
    fn drop(&mut self) {
        // Without a runtime the process ends: what is dropped is charged its estimate.
        if let Some(work) = self.work.take().filter(|_| Handle::try_current().is_ok()) {
            self.tasks.spawn(work.map(drop));
        }
    }
}
