//! A database with a team and a project, and what seals for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;
use trunkline::model::{Clock, ForgeKind, ProjectId, TeamId, Timestamp};
use trunkline::secrets::keys::{KeyFile, KeyProvider};
use trunkline::secrets::rules::Rules;
use trunkline::secrets::team::Author;
use trunkline::secrets::{Keyring, Sealer, TeamSecrets};
use trunkline::store::Store;
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::sealed::secrets::SecretPlace;
use trunkline::worker::SystemClock;

/// The time of this machine, moved ahead by tests.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    pub(crate) fn by_days(&self, days: i64) {
        self.0.fetch_add(days * 24 * 3_600_000, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<Ahead>,
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) secrets: TeamSecrets,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::open(&folder.path().join("secret.keys")).unwrap();
        Self::with(folder, Keyring::new(KeyProvider::File(file), Vec::new())).await
    }

    pub(crate) async fn with(folder: TempDir, keyring: Keyring) -> Self {
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        let store = Store::open(&url).await.unwrap();
        let clock = Arc::new(Ahead::default());
        let sealer = Sealer::new(store.clone(), keyring, clock.clone());
        let secrets = TeamSecrets::new(store.clone(), sealer.clone(), clock.clone());
        let place = Self { folder, clock, store, sealer, secrets };
        for (team, project) in [("shop", "web"), ("bank", "app")] {
            place.add(team, project).await;
        }
        place
    }

    async fn add(&self, team: &str, project: &str) {
        let (id, name) = (TeamId(format!("t-{team}")), team.to_owned());
        let title = name.clone();
        let row = TeamRow { id: id.clone(), name, title, weight: 1, created_at: Timestamp(1) };
        self.store.insert_team(&row).await.unwrap();
        let row = ProjectRow {
            id: ProjectId(format!("p-{project}")),
            team: id,
            team_name: team.to_owned(),
            name: project.to_owned(),
            address: "https://example.com/x.git".to_owned(),
            forge: ForgeKind::Git,
            forge_url: String::new(),
            forge_path: String::new(),
            default_branch: "main".to_owned(),
            priority: 0,
            poll_seconds: 0,
            created_at: Timestamp(1),
            archived_at: None,
        };
        self.store.insert_project(&row).await.unwrap();
    }

    /// Sets `TOKEN` of the team `shop`, or of its project or an environment.
    pub(crate) async fn set(&self, (project, environment): (&str, &str), value: &str) {
        self.set_with((project, environment), (value, &Rules::default())).await;
    }

    pub(crate) async fn set_with(
        &self,
        (project, environment): (&str, &str),
        value: (&str, &Rules),
    ) {
        let place = SecretPlace {
            team: TeamId("t-shop".to_owned()),
            project: ProjectId(project.to_owned()),
            environment: environment.to_owned(),
            name: "TOKEN".to_owned(),
        };
        let author = Author { login: "ada".to_owned(), address: String::new() };
        self.secrets.save(place, value, &author).await.unwrap();
    }
}
