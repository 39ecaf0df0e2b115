//! Services while their attempt runs: one that ends too early ends the attempt. What is said of it is
//! found out from the times that the daemon has written down, so it is the same for an engine that looked
//! on and for one that was started later.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::timeout;

use crate::executor::control::AttemptFolder;
use crate::executor::docker::DockerExecutor;
use crate::executor::docker::container::Condition;
use crate::executor::docker::names::Names;
use crate::executor::layout::Layout;
use crate::executor::{ExecutorError, Exit, Signal};
use crate::model::{AttemptName, Timestamp};

/// How long an attempt may take to fail in its own words when a service has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pause after a connection that broke.
const PAUSE: Duration = Duration::from_millis(200);
/// Exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;

/// A service of an attempt.
struct Service<'a> {
    name: &'a str,
    container: String,
    /// Whether it must run to the end of the attempt, and may not even end with 0.
    is_lasting: bool,
}

impl Service<'_> {
    fn all<'a>(names: &Names, folder: &AttemptFolder, layout: &'a Layout) -> Vec<Service<'a>> {
        let service = |name: &'a String| Service {
            name,
            container: names.service(folder.slug(), name),
            is_lasting: layout.lasting.contains(name),
        };
        layout.services.iter().map(service).collect()
    }

    /// What makes its end one that it may not have.
    fn is_failure(&self, exit: &Exit) -> bool {
        self.is_lasting || exit.code != 0
    }
}

impl DockerExecutor {
    /// Waits for the end of an attempt that has services.
    pub(in crate::executor::docker) async fn wait_beside_services(
        &self,
        name: &AttemptName,
        (folder, layout): (&AttemptFolder, &Layout),
    ) -> Result<Exit, ExecutorError> {
        let services = Service::all(self.names(), folder, layout);
        let mut end = std::pin::pin!(self.wait_segments(folder, layout));
        let exit = tokio::select! {
            biased;
            exit = &mut end => exit?,
            failed = self.wait_for_failure(&services) => {
                failed?;
                if let Ok(exit) = timeout(LAST_WORDS, &mut end).await {
                    exit?
                } else {
                    self.signal_attempt(name, Signal::Kill).await?;
                    end.await?
                }
            }
        };
        let failed_service = self.find_failed(&services, exit.ended_at).await?;
        Ok(Exit { failed_service, ..exit })
    }

    /// Waits until one of the services has ended that may not.
    async fn wait_for_failure(&self, services: &[Service<'_>]) -> Result<(), ExecutorError> {
        let all = services.iter().map(|it| Box::pin(self.wait_for_failure_of(it)));
        select_all(all).await.0
    }

    /// Never ready for a service that does no harm: it goes on, has done its work, or was removed with
    /// the attempt.
    async fn wait_for_failure_of(&self, service: &Service<'_>) -> Result<(), ExecutorError> {
        loop {
            match self.condition(&service.container).await? {
                Condition::Ended(exit) if service.is_failure(&exit) => return Ok(()),
                Condition::Ended(_) | Condition::Missing | Condition::Created => {
                    return std::future::pending().await;
                }
                Condition::Running => {
                    if self.wait_once(&service.container).await.is_some() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// The first service that ended before this moment, the end of the attempt, and may not; in words.
    async fn find_failed(
        &self,
        services: &[Service<'_>],
        ended_at: Option<Timestamp>,
    ) -> Result<Option<String>, ExecutorError> {
        let mut first: Option<(Timestamp, &Service<'_>, Exit)> = None;
        for service in services {
            let Condition::Ended(exit) = self.condition(&service.container).await? else {
                continue;
            };
            let (Some(at), Some(end)) = (exit.ended_at, ended_at) else { continue };
            let is_first = first.as_ref().is_none_or(|(earliest, _, _)| at < *earliest);
            if at < end && is_first && service.is_failure(&exit) {
                first = Some((at, service, exit));
            }
        }
        match first {
            Some((_, service, exit)) => Ok(Some(self.describe_end(service, &exit).await)),
            None => Ok(None),
        }
    }

    async fn describe_end(&self, service: &Service<'_>, exit: &Exit) -> String {
        let how = match exit {
            Exit { out_of_memory: true, .. } => "for want of memory".to_owned(),
            Exit { code: KILLED, .. } => "with exit code 137: somebody killed it".to_owned(),
            Exit { code, .. } => format!("with exit code {code}"),
        };
        let help = match exit.code {
            0 => {
                "a service with `ready` must run until its stage has ended; leave `ready` out for one that does its work and ends"
            }
            _ => {
                "look for the reason in its last lines; a stage needs its services until it has ended"
            }
        };
        let (name, log) = (service.name, self.told_by(&service.container).await);
        format!("service `{name}` ended {how} while the stage was running. {log}\nhelp: {help}")
    }
}
