//! What a stage asks for, and how it gets it.

use crate::model::{FailureClass, StageIndex};
use crate::pipeline::plan::{Program, Work};
use crate::runs::LoadedRun;
use crate::secrets::rules::Reader;
use crate::secrets::{Delivered, SecretRequest, SecretSource};
use crate::worker::attempt::failure::Failure;

/// Refs under which forges show the heads of requests, forks' among them.
const REQUEST_REFS: [&str; 2] = ["refs/pull/", "refs/merge-requests/"];

/// What a stage asks for.
pub(in crate::worker) fn request(loaded: &LoadedRun, stage: StageIndex) -> SecretRequest {
    let request = SecretRequest::of(&loaded.row.id, &loaded.row.project);
    let Some(planned) = loaded.run.plan().stages.get(stage.as_usize()) else { return request };
    SecretRequest {
        stage: planned.key.clone(),
        environment: planned.environment.as_ref().map(|it| it.name.clone()).unwrap_or_default(),
        names: planned.secrets.iter().map(|it| it.name.clone()).collect(),
        reader: reader(loaded, stage),
        ..request
    }
}

fn reader(loaded: &LoadedRun, stage: StageIndex) -> Reader {
    let context = loaded.run.context();
    let git = &context.git;
    let branch = if git.branch.is_empty() { &git.r#ref } else { &git.branch };
    Reader {
        event: context.event.clone(),
        branch: branch.clone(),
        is_fork: may_be_fork(loaded),
        images: images(loaded, stage),
    }
}

/// What cannot be shown to come from the repository itself counts as a fork's.
pub(in crate::worker) fn may_be_fork(loaded: &LoadedRun) -> bool {
    let context = loaded.run.context();
    if let Some(request) = &context.pull_request {
        return request.fork;
    }
    let is_of_request = REQUEST_REFS.iter().any(|it| context.git.r#ref.starts_with(it));
    context.event == "pull_request" || is_of_request
}

/// Every image in which a step of the stage runs. One without a value matches no rule.
fn images(loaded: &LoadedRun, stage: StageIndex) -> Vec<String> {
    let planned = loaded.run.plan().stages.get(stage.as_usize());
    let Some(Work::Container(work)) = planned.map(|it| &it.work) else { return Vec::new() };
    let steps = match &work.program {
        Program::Steps(steps) => steps.as_slice(),
        Program::Command(_) => &[],
    };
    let scope = loaded.run.scope(stage);
    let of_steps = steps.iter().filter_map(|it| it.image.as_ref());
    let all = std::iter::once(&work.image).chain(of_steps);
    all.map(|it| it.resolve(&scope).unwrap_or_default()).collect()
}

/// Asks for them. What is wrong with the pipeline or the rules is the user's, the rest is ours.
pub(in crate::worker) async fn deliver(
    source: &SecretSource,
    request: &SecretRequest,
) -> Result<Delivered, Failure> {
    source.deliver(request).await.map_err(|error| {
        let is_ours = error.is_ours();
        let class = if is_ours { FailureClass::Infra } else { FailureClass::User };
        let help = source.help(&error).map_or(String::new(), |help| format!("\nhelp: {help}"));
        Failure::new(class, format!("{error}{help}"))
    })
}
