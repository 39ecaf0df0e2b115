//! Fills a repository with many files whose content cannot be compressed, and tells how long a run took
//! to its first step.

use trunkline::engine::Event;
use trunkline::model::Milliseconds;
use trunkline::runs::LoadedRun;
use trunkline::store::Store;

use crate::bench::{Bench, block_on};

/// How large a repository is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Bytes of all files together.
    pub bytes: usize,
    /// Files.
    pub files: usize,
}

impl Size {
    /// A file for every 50 kB.
    pub(crate) fn megabytes(megabytes: usize) -> Self {
        Self { bytes: megabytes * 1_000_000, files: megabytes * 20 }
    }

    /// Bytes of each file.
    pub(crate) fn file_bytes(self) -> usize {
        self.bytes / self.files
    }
}

/// Commits files `folder-<0 to 99>/file-<nth>`.
pub(crate) fn fill(bench: &Bench, size: Size) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut content = vec![0; size.file_bytes()];
    for nth in 0..size.files {
        let folder = bench.repository().join(format!("folder-{}", nth % 100));
        std::fs::create_dir_all(&folder).unwrap();
        random.fill(&mut content);
        std::fs::write(folder.join(format!("file-{nth}")), &content).unwrap();
    }
    bench.git(&["-c", "core.compression=0", "add", "--all"]);
    bench.git(&["commit", "-q", "-m", "large"]);
}

/// From the run's creation to its first step.
pub(crate) fn time_to_first_step(bench: &Bench, run: &LoadedRun) -> Milliseconds {
    let url = format!("sqlite:{}", bench.state().join("state.db").display());
    let events = block_on(async {
        Store::open(&url).await.unwrap().list_events(&run.row.id, 0).await.unwrap()
    });
    let first = events.iter().find(|it| matches!(it.event, Event::StepStarted { .. }));
    first.unwrap().at.since(run.row.created_at)
}
