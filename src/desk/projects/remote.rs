//! What is known of a project's remote: how the last look at it ended, its branches, and whether the newest
//! commit of its trunk could be read.

use crate::http::{App, Problem};
use crate::model::Timestamp;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::looks::Look;

/// Branches that are named.
const BRANCHES_MAX: usize = 10;
/// How the outcome of a delivery tells of a pipeline that cannot be planned.
const UNREADABLE: &str = "cannot be read:\n";

/// What is known of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteState {
    /// When the last look at it ended, if there was one.
    pub looked_at: Option<Timestamp>,
    /// What is wrong, as sentences; nothing if nothing is.
    pub trouble: Option<String>,
    /// Its branches, as far as they are shown, and how many more there are.
    pub branches: (Vec<String>, usize),
}

/// Why the newest commit of a trunk could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenTrunk {
    /// The commit.
    pub commit: String,
    /// The file, or empty: then the diagnostic has the name of the pipeline.
    pub file: String,
    /// The first diagnostic, as a terminal shows it.
    pub problem: String,
    /// The delivery that has told of the commit, or empty.
    pub delivery: String,
}

impl BrokenTrunk {
    /// What is wrong with the trunk, if something is.
    #[must_use]
    pub fn of(look: &Look) -> Option<Self> {
        if look.revision.is_empty() {
            return None;
        }
        let told = |file: &str, problem: &str| Self {
            commit: look.revision.clone(),
            file: file.to_owned(),
            problem: problem.to_owned(),
            delivery: look.delivery.clone(),
        };
        let reading = look.trunk.as_ref();
        if let Some(first) = reading.and_then(|it| it.broken.first()) {
            return Some(told(&first.file, &first.problem));
        }
        // It can be read, and not be planned for this commit.
        let failure = look.failure.as_ref().filter(|it| it.contains(UNREADABLE))?;
        Some(told("", failure))
    }
}

/// What is known of the remote of a project and of its trunk.
pub async fn find(app: &App, project: &ProjectRow) -> Result<(RemoteState, Option<Look>), Problem> {
    let looks = app.store.list_looks(std::slice::from_ref(&project.id)).await?;
    let look = looks.into_iter().next();
    let refs = app.store.list_known_refs(&project.id).await?;
    let names = refs.iter().filter_map(|it| it.name.strip_prefix("refs/heads/"));
    let all: Vec<String> = names.map(str::to_owned).collect();
    let trouble = look.as_ref().and_then(|it| trouble(it, &project.default_branch, &all));
    let more = all.len().saturating_sub(BRANCHES_MAX);
    let branches = (all.into_iter().take(BRANCHES_MAX).collect(), more);
    let looked_at = look.as_ref().and_then(|it| it.looked_at);
    Ok((RemoteState { looked_at, trouble, branches }, look))
}

fn trouble(look: &Look, trunk: &str, branches: &[String]) -> Option<String> {
    if !look.error.is_empty() {
        return Some(format!(
            "The repository could not be read: {}.",
            look.error.trim_end_matches('.')
        ));
    }
    look.looked_at?;
    if branches.is_empty() {
        return Some("The repository is empty: it has no branch yet.".to_owned());
    }
    let is_there = branches.iter().any(|it| it == trunk);
    (!is_there).then(|| format!("The repository has no branch `{trunk}`, which is the trunk here."))
}
