//! One stage of a plan.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Draft, Pipeline};
use crate::model::Milliseconds;
use crate::pipeline::context::{Context, Scope};
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::file::reference::references;
use crate::pipeline::file::stage::builtin::BuiltinUse;
use crate::pipeline::file::stage::{Defaults, Stage, StageWork};
use crate::pipeline::plan::{
    Cache, ContainerWork, Environment, ImageWork, PlannedStage, Program, Resources, Service,
    StageConcurrency, Step, Work,
};
use crate::pipeline::{Expression, Template};

/// An attempt may take this long unless the file says otherwise.
const TIMEOUT: Milliseconds = Milliseconds::from_seconds(3600);

/// More problems than anybody reads.
const MOST_PROBLEMS: usize = 100;

/// A rollout may take this long unless it says otherwise.
const ROLLOUT_TIMEOUT: Milliseconds = Milliseconds::from_seconds(7 * 86_400);

pub(super) fn plan(
    pipeline: &Pipeline,
    draft: Draft<'_>,
    context: &Context,
    problems: &mut Vec<Diagnostic>,
) -> Option<PlannedStage> {
    let stage = draft.stage;
    let matrix: BTreeMap<String, String> = draft.cell.iter().cloned().collect();
    let mut fold = Fold {
        pipeline,
        stage,
        context,
        matrix: &matrix,
        env: BTreeMap::new(),
        is_skipped: draft.is_absent,
        problems,
    };
    fold.is_skipped = fold.is_skipped || fold.condition_is_false();
    let env = fold.environment();
    let concurrency = stage.concurrency.as_ref().map(|it| StageConcurrency {
        group: fold.fold(&it.group).source().to_owned(),
        limit: it.limit,
        order: it.order,
        skip_outdated: it.skip_outdated,
    });
    let environment = stage.environment.as_ref().map(|it| Environment {
        name: fold.fold(&it.name).source().to_owned(),
        settings: fold.json(&it.settings),
    });
    let labels = fold.labels();
    let work = fold.work()?;
    let never = draft.is_absent.then(|| Expression::parse("false").ok()).flatten();
    Some(PlannedStage {
        key: draft.key,
        name: stage.name.clone(),
        needs: draft.needs,
        condition: never.or_else(|| stage.condition.clone()),
        work,
        env,
        secrets: stage.secrets.clone(),
        retry: setting(stage, |it| it.retry.clone()).unwrap_or_default(),
        timeout: timeout_of(stage),
        allow_failure: stage.allow_failure.clone(),
        gates: stage.gates.clone(),
        inputs: stage.inputs.clone(),
        concurrency,
        interruptible: setting(stage, |it| it.interruptible).unwrap_or(true),
        environment,
        labels,
        budget: stage.budget.clone(),
        matrix,
    })
}

/// People and rollouts take their time: the default for commands does not hold for them.
fn timeout_of(stage: &Stage) -> Milliseconds {
    match &stage.work {
        StageWork::Approval(approval) => approval.timeout,
        StageWork::Builtin(BuiltinUse { name: "rollout", .. }) => {
            stage.settings.timeout.unwrap_or(ROLLOUT_TIMEOUT)
        }
        StageWork::Builtin(_) | StageWork::Steps(_) | StageWork::Command(_) => {
            setting(stage, |it| it.timeout).unwrap_or(TIMEOUT)
        }
    }
}

/// The stage's own setting, or the nearest default.
fn setting<T>(stage: &Stage, pick: impl Fn(&Defaults) -> Option<T>) -> Option<T> {
    pick(&stage.settings).or_else(|| stage.defaults.iter().find_map(|it| pick(it)))
}

/// Folds the texts of one stage.
struct Fold<'a> {
    pipeline: &'a Pipeline,
    stage: &'a Stage,
    context: &'a Context,
    matrix: &'a BTreeMap<String, String>,
    /// Variables whose value is known already.
    env: BTreeMap<String, String>,
    /// A stage that will be skipped may have texts without a value.
    is_skipped: bool,
    problems: &'a mut Vec<Diagnostic>,
}

impl Fold<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope {
            context: Some(self.context),
            matrix: Some(self.matrix),
            env: Some(&self.env),
            ..Scope::default()
        }
    }

    /// Whether the condition can be known now, and is false.
    fn condition_is_false(&self) -> bool {
        let Some(condition) = &self.stage.condition else { return false };
        let names = references(condition.source());
        let waits =
            names.iter().any(|it| matches!(it.root.as_str(), "needs" | "always" | "failed"));
        !waits && condition.evaluate(&self.scope()) == Ok(false)
    }

    fn fold(&mut self, template: &Template) -> Template {
        if !template.source().contains("${{") {
            return template.clone();
        }
        match template.fold(&self.scope()) {
            Ok(folded) => folded,
            Err(error) => {
                if !self.is_skipped && self.problems.len() < MOST_PROBLEMS {
                    let problem = self.pipeline.unresolved(Some(self.stage), template, &error);
                    self.problems.push(problem);
                }
                template.clone()
            }
        }
    }

    /// What its worker must have: the stage's own labels, or the nearest defaults.
    fn labels(&mut self) -> BTreeMap<String, String> {
        if matches!(self.stage.work, StageWork::Approval(_)) {
            return BTreeMap::new();
        }
        let labels = setting(self.stage, |it| it.labels.clone()).unwrap_or_default();
        let folded = labels.into_iter().map(|(name, value)| {
            let value = self.fold(&value).source().to_owned();
            (name, value)
        });
        folded.collect()
    }

    fn folds(&mut self, templates: &[Template]) -> Vec<Template> {
        templates.iter().map(|it| self.fold(it)).collect()
    }

    fn map(&mut self, templates: &BTreeMap<String, Template>) -> BTreeMap<String, Template> {
        templates.iter().map(|(name, it)| (name.clone(), self.fold(it))).collect()
    }

    /// Variables of the defaults, outermost first, then the stage's own.
    fn environment(&mut self) -> BTreeMap<String, Template> {
        let stage = self.stage;
        let chain = stage.defaults.iter().rev().map(|it| &it.env).chain([&stage.settings.env]);
        let mut env = BTreeMap::new();
        for variables in chain {
            for (name, value) in self.map(variables) {
                if !value.source().contains("${{") {
                    self.env.insert(name.clone(), value.source().to_owned());
                }
                env.insert(name, value);
            }
        }
        env
    }

    /// Texts anywhere inside of a value.
    fn json(&mut self, value: &Json) -> Json {
        match value {
            Json::String(text) if text.contains("${{") => match Template::parse(text) {
                Ok(template) => Json::from(self.fold(&template).source()),
                Err(_) => value.clone(),
            },
            Json::Array(items) => items.iter().map(|it| self.json(it)).collect(),
            Json::Object(entries) => Json::Object(
                entries.iter().map(|(name, it)| (name.clone(), self.json(it))).collect(),
            ),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
        }
    }

    /// `None` when there is no image, which the check has refused before.
    fn work(&mut self) -> Option<Work> {
        let stage = self.stage;
        Some(match &stage.work {
            StageWork::Steps(steps) => {
                let steps = steps.iter().map(|it| self.step(it)).collect();
                Work::Container(Box::new(self.container(Program::Steps(steps))?))
            }
            StageWork::Command(words) => {
                let program = Program::Command(self.folds(words));
                Work::Container(Box::new(self.container(program)?))
            }
            StageWork::Builtin(BuiltinUse { image: Some(image), .. }) => {
                Work::Image(self.image(image))
            }
            StageWork::Builtin(builtin) => self.builtin(builtin),
            StageWork::Approval(approval) => Work::Approval(approval.clone()),
        })
    }

    fn builtin(&mut self, builtin: &BuiltinUse) -> Work {
        let mut with = self.json(&builtin.with);
        if let (Some(rollout), Some(with)) = (&self.stage.rollout, with.as_object_mut()) {
            with.insert("rollout".to_owned(), rollout.0.clone());
        }
        Work::Builtin { name: builtin.name.to_owned(), with }
    }

    fn image(&mut self, image: &ImageWork) -> ImageWork {
        ImageWork { tags: self.folds(&image.tags), args: self.map(&image.args), ..image.clone() }
    }

    fn step(&mut self, step: &Step) -> Step {
        Step {
            image: step.image.as_ref().map(|it| self.fold(it)),
            env: self.map(&step.env),
            ..step.clone()
        }
    }

    fn container(&mut self, program: Program) -> Option<ContainerWork> {
        let stage = self.stage;
        let image = setting(stage, |it| it.image.clone())?;
        let services = stage.services.iter();
        let services = services.map(|(name, it)| (name.clone(), self.service(it))).collect();
        let caches = stage.caches.iter().map(|it| self.cache(it)).collect();
        Some(ContainerWork {
            image: self.fold(&image),
            pull: setting(stage, |it| it.pull).unwrap_or_default(),
            program,
            user: setting(stage, |it| it.user.clone()),
            read_only: setting(stage, |it| it.read_only).unwrap_or(false),
            network: setting(stage, |it| it.network).unwrap_or_default(),
            resources: Resources {
                cpu_millis: setting(stage, |it| it.resources?.cpu_millis),
                memory_bytes: setting(stage, |it| it.resources?.memory_bytes),
                pids: setting(stage, |it| it.resources?.pids),
            },
            services,
            caches,
            artifacts: stage.artifacts.clone(),
        })
    }

    fn service(&mut self, service: &Service) -> Service {
        Service {
            image: self.fold(&service.image),
            env: self.map(&service.env),
            command: self.folds(&service.command),
            ready: service.ready.clone(),
        }
    }

    fn cache(&mut self, cache: &Cache) -> Cache {
        Cache {
            key: self.fold(&cache.key),
            fallback: self.folds(&cache.fallback),
            paths: cache.paths.clone(),
        }
    }
}
