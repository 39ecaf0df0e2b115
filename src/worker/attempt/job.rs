//! From a planned stage to what an executor is told: templates resolved, secrets filled in. No I/O.

use std::collections::BTreeMap;

use crate::engine::ArtifactRef;
use crate::executor::spec::{NetworkSpec, ProbeSpec, Pull};
use crate::executor::{CommandSpec, GivenFile, ProgramSpec, ServiceSpec, StepSpec};
use crate::model::{FailureClass, StageIndex};
use crate::pipeline::plan::{
    Artifacts, Cache, ContainerWork, ImageWork, Network, Probe, Program, PullPolicy, Service, Step,
    Work,
};
use crate::pipeline::{Expression, ExpressionError, PlannedStage, Scope, Template};
use crate::runs::LoadedRun;
use crate::secrets::{Delivered, Masker, SecretSource};
use crate::source::Snapshot;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::identity::Issued;
use crate::worker::attempt::models::{self, ModelUse};
use crate::worker::workspace::{Origin, snapshot_of};

/// The part of an attempt that can be known before its needs are done.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Setup {
    pub(in crate::worker) stage: String,
    pub(in crate::worker) program: ProgramSpec,
    pub(in crate::worker) image: String,
    pub(in crate::worker) pull: Pull,
    pub(in crate::worker) services: Vec<ServiceSpec>,
    pub(in crate::worker) network: NetworkSpec,
    /// What it may do at the LLM gateway.
    pub(in crate::worker) models: Option<ModelUse>,
    /// The container's other settings; `None` when there is no container.
    pub(in crate::worker) container: Option<Box<ContainerWork>>,
    pub(in crate::worker) origin: Origin,
    pub(in crate::worker) snapshot: Snapshot,
    pub(in crate::worker) masker: Masker,
}

/// Everything an attempt does.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Job {
    pub(in crate::worker) setup: Setup,
    pub(in crate::worker) task: Task,
    pub(in crate::worker) env: Vec<(String, String)>,
    /// Files beside the workspace.
    pub(in crate::worker) files: Vec<GivenFile>,
    /// The variables its secrets stand in, in their order.
    secret_names: Vec<String>,
    pub(in crate::worker) step_names: Vec<String>,
    pub(in crate::worker) inherited: Vec<ArtifactRef>,
    pub(in crate::worker) caches: Vec<CacheUse>,
    pub(in crate::worker) artifacts: Option<Artifacts>,
}

/// What is done in the workspace.
#[derive(Debug, Clone)]
pub(in crate::worker) enum Task {
    /// Something runs in a container.
    Command(CommandSpec),
    /// An image is built.
    Build { work: ImageWork, tags: Vec<String>, args: Vec<(String, String)> },
}

/// A cache with its keys resolved.
#[derive(Debug, Clone)]
pub(in crate::worker) struct CacheUse {
    pub(in crate::worker) key: String,
    pub(in crate::worker) fallback: Vec<String>,
    pub(in crate::worker) paths: Vec<String>,
}

type Resolved<T> = Result<T, Failure>;

impl Setup {
    /// What can be known now; fails while a part must wait for the results of needs.
    pub(in crate::worker) fn resolve(
        loaded: &LoadedRun,
        stage: StageIndex,
        secrets: &SecretSource,
    ) -> Resolved<Self> {
        let planned = planned(loaded, stage)?;
        let scope = loaded.run.scope(stage);
        let (program, image, pull, services, network, container) = match &planned.work {
            Work::Container(work) => (
                program_of(work, &scope)?,
                text(&work.image, "image", &scope)?,
                pull_of(work.pull),
                services_of(&work.services, &scope)?,
                network_of(work.network),
                Some(work.clone()),
            ),
            Work::Image(_) | Work::Builtin { .. } | Work::Approval(_) => (
                ProgramSpec::Nothing,
                String::new(),
                Pull::Never,
                Vec::new(),
                NetworkSpec::None,
                None,
            ),
        };
        Ok(Self {
            stage: planned.key.clone(),
            models: models::of(loaded, stage, (&program, network))?,
            program,
            image,
            pull,
            services,
            network,
            container,
            origin: Origin::of(loaded),
            snapshot: snapshot_of(loaded),
            masker: Masker::new(secrets.known()),
        })
    }
}

impl Job {
    /// Everything but its secrets; only for a stage whose needs are done.
    pub(in crate::worker) fn resolve(
        loaded: &LoadedRun,
        stage: StageIndex,
        secrets: &SecretSource,
    ) -> Resolved<Self> {
        let setup = Setup::resolve(loaded, stage, secrets)?;
        let planned = planned(loaded, stage)?;
        let scope = loaded.run.scope(stage);
        let mut env = facts(loaded, planned);
        env.extend(pairs(&planned.env, "env", &scope)?);
        let container = setup.container.as_deref();
        let (task, step_names) = task_of(&planned.work, &scope)?;
        Ok(Self {
            task,
            step_names,
            env,
            files: Vec::new(),
            secret_names: planned.secrets.iter().map(|it| it.env.clone()).collect(),
            inherited: inherited(loaded, planned),
            caches: caches_of(container.map_or(&[], |it| &it.caches), &scope)?,
            artifacts: container.and_then(|it| it.artifacts.clone()),
            setup,
        })
    }

    /// Fills in secrets and tokens, which win over `env`, and masks them from now on. Gives all that is
    /// masked.
    pub(in crate::worker) fn add_secrets(
        &mut self,
        delivered: Delivered,
        issued: Issued,
    ) -> Vec<String> {
        let masked: Vec<_> = delivered.masked.iter().chain(&issued.masked).cloned().collect();
        self.setup.masker = Masker::new(masked.iter().map(String::as_str));
        self.env.extend(self.secret_names.iter().cloned().zip(delivered.values));
        self.env.extend(issued.env);
        self.files = issued.files;
        masked
    }
}

fn planned(loaded: &LoadedRun, stage: StageIndex) -> Resolved<&PlannedStage> {
    loaded.run.plan().stages.get(stage.as_usize()).ok_or_else(|| {
        Failure::new(FailureClass::Infra, format!("the plan has no stage {}", stage.0))
    })
}

pub(in crate::worker) fn text(
    template: &Template,
    place: &str,
    scope: &Scope<'_>,
) -> Resolved<String> {
    template.resolve(scope).map_err(|error| unresolved(place, &error))
}

fn unresolved(place: &str, error: &ExpressionError) -> Failure {
    let help = error.help.as_ref().map_or(String::new(), |help| format!("\nhelp: {help}"));
    Failure::user(format!("`{place}` has no value: {error}{help}"))
}

fn pairs(
    templates: &BTreeMap<String, Template>,
    place: &str,
    scope: &Scope<'_>,
) -> Resolved<Vec<(String, String)>> {
    let pair = |(name, value): (&String, &Template)| {
        Ok((name.clone(), text(value, &format!("{place}.{name}"), scope)?))
    };
    templates.iter().map(pair).collect()
}

/// The run's facts as environment variables: the only way event text reaches a shell.
fn facts(loaded: &LoadedRun, planned: &PlannedStage) -> Vec<(String, String)> {
    let context = loaded.run.context();
    let mut facts = vec![
        ("TRUNKLINE_RUN_ID", loaded.row.id.to_string()),
        ("TRUNKLINE_RUN_NUMBER", loaded.row.number.to_string()),
        ("TRUNKLINE_PIPELINE", loaded.row.pipeline.clone()),
        ("TRUNKLINE_STAGE", planned.key.clone()),
        ("TRUNKLINE_EVENT", context.event.clone()),
        ("TRUNKLINE_GIT_SHA", context.git.sha.clone()),
        ("TRUNKLINE_GIT_REF", context.git.r#ref.clone()),
        ("TRUNKLINE_GIT_BRANCH", context.git.branch.clone()),
        ("TRUNKLINE_GIT_TAG", context.git.tag.clone()),
        ("TRUNKLINE_GIT_MESSAGE", context.git.message.clone()),
        ("TRUNKLINE_GIT_AUTHOR", context.git.author.clone()),
    ];
    if let Some(request) = &context.pull_request {
        facts.push(("TRUNKLINE_PULL_REQUEST_NUMBER", request.number.to_string()));
        facts.push(("TRUNKLINE_PULL_REQUEST_TITLE", request.title.clone()));
        facts.push(("TRUNKLINE_PULL_REQUEST_BASE", request.base.clone()));
        facts.push(("TRUNKLINE_PULL_REQUEST_HEAD", request.head.clone()));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn task_of(work: &Work, scope: &Scope<'_>) -> Resolved<(Task, Vec<String>)> {
    match work {
        Work::Container(work) => match &work.program {
            Program::Steps(steps) => {
                let names = steps.iter().map(|it| it.name.clone()).collect();
                let steps = steps.iter().map(|it| step_of(it, scope)).collect::<Resolved<_>>()?;
                Ok((Task::Command(CommandSpec::Steps(steps)), names))
            }
            Program::Command(words) => {
                let words = words.iter().map(|it| text(it, "command", scope));
                let words = words.collect::<Resolved<_>>()?;
                Ok((Task::Command(CommandSpec::Program(words)), Vec::new()))
            }
        },
        Work::Image(work) => {
            let tags = work.tags.iter().map(|it| text(it, "with.tags", scope));
            let task = Task::Build {
                tags: tags.collect::<Resolved<_>>()?,
                args: pairs(&work.args, "with.args", scope)?,
                work: work.clone(),
            };
            Ok((task, Vec::new()))
        }
        Work::Builtin { name, .. } => {
            let message = format!("`builtin/{name}` is not in this version of Trunkline");
            Err(Failure::user(message))
        }
        Work::Approval(_) => {
            Err(Failure::new(FailureClass::Infra, "an approval has nothing to run"))
        }
    }
}

fn step_of(step: &Step, scope: &Scope<'_>) -> Resolved<StepSpec> {
    let place = format!("{}: if", step.name);
    let runs_when = |any_failed: bool| -> Resolved<bool> {
        let Some(condition) = &step.condition else { return Ok(!any_failed) };
        let waits_for_passed = !Expression::overrides_needs(condition);
        if any_failed && waits_for_passed {
            return Ok(false);
        }
        let scope = Scope { any_failed, ..scope.clone() };
        condition.evaluate(&scope).map_err(|error| unresolved(&place, &error))
    };
    Ok(StepSpec {
        run: step.run.clone(),
        env: pairs(&step.env, &format!("{}: env", step.name), scope)?,
        when_passing: runs_when(false)?,
        when_failed: runs_when(true)?,
    })
}

fn program_of(work: &ContainerWork, scope: &Scope<'_>) -> Resolved<ProgramSpec> {
    match &work.program {
        Program::Steps(steps) => {
            let image =
                |step: &Step| step.image.as_ref().map(|it| text(it, "image", scope)).transpose();
            Ok(ProgramSpec::Steps { images: steps.iter().map(image).collect::<Resolved<_>>()? })
        }
        Program::Command(_) => Ok(ProgramSpec::Command),
    }
}

fn services_of(
    services: &BTreeMap<String, Service>,
    scope: &Scope<'_>,
) -> Resolved<Vec<ServiceSpec>> {
    let service = |(name, service): (&String, &Service)| {
        let place = format!("services.{name}");
        let words = service.command.iter().map(|it| text(it, &place, scope));
        Ok(ServiceSpec {
            name: name.clone(),
            image: text(&service.image, &format!("{place}.image"), scope)?,
            env: pairs(&service.env, &format!("{place}.env"), scope)?,
            command: words.collect::<Resolved<_>>()?,
            ready: service.ready.as_ref().map(|it| (probe_of(&it.probe), it.timeout)),
        })
    };
    services.iter().map(service).collect()
}

fn probe_of(probe: &Probe) -> ProbeSpec {
    match probe {
        Probe::Tcp(port) => ProbeSpec::Tcp(*port),
        Probe::Http { port, path } => ProbeSpec::Http { port: *port, path: path.clone() },
        Probe::Exec(words) => ProbeSpec::Exec(words.clone()),
    }
}

fn caches_of(caches: &[Cache], scope: &Scope<'_>) -> Resolved<Vec<CacheUse>> {
    let cache = |cache: &Cache| {
        let fallback = cache.fallback.iter().map(|it| text(it, "cache.fallback", scope));
        Ok(CacheUse {
            key: text(&cache.key, "cache.key", scope)?,
            fallback: fallback.collect::<Resolved<_>>()?,
            paths: cache.paths.clone(),
        })
    };
    caches.iter().map(cache).collect()
}

/// The artifacts of its needs, in the order of the needs.
fn inherited(loaded: &LoadedRun, planned: &PlannedStage) -> Vec<ArtifactRef> {
    let outcomes = planned.needs.iter().filter_map(|need| loaded.run.stage(need.stage)?.outcome());
    outcomes.flat_map(|outcome| outcome.artifacts.iter().cloned()).collect()
}

fn pull_of(pull: PullPolicy) -> Pull {
    match pull {
        PullPolicy::IfMissing => Pull::IfMissing,
        PullPolicy::Always => Pull::Always,
        PullPolicy::Never => Pull::Never,
    }
}

fn network_of(network: Network) -> NetworkSpec {
    match network {
        Network::Full => NetworkSpec::Full,
        Network::Gateway => NetworkSpec::Gateway,
        Network::None => NetworkSpec::None,
    }
}
