//! Pull and merge requests: new code is built, a closed one is stopped, and one whose delivery was lost is
//! found in the forge's list.

use std::collections::BTreeMap;

use serde_json::Value;

use super::intake::{Arrival, Outcome};
use super::refs::UNDER_WAY;
use super::start::{Happening, HappeningKind};
use super::{TriggerError, Triggers};
use crate::engine::Command;
use crate::forge::{self, OpenRequests, PullRequest, PullRequestAction, Sender, request_of_ref};
use crate::model::{ForgeKind, RunStatus};
use crate::pipeline::context::{AuthorPart, PullRequestContext};
use crate::runs::{LoadedRun, RunsError};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::{DeliveryRow, DeliveryStatus};
use crate::store::intake::known_refs::KnownRef;
use crate::store::runs::RunFilter;

/// Unfinished runs of requests that are looked through for those of one request.
const RUNS_MAX: u32 = 500;

const UNFINISHED: [RunStatus; 4] =
    [RunStatus::Queued, RunStatus::Running, RunStatus::Waiting, RunStatus::Cancelling];

impl Triggers {
    pub(super) async fn on_request(
        &self,
        project: &ProjectRow,
        row: &DeliveryRow,
        (request, sender): (&PullRequest, &Sender),
    ) -> Result<Outcome, TriggerError> {
        if request.action == PullRequestAction::Closed {
            return self.on_closed(project, row, request).await;
        }
        if !request.action.brings_code() {
            let reason = format!("nothing to build: {:?}", request.action).to_lowercase();
            return Ok((DeliveryStatus::Ignored, reason));
        }
        let head = forge::request_ref(project.forge, request.number);
        let known = match &head {
            Some(head) => self.store().find_known_ref(&project.id, head).await?,
            None => None,
        };
        let is_known = |it: &KnownRef| it.revision == request.revision && it.delivery != row.id;
        if known.is_some_and(|it| is_known(&it)) {
            let number = request.number;
            let reason = format!("request {number} was known to be at that commit already");
            return Ok((DeliveryStatus::Ignored, reason));
        }
        let happening = self.happening(project, row, (request, sender)).await?;
        let outcome = self.start(project, happening, head.clone()).await?;
        if let Some(head) = &head {
            let place = (head.as_str(), Some(request.revision.as_str()));
            self.store().save_known_ref(&project.id, place, &row.id, self.now()).await?;
        }
        Ok(outcome)
    }

    async fn happening(
        &self,
        project: &ProjectRow,
        row: &DeliveryRow,
        (request, sender): (&PullRequest, &Sender),
    ) -> Result<Happening, TriggerError> {
        let mut hands = self.brought(project, &request.author, AuthorPart::Requester).await?;
        // Whoever opens a closed one again has brought nothing.
        if request.action != PullRequestAction::Reopened {
            hands.extend(self.brought(project, sender, AuthorPart::Pusher).await?);
        }
        let provider = forge::identity_provider(project.forge, &project.forge_url);
        let linked = self.store().find_person_by_identity(&provider, &request.author.id).await?;
        let pull_request = PullRequestContext {
            number: request.number,
            base: request.base.clone(),
            head: request.head.clone(),
            title: request.title.clone(),
            author: linked.map_or_else(|| request.author.login.clone(), |it| it.login),
            fork: request.is_fork,
        };
        Ok(Happening {
            cause: format!("delivery:{}", row.id),
            commit: request.revision.clone(),
            // A branch of a fork may be called `main` too, and is not ours.
            r#ref: match (forge::request_ref(project.forge, request.number), request.is_fork) {
                (Some(head), true) => head,
                _ => format!("refs/heads/{}", request.head),
            },
            base: Some(format!("refs/heads/{}", request.base)),
            hands,
            kind: HappeningKind::PullRequest(pull_request),
        })
    }

    /// Stops what still runs for a request that nobody wants to merge any more; what must not be interrupted
    /// goes on.
    async fn on_closed(
        &self,
        project: &ProjectRow,
        row: &DeliveryRow,
        request: &PullRequest,
    ) -> Result<Outcome, TriggerError> {
        let mut stopped = Vec::new();
        for mut loaded in self.unfinished_runs_of_request(project, request.number).await? {
            if !loaded.run.is_interruptible() {
                continue;
            }
            let reason = format!("request {} was closed", request.number);
            let command = Command::Cancel { by: format!("delivery {}", row.id), reason };
            match self.runs.execute(&mut loaded, &command, self.now()).await {
                Ok(_) => stopped.push(format!("run #{} is stopped", loaded.row.number)),
                Err(RunsError::Refused(_)) => (),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(head) = forge::request_ref(project.forge, request.number) {
            let place = (head.as_str(), None);
            self.store().save_known_ref(&project.id, place, &row.id, self.now()).await?;
        }
        if stopped.is_empty() {
            let reason = "the request was closed, and nothing of it runs".to_owned();
            return Ok((DeliveryStatus::Ignored, reason));
        }
        Ok((DeliveryStatus::Processed, stopped.join("\n")))
    }

    async fn unfinished_runs_of_request(
        &self,
        project: &ProjectRow,
        number: u64,
    ) -> Result<Vec<LoadedRun>, TriggerError> {
        let filter = RunFilter {
            project: Some(project.id.clone()),
            event: Some("pull_request".to_owned()),
            statuses: UNFINISHED.to_vec(),
            limit: RUNS_MAX,
            ..RunFilter::default()
        };
        let mut found = Vec::new();
        for row in self.store().list_runs(&filter).await? {
            let loaded = self.runs.load(&row.id).await?;
            let request = loaded.run.context().pull_request.as_ref();
            if request.is_some_and(|it| it.number == number) {
                found.push(loaded);
            }
        }
        Ok(found)
    }

    /// What the forge says is open; `None` where it cannot be asked now.
    pub(super) async fn open_requests(&self, project: &ProjectRow) -> Option<OpenRequests> {
        if project.forge == ForgeKind::Git {
            return None;
        }
        let listed = match self.projects.client(project).await {
            Ok(Some(client)) => {
                client.open_requests(self.now()).await.map_err(|error| error.to_string())
            }
            Ok(None) => return None,
            Err(error) => Err(error.to_string()),
        };
        let warn = |error: &String| {
            tracing::warn!(project = project.slug(), error, "open requests could not be listed");
        };
        listed.inspect_err(warn).ok()
    }

    /// Stores what the forge's list says and no delivery has said; the delivery has a minute to come first.
    pub(super) async fn look_at_requests(
        &self,
        project: &ProjectRow,
        open: &OpenRequests,
        known: &[KnownRef],
    ) -> Result<(), TriggerError> {
        let known: BTreeMap<u64, &KnownRef> =
            known.iter().filter_map(|it| Some((request_of_ref(&it.name)?, it))).collect();
        for request in &open.requests {
            let before = known.get(&request.number);
            if before.is_some_and(|it| it.revision == request.revision) {
                continue;
            }
            let since = before.map_or(0, |it| it.seen_at.0);
            let (number, revision) = (request.number, &request.revision);
            let delivery = format!("request {number}@{revision}#{since}");
            let told = (request.event, request.body.clone());
            self.make_up(project, delivery, told).await?;
        }
        if !open.is_complete {
            return Ok(());
        }
        let is_open = |number: &u64| open.requests.iter().any(|it| it.number == *number);
        for (number, before) in known.iter().filter(|(number, _)| !is_open(number)) {
            let delivery = format!("request {number} closed#{}", before.seen_at.0);
            let place = (*number, before.revision.as_str());
            let told = forge::describe_closed(project.forge, &project.forge_path, place);
            self.make_up(project, delivery, told).await?;
        }
        Ok(())
    }

    async fn make_up(
        &self,
        project: &ProjectRow,
        delivery: String,
        (event, mut body): (&str, Value),
    ) -> Result<(), TriggerError> {
        // The same may be told again later, and is not the same delivery then.
        if let Some(fields) = body.as_object_mut() {
            fields.insert("seen".to_owned(), delivery.clone().into());
        }
        let next_at = self.now().plus(UNDER_WAY);
        let (event, body) = (event.to_owned(), body.to_string());
        let arrival = Arrival { forge: project.forge, delivery, event, body, next_at };
        self.store_delivery(&project.id, arrival).await?;
        Ok(())
    }
}
