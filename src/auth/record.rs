//! What of sign-in stands in the audit log. A try is bounded by the lock-out, so the log is too.

use crate::auth::lockout::Subject;
use crate::auth::{Auth, AuthError};
use crate::model::{ProjectId, TeamId};
use crate::secrets::new_id;
use crate::store::StoreError;
use crate::store::audit::AuditRow;

/// Who is not known.
const NOBODY: &str = "nobody";

impl Auth {
    /// Somebody has signed in.
    pub(super) async fn note_begun(
        &self,
        login: &str,
        (session, address): (&str, &str),
    ) -> Result<(), AuthError> {
        let subject = format!("session {session}");
        Ok(self.note(&format!("person:{login}"), address, ("session.begin", &subject)).await?)
    }

    /// Somebody has not proved who they are; and from now on has to wait, if that was once too often. A login
    /// that nobody has is not written down: people type passwords there.
    pub(super) async fn note_refused(&self, login: &str, address: &str) -> Result<(), AuthError> {
        let known = self.store.find_person(login).await?;
        let subject = known.map_or_else(|| "an unknown login".to_owned(), |it| it.login);
        self.note(NOBODY, address, ("session.refuse", &subject)).await?;
        let subjects = [Subject::Login(login), Subject::Address(address)];
        for (kind, tried) in ["login", "address"].into_iter().zip(subjects) {
            if self.is_locked(&tried).await? {
                let subject = match tried {
                    Subject::Login(_) | Subject::Own(_) => format!("{kind} {subject}"),
                    Subject::Address(address) => format!("{kind} {address}"),
                };
                self.note(NOBODY, address, ("session.lock", &subject)).await?;
            }
        }
        Ok(())
    }

    /// A provider, or what it has sent, does not prove who somebody is.
    pub(super) async fn note_unproven_at(
        &self,
        provider: &str,
        address: &str,
    ) -> Result<(), AuthError> {
        Ok(self.note(NOBODY, address, ("session.refuse", provider)).await?)
    }

    /// The first owner was made.
    pub(super) async fn note_set_up(&self, login: &str) -> Result<(), StoreError> {
        let actor = format!("person:{login}");
        self.note(&actor, "", ("server.set_up", login)).await
    }

    async fn note(
        &self,
        actor: &str,
        address: &str,
        (action, subject): (&str, &str),
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let row = AuditRow {
            id: new_id(now),
            at: now,
            actor: actor.to_owned(),
            address: address.to_owned(),
            action: action.to_owned(),
            team: TeamId(String::new()),
            project: ProjectId(String::new()),
            subject: subject.to_owned(),
            detail: "{}".to_owned(),
        };
        self.store.insert_audit_events(&[row]).await
    }
}
