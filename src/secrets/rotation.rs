//! Rotation of all keys, while everything goes on: a new wrapping key, every data key under it, a new data
//! key, every sealed text under that. Each step can be done again, so another process can go on with it.

use super::envelope::prefix_of;
use super::keys::Wrapped;
use super::{SealError, Sealer, new_id};
use crate::model::{Milliseconds, ProjectId, TeamId, Timestamp};
use crate::store::audit::AuditRow;
use crate::store::sealed::data_keys::DataKeyRow;
use crate::store::sealed::rotations::RotationRow;
use crate::store::sealed::texts::{SEALED_COLUMNS, SealedColumn, SealedText};

/// How long a process that rotates may be silent before another goes on.
const SILENCE: Milliseconds = Milliseconds::from_seconds(120);
/// Texts that are sealed anew at once.
const BATCH: u32 = 100;
/// A rotation every month.
const EVERY: Milliseconds = Milliseconds::from_seconds(30 * 24 * 3600);
/// How long an unused data key is kept: longer than any process seals with it, by far.
const RETIRED_KEPT: Milliseconds = Milliseconds::from_seconds(24 * 3600);

/// What a rotation has done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rotated {
    /// The wrapping key of now.
    pub wrapped_by: String,
    /// The data key of now.
    pub data_key: String,
    /// Texts that were sealed anew.
    pub resealed: u64,
    /// Texts that could not be opened, and were left as they are.
    pub unreadable: u64,
}

/// How the keys stand.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct KeyStatus {
    /// Who wraps new data keys.
    pub provider: String,
    /// The data keys, oldest first.
    pub data_keys: Vec<DataKeyStatus>,
    /// When the last rotation ended.
    #[schema(value_type = Option<i64>)]
    pub rotated_at: Option<Timestamp>,
    /// Whether one is under way.
    pub is_under_way: bool,
}

/// How one data key stands.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct DataKeyStatus {
    /// Its id.
    pub id: String,
    /// Which key wraps it.
    pub wrapped_by: String,
    /// When it was made.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// Since when nothing is sealed with it.
    #[schema(value_type = Option<i64>)]
    pub retired_at: Option<Timestamp>,
    /// Texts sealed with it.
    pub texts: i64,
}

impl Sealer {
    /// Rotates all keys, or goes on with a rotation that was interrupted. `owner` names this process,
    /// `actor` who asked for it.
    pub async fn rotate(&self, owner: &str, actor: &str) -> Result<Rotated, SealError> {
        let mut rotation = self.claim(owner).await?;
        if rotation.wrapped_by.is_empty() {
            rotation.wrapped_by = self.keyring.rotate().await?;
            self.note(&mut rotation).await?;
        }
        self.rewrap_all(&mut rotation).await?;
        if rotation.data_key.is_empty() {
            rotation.data_key = self.new_data_key().await?;
            self.note(&mut rotation).await?;
        }
        let now = self.clock.now();
        self.store.retire_data_keys_but(&rotation.data_key, now).await?;
        self.forget_current();
        let mut rotated = Rotated {
            wrapped_by: rotation.wrapped_by.clone(),
            data_key: rotation.data_key.clone(),
            resealed: 0,
            unreadable: 0,
        };
        for column in SEALED_COLUMNS {
            self.reseal(column, &mut rotation, &mut rotated).await?;
        }
        self.delete_unused().await?;
        rotation.finished_at = self.clock.now();
        self.note(&mut rotation).await?;
        self.tell(actor, &rotated).await?;
        Ok(rotated)
    }

    /// Rotates when the last time is a month ago, or was interrupted. `None`: it is not due, or another
    /// process is at it.
    pub async fn rotate_when_due(&self, owner: &str) -> Result<Option<Rotated>, SealError> {
        if !self.is_due().await? {
            return Ok(None);
        }
        match self.rotate(owner, "system").await {
            Err(SealError::UnderWay) => Ok(None),
            rotated => rotated.map(Some),
        }
    }

    /// How the keys stand.
    pub async fn status(&self) -> Result<KeyStatus, SealError> {
        let mut data_keys = Vec::new();
        for row in self.store.list_data_keys().await? {
            data_keys.push(DataKeyStatus {
                texts: self.store.count_sealed(&prefix_of(&row.id)).await?,
                id: row.id,
                wrapped_by: row.wrapped_by,
                created_at: row.created_at,
                retired_at: row.retired_at,
            });
        }
        let last = self.store.find_last_rotation().await?;
        Ok(KeyStatus {
            provider: self.keyring.primary().as_str().to_owned(),
            data_keys,
            rotated_at: last.as_ref().map(|it| it.finished_at).filter(|it| it.0 > 0),
            is_under_way: last.is_some_and(|it| it.finished_at.0 == 0),
        })
    }

    async fn is_due(&self) -> Result<bool, SealError> {
        let Some(current) = self.store.find_current_data_key().await? else { return Ok(false) };
        let last = self.store.find_last_rotation().await?;
        if last.is_some_and(|it| it.finished_at.0 == 0) {
            return Ok(true);
        }
        Ok(self.clock.now().since(current.created_at) >= EVERY)
    }

    async fn claim(&self, owner: &str) -> Result<RotationRow, SealError> {
        let now = self.clock.now();
        let new = RotationRow {
            id: new_id(now),
            wrapped_by: String::new(),
            data_key: String::new(),
            owner: owner.to_owned(),
            owned_until: now.plus(SILENCE),
            started_at: now,
            finished_at: Timestamp(0),
        };
        self.store.claim_rotation(&new).await?.ok_or(SealError::UnderWay)
    }

    /// Writes down how far it is, which also says that this process lives.
    async fn note(&self, rotation: &mut RotationRow) -> Result<(), SealError> {
        rotation.owned_until = self.clock.now().plus(SILENCE);
        let is_ours = self.store.save_rotation(rotation).await?;
        if is_ours { Ok(()) } else { Err(SealError::UnderWay) }
    }

    async fn rewrap_all(&self, rotation: &mut RotationRow) -> Result<(), SealError> {
        let primary = self.keyring.primary().as_str();
        for row in self.store.list_data_keys().await? {
            if row.provider == primary && row.wrapped_by == rotation.wrapped_by {
                continue;
            }
            let wrapped = Wrapped { by: row.wrapped_by.clone(), text: row.wrapped_key.clone() };
            let fresh = self.keyring.rewrap(&row.provider, &row.id, &wrapped).await?;
            let new = DataKeyRow {
                provider: primary.to_owned(),
                wrapped_by: fresh.by,
                wrapped_key: fresh.text,
                ..row.clone()
            };
            self.store.rewrap_data_key(&row, &new).await?;
            self.note(rotation).await?;
        }
        Ok(())
    }

    async fn reseal(
        &self,
        column: SealedColumn,
        rotation: &mut RotationRow,
        rotated: &mut Rotated,
    ) -> Result<(), SealError> {
        let prefix = prefix_of(&rotation.data_key);
        let mut after = String::new();
        loop {
            let texts = self.store.list_sealed_otherwise(column, (&prefix, &after), BATCH).await?;
            let Some(last) = texts.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for text in &texts {
                self.reseal_text(column, text, rotated).await?;
            }
            self.note(rotation).await?;
        }
    }

    /// A text that nobody can open must not stop the rest; one that was changed meanwhile is new already.
    async fn reseal_text(
        &self,
        column: SealedColumn,
        text: &SealedText,
        rotated: &mut Rotated,
    ) -> Result<(), SealError> {
        match self.sealed_anew(&text.sealed).await {
            Ok(fresh) => {
                let is_replaced = self.store.replace_sealed(column, text, &fresh).await?;
                rotated.resealed += u64::from(is_replaced);
                Ok(())
            }
            Err(error @ (SealError::Changed { .. } | SealError::NoDataKey(_))) => {
                tracing::error!(what = column.what, id = text.id, %error, "it cannot be sealed anew");
                rotated.unreadable += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Only a key that opens nothing any more is removed.
    async fn delete_unused(&self) -> Result<(), SealError> {
        let now = self.clock.now();
        for row in self.store.list_data_keys().await? {
            let is_old = row.retired_at.is_some_and(|it| now.since(it) >= RETIRED_KEPT);
            if is_old && self.store.count_sealed(&prefix_of(&row.id)).await? == 0 {
                self.store.delete_data_key(&row.id).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, actor: &str, rotated: &Rotated) -> Result<(), SealError> {
        let at = self.clock.now();
        let event = AuditRow {
            id: new_id(at),
            at,
            actor: actor.to_owned(),
            address: String::new(),
            action: "key.rotate".to_owned(),
            team: TeamId(String::new()),
            project: ProjectId(String::new()),
            subject: rotated.data_key.clone(),
            detail: serde_json::to_string(rotated).unwrap_or_default(),
        };
        Ok(self.store.insert_audit_events(&[event]).await?)
    }
}
