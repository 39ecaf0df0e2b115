//! What a remote's refs tell: the news of a plain git remote, and what a forge's lost deliveries would have
//! told. Both are one comparison, at another pace.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::intake::Arrival;
use super::{LOOK_EVERY, Lanes, TriggerError, Triggers, pipelines};
use crate::forge::{OpenRequests, RefChange, describe_change, request_of_ref, request_ref};
use crate::model::{ForgeKind, Milliseconds, ProjectId, Timestamp};
use crate::runs::News;
use crate::source::{Mirror, SourceError};
use crate::store::StoreError;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::known_refs::KnownRef;
use crate::store::intake::looks::Look;

/// Remotes that are asked at the same time.
const LANES: usize = 4;
/// Changes that one look may bring; the rest is seen by the next one.
const CHANGES_MAX: usize = 200;
/// How long a delivery that is under way may take until its news are taken for lost.
pub(super) const UNDER_WAY: Milliseconds = Milliseconds::from_seconds(60);
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 2 << 10;
/// The shortest pace.
const PACE_SECONDS_MIN: i64 = 5;

impl Triggers {
    /// Has a remote looked at now: what a `post-receive` hook asks for.
    pub async fn notify(&self, project: &ProjectId) -> Result<(), StoreError> {
        self.store().request_look(project).await?;
        self.new_look.notify_one();
        self.runs.announce_elsewhere(News::Look);
        Ok(())
    }

    /// Has a remote looked at when its trunk is known as one that cannot be read, and its mirror, just fetched, has
    /// another commit: where nobody tells of pushes, who starts a run is the first to see it mended.
    pub(super) async fn notice_mended(
        &self,
        project: &ProjectRow,
        mirror: &Mirror,
    ) -> Result<(), TriggerError> {
        let looks = self.store().list_looks(std::slice::from_ref(&project.id)).await?;
        let is_broken = |it: &Look| {
            it.failure.is_some() || it.trunk.as_ref().is_some_and(|it| !it.broken.is_empty())
        };
        let Some(look) = looks.into_iter().find(is_broken) else { return Ok(()) };
        let trunk = format!("refs/heads/{}", project.default_branch);
        if mirror.find_commit(&trunk).is_ok_and(|it| it.id != look.revision) {
            self.notify(&project.id).await?;
        }
        Ok(())
    }

    pub(super) async fn watch_remotes(&self, shutdown: &CancellationToken) {
        let mut lanes = Lanes::new(LANES);
        while !shutdown.is_cancelled() {
            if let Err(error) = self.take_looks(&mut lanes).await {
                tracing::warn!(%error, "no remotes could be looked at");
            }
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = lanes.ended() => (),
                () = self.new_look.notified() => (),
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
        while !lanes.tasks.is_empty() {
            lanes.ended().await;
        }
    }

    async fn take_looks(&self, lanes: &mut Lanes) -> Result<(), StoreError> {
        let now = self.now();
        for (id, seen) in self.store().list_projects_to_look_at(now).await? {
            if !lanes.is_free(&id) {
                continue;
            }
            let Some(project) = self.store().find_project(&id).await? else { continue };
            let next = now.plus(self.pace(&project));
            if self.store().claim_look(&id, seen, next).await? {
                let triggers = self.clone();
                lanes.start(id, async move { triggers.look(&project).await });
            }
        }
        Ok(())
    }

    fn pace(&self, project: &ProjectRow) -> Milliseconds {
        let seconds = match project.poll_seconds {
            0 => self.settings.reread_seconds,
            seconds => seconds,
        };
        Milliseconds::from_seconds(u64::try_from(seconds.max(PACE_SECONDS_MIN)).unwrap_or(u64::MAX))
    }

    /// Looks at a remote, and writes down how that went.
    async fn look(&self, project: &ProjectRow) {
        let slug = project.slug();
        let looked = match self.look_at(project).await {
            Ok(()) => self.read_trunk(project).await,
            Err(error) => Err(error),
        };
        let error = looked.err().map(|it| it.to_string()).unwrap_or_default();
        if !error.is_empty() {
            tracing::warn!(project = slug, error, "a remote could not be looked at");
        }
        let shown = error.get(..error.floor_char_boundary(ERROR_BYTES_MAX)).unwrap_or_default();
        let shown = shown.replace('\0', "");
        let before = self.store().list_looks(std::slice::from_ref(&project.id)).await;
        let is_news = before.is_ok_and(|it| it.iter().any(|it| it.error != shown));
        let saved = self.store().save_look(&project.id, &shown, self.now()).await;
        if let Err(error) = saved {
            tracing::warn!(project = slug, %error, "how a look at a remote ended could not be stored");
        }
        if is_news {
            self.runs.announce(News::Trunk);
        }
    }

    /// Reads which pipelines the newest commit of the trunk has, unless that is known.
    pub(super) async fn read_trunk(&self, project: &ProjectRow) -> Result<(), TriggerError> {
        let looks = self.store().list_looks(std::slice::from_ref(&project.id)).await?;
        let Some(look) = looks.into_iter().next().filter(|it| !it.revision.is_empty()) else {
            return Ok(());
        };
        if look.trunk.is_some_and(|it| it.commit == look.revision) {
            return Ok(());
        }
        let mirror = self.projects.ensure(project, &look.revision, None).await?;
        let (branch, commit) = (project.default_branch.clone(), look.revision);
        let read = tokio::task::spawn_blocking(move || {
            let found = pipelines::read_all(&mirror, &commit)?;
            Ok::<_, SourceError>(pipelines::reading_of(&found, &branch, &commit))
        });
        let reading = read.await.map_err(|error| TriggerError::Broken(error.to_string()))??;
        self.store().save_trunk_reading(&project.id, &reading).await?;
        self.runs.announce(News::Trunk);
        Ok(())
    }

    /// Compares a remote with what is known of it, and stores every difference as a delivery.
    pub(super) async fn look_at(&self, project: &ProjectRow) -> Result<(), TriggerError> {
        // In this order: what is older than what is known is no news.
        let known = self.store().list_known_refs(&project.id).await?;
        let gone = self.store().list_gone_refs(&project.id).await?;
        let refs = self.projects.list_remote(project).await?;
        let now = self.now();
        let requests = self.open_requests(project).await;
        if known.is_empty() && !self.was_found_empty(project).await? {
            return self.first_look(project, refs, requests.as_ref()).await;
        }
        let (of_requests, known): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|it| request_of_ref(&it.name).is_some());
        if let Some(open) = &requests {
            self.look_at_requests(project, open, &of_requests).await?;
        }
        for (change, since) in differences(&known, &gone, &refs).into_iter().take(CHANGES_MAX) {
            let (delivery, body) = describe_change(&change, since);
            let is_told = project.forge != ForgeKind::Git && project.poll_seconds == 0;
            let arrival = Arrival {
                forge: ForgeKind::Git,
                delivery,
                event: "push".to_owned(),
                body,
                next_at: if is_told { now.plus(UNDER_WAY) } else { now },
            };
            self.store_delivery(&project.id, arrival).await?;
        }
        Ok(())
    }

    /// Whether an earlier look has found a remote without anything in it: what is there now has come since.
    async fn was_found_empty(&self, project: &ProjectRow) -> Result<bool, TriggerError> {
        let looks = self.store().list_looks(std::slice::from_ref(&project.id)).await?;
        Ok(looks.iter().any(|it| it.looked_at.is_some() && it.error.is_empty()))
    }

    /// What was there before the project came is not built; its schedules count from now on.
    async fn first_look(
        &self,
        project: &ProjectRow,
        mut refs: BTreeMap<String, String>,
        requests: Option<&OpenRequests>,
    ) -> Result<(), TriggerError> {
        let trunk = refs.get(&format!("refs/heads/{}", project.default_branch));
        if let Some(commit) = trunk {
            self.projects.ensure(project, commit, None).await?;
            self.read_schedules(project, commit).await?;
        }
        for request in requests.iter().flat_map(|it| &it.requests) {
            let head = request_ref(project.forge, request.number);
            refs.extend(head.map(|it| (it, request.revision.clone())));
        }
        Ok(self.store().save_first_refs(&project.id, &refs, self.now()).await?)
    }
}

/// What differs, and since when the ref had been where it was: the same for all who see the difference. A ref that
/// is new was not there since it was deleted, or ever.
fn differences(
    known: &[KnownRef],
    gone: &BTreeMap<String, Timestamp>,
    refs: &BTreeMap<String, String>,
) -> Vec<(RefChange, Timestamp)> {
    let known: BTreeMap<&str, &KnownRef> = known.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut changes = Vec::new();
    for (name, revision) in refs {
        let before = known.get(name.as_str());
        if before.is_some_and(|it| it.revision == *revision) {
            continue;
        }
        let change = RefChange {
            r#ref: name.clone(),
            before: before.map(|it| it.revision.clone()),
            after: Some(revision.clone()),
        };
        let since = before.map(|it| it.seen_at).or_else(|| gone.get(name).copied());
        changes.push((change, since.unwrap_or(Timestamp(0))));
    }
    for (name, before) in known {
        if !refs.contains_key(name) {
            let (r#ref, before_at) = (name.to_owned(), before.seen_at);
            let change = RefChange { r#ref, before: Some(before.revision.clone()), after: None };
            changes.push((change, before_at));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known_ref((name, revision): (&str, &str), seen_at: i64) -> KnownRef {
        let (name, revision) = (name.to_owned(), revision.to_owned());
        KnownRef { name, revision, delivery: String::new(), seen_at: Timestamp(seen_at) }
    }

    proptest! {
        /// Two servers that look at the same time, or one that looks again before the first news are acted
        /// upon, tell the same; a branch that comes again after it was gone is told again.
        #[test]
        fn news_are_the_same_whoever_sees_them(gone_at in 1_i64..1000, again_at in 1_i64..1000) {
            prop_assume!(gone_at != again_at);
            let known = [known_ref(("refs/heads/main", "c1"), 1)];
            let refs = [("refs/heads/main", "c2"), ("refs/heads/new", "c2")];
            let refs = refs.map(|(name, it)| (name.to_owned(), it.to_owned())).into();
            let told = |gone: &BTreeMap<String, Timestamp>| -> Vec<String> {
                let all = differences(&known, gone, &refs);
                all.iter().map(|(change, since)| describe_change(change, *since).0).collect()
            };
            let first = told(&BTreeMap::new());
            prop_assert_eq!(first.len(), 2);
            prop_assert_eq!(&first, &told(&BTreeMap::new()));
            let gone = |at| BTreeMap::from([("refs/heads/new".to_owned(), Timestamp(at))]);
            prop_assert_ne!(&told(&gone(gone_at))[1], &first[1]);
            prop_assert_ne!(&told(&gone(gone_at))[1], &told(&gone(again_at))[1]);
            prop_assert_eq!(&told(&gone(gone_at))[0], &first[0]);
        }
    }
}
