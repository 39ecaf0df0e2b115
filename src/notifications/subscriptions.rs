//! Who is told what: making, changing and removing subscriptions. Addresses and secrets are sealed, and not
//! shown again.

use super::Notifications;
use super::notice::EventKind;
use crate::model::{Milliseconds, ProjectId, TeamId, Timestamp};
use crate::outgoing::OutgoingError;
use crate::secrets::{SealError, signature};
use crate::store::StoreError;
use crate::store::audit::AuditRow;
use crate::store::intake::subscriptions::SubscriptionRow;

/// Subscriptions of one team.
const SUBSCRIPTIONS_MAX: usize = 100;
const BRANCHES_MAX: usize = 50;
const TARGET_BYTES_MAX: usize = 2000;
/// How long a former secret signs beside the new one.
const FORMER_SECRET: Milliseconds = Milliseconds::from_seconds(24 * 3600);

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, signed.
    Webhook,
    /// An incoming webhook of Slack, or of what speaks like it.
    Slack,
    /// A letter.
    Mail,
}

/// A subscription to make.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Whose.
    pub team: TeamId,
    /// Which project; empty for every project of the team.
    pub project: ProjectId,
    /// How it is told.
    pub form: Form,
    /// An address of the web or of mail.
    pub target: String,
    /// What is told.
    pub events: Vec<EventKind>,
    /// Globs of branches; none for all.
    pub branches: Vec<String>,
    /// Who makes it.
    pub author: String,
}

/// What changes; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionChange {
    /// What is told.
    pub events: Option<Vec<EventKind>>,
    /// Globs of branches.
    pub branches: Option<Vec<String>>,
    /// Whether something is sent.
    pub is_enabled: Option<bool>,
    /// Who changes it.
    pub author: String,
}

/// Why a subscription cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// It cannot be so; the sentence says why.
    #[error("{0}")]
    Invalid(String),
    /// The address may not be called.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Webhook, Self::Slack, Self::Mail];

    /// The word in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Mail => "mail",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

impl Notifications {
    /// Makes a subscription; gives its row, and the secret that webhooks are signed with, which is not shown
    /// again.
    pub async fn subscribe(
        &self,
        new: NewSubscription,
    ) -> Result<(SubscriptionRow, Option<String>), SubscriptionError> {
        check_words(&new.events, &new.branches)?;
        let shown_target = self.check_target(new.form, &new.target)?;
        if self.store().list_subscriptions(&new.team).await?.len() >= SUBSCRIPTIONS_MAX {
            let reason = format!("a team has at most {SUBSCRIPTIONS_MAX} subscriptions");
            return Err(SubscriptionError::Invalid(reason));
        }
        let secret = (new.form == Form::Webhook).then(signature::new_secret);
        let author = new.author.clone();
        let row = self.new_row(new, (shown_target, secret.as_deref())).await?;
        self.store().insert_subscription(&row).await?;
        self.note("subscription.create", &row, &author).await?;
        Ok((row, secret))
    }

    async fn new_row(
        &self,
        new: NewSubscription,
        (shown_target, secret): (String, Option<&str>),
    ) -> Result<SubscriptionRow, SealError> {
        let now = self.now();
        let id = crate::secrets::new_id(now);
        let sealer = &self.parts.sealer;
        Ok(SubscriptionRow {
            target: sealer.seal(&purpose(&id, "target"), &new.target).await?,
            shown_target,
            events: words(&new.events),
            branches: serde_json::json!(new.branches).to_string(),
            secret: match secret {
                Some(secret) => sealer.seal(&purpose(&id, "secret"), secret).await?,
                None => String::new(),
            },
            former_secret: String::new(),
            former_until: Timestamp(0),
            failures: 0,
            disabled_at: None,
            disabled_reason: String::new(),
            team: new.team,
            project: new.project,
            form: new.form.as_str().to_owned(),
            created_by: new.author,
            created_at: now,
            id,
        })
    }

    /// Changes a subscription.
    pub async fn change_subscription(
        &self,
        mut row: SubscriptionRow,
        change: SubscriptionChange,
    ) -> Result<SubscriptionRow, SubscriptionError> {
        let empty = (Vec::new(), vec![EventKind::Test]);
        let branches = change.branches.as_ref().unwrap_or(&empty.0);
        check_words(change.events.as_ref().unwrap_or(&empty.1), branches)?;
        if let Some(events) = &change.events {
            row.events = words(events);
        }
        if let Some(branches) = &change.branches {
            row.branches = serde_json::json!(branches).to_string();
        }
        match change.is_enabled {
            Some(true) => {
                (row.disabled_at, row.failures) = (None, 0);
                row.disabled_reason = String::new();
            }
            Some(false) if row.disabled_at.is_none() => {
                row.disabled_at = Some(self.now());
                row.disabled_reason = format!("by {}", change.author);
            }
            Some(false) | None => (),
        }
        self.store().save_subscription(&row).await?;
        self.note("subscription.change", &row, &change.author).await?;
        Ok(row)
    }

    /// Makes a new secret; for a day the one before signs too.
    pub async fn rotate_subscription_secret(
        &self,
        mut row: SubscriptionRow,
        author: &str,
    ) -> Result<String, SubscriptionError> {
        if row.form != Form::Webhook.as_str() {
            let reason = format!("a subscription of the form `{}` signs nothing", row.form);
            return Err(SubscriptionError::Invalid(reason));
        }
        let secret = signature::new_secret();
        // The purpose is the same, so the former one opens as before.
        let sealed = self.parts.sealer.seal(&purpose(&row.id, "secret"), &secret).await?;
        row.former_secret = std::mem::replace(&mut row.secret, sealed);
        row.former_until = self.now().plus(FORMER_SECRET);
        self.store().save_subscription(&row).await?;
        self.note("subscription.rotate", &row, author).await?;
        Ok(secret)
    }

    /// Removes a subscription.
    pub async fn unsubscribe(
        &self,
        row: &SubscriptionRow,
        author: &str,
    ) -> Result<(), SubscriptionError> {
        self.store().delete_subscription(&row.id).await?;
        self.note("subscription.delete", row, author).await
    }

    /// What webhooks are signed with now: the newest secret first.
    pub(super) async fn secrets_of(&self, row: &SubscriptionRow) -> Result<Vec<String>, SealError> {
        let mut secrets = Vec::new();
        let former = Some(&row.former_secret).filter(|_| row.former_until > self.now());
        for sealed in [Some(&row.secret), former].into_iter().flatten() {
            if !sealed.is_empty() {
                secrets.push(self.parts.sealer.open(&purpose(&row.id, "secret"), sealed).await?);
            }
        }
        Ok(secrets)
    }

    pub(super) async fn target_of(&self, row: &SubscriptionRow) -> Result<String, SealError> {
        self.parts.sealer.open(&purpose(&row.id, "target"), &row.target).await
    }

    /// Whether something can be sent there; gives what people see of it.
    fn check_target(&self, form: Form, target: &str) -> Result<String, SubscriptionError> {
        if target.len() > TARGET_BYTES_MAX {
            let reason = format!("`target` has more than {TARGET_BYTES_MAX} bytes");
            return Err(SubscriptionError::Invalid(reason));
        }
        if form == Form::Mail {
            if self.parts.mailer.is_none() {
                let reason = "this server sends no mail: `TRUNKLINE_SMTP_URL` is not set";
                return Err(SubscriptionError::Invalid(reason.to_owned()));
            }
            return super::mail::check_address(target).map_err(SubscriptionError::Invalid);
        }
        let url = self.parts.outgoing.admit(target)?;
        Ok(url.host_str().unwrap_or_default().to_owned())
    }

    pub(super) async fn note(
        &self,
        action: &str,
        row: &SubscriptionRow,
        author: &str,
    ) -> Result<(), SubscriptionError> {
        let at = self.now();
        let detail = serde_json::json!({
            "form": row.form, "target": row.shown_target, "reason": row.disabled_reason,
        });
        let event = AuditRow {
            id: crate::secrets::new_id(at),
            at,
            actor: if author.is_empty() { "system".to_owned() } else { format!("person:{author}") },
            address: String::new(),
            action: action.to_owned(),
            team: row.team.clone(),
            project: row.project.clone(),
            subject: row.id.clone(),
            detail: detail.to_string(),
        };
        Ok(self.store().insert_audit_events(&[event]).await?)
    }
}

fn check_words(events: &[EventKind], branches: &[String]) -> Result<(), SubscriptionError> {
    let invalid = |reason: &str| Err(SubscriptionError::Invalid(reason.to_owned()));
    if events.is_empty() {
        return invalid("`events` is empty, so nothing would ever be told");
    }
    if branches.len() > BRANCHES_MAX || branches.iter().any(|it| it.len() > 200 || it.is_empty()) {
        return invalid("`branches` has at most 50 globs of 1 to 200 bytes");
    }
    Ok(())
}

fn words(events: &[EventKind]) -> String {
    serde_json::json!(events).to_string()
}

fn purpose(id: &str, what: &str) -> String {
    format!("subscription/{id}/{what}")
}
