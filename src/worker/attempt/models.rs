//! The LLM gateway as an attempt has it: a key, an address, the budgets of the file, and what its calls came
//! to. A stage that a budget has refused is ended.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::AttemptOutcome;
use crate::executor::{
    Door, Executor, ExecutorError, GatewaySpec, NetworkSpec, ProgramSpec, Signal,
};
use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::{Kind, Scope, Subject, Window};
use crate::gateway::budget::{Budget, Mode};
use crate::gateway::keys::OwnCassette;
use crate::gateway::ledger::notes::{NO_KEY, Notes};
use crate::gateway::server::stages::variables::{Told, Variables};
use crate::gateway::server::stages::{Admission, Stages};
use crate::gateway::settings::CassetteMode;
use crate::model::{
    AttemptName, FailureClass, Milliseconds, ProjectId, RunId, StageIndex, UsdNanos,
};
use crate::pipeline::plan::{self, MODEL_CALL_MODES, MODEL_CALLS};
use crate::runs::LoadedRun;
use crate::runs::view::reading::is_of_own_budget;
use crate::secrets::Masker;
use crate::store::StoreError;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::job::{self, Job, Setup};
use crate::worker::attempt::{Attempt, patience::patiently};

/// The largest cassette that is replayed from a revision.
const CASSETTE_BYTES: usize = 64 << 20;
/// How long a stage that is ended for its budget may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// How much longer than its stage a key lasts, should nobody end it.
const KEY_GRACE: Milliseconds = Milliseconds(3_600_000);

/// Whose calls a stage makes, and what they may cost.
#[derive(Debug, Clone)]
pub(in crate::worker) struct ModelUse {
    project: ProjectId,
    /// Team and project are filled in when they are looked up.
    subject: Subject,
    budgets: Vec<Budget>,
    lasts: Milliseconds,
    pipeline: String,
    /// What its cassette is for, in its own words.
    mode: Option<String>,
}

/// What a stage may do at the gateway; nothing without a container or a network. Fails while what its cassette is for
/// must wait for the results of needs.
pub(in crate::worker) fn of(
    loaded: &LoadedRun,
    stage: StageIndex,
    (program, network): (&ProgramSpec, NetworkSpec),
) -> Result<Option<ModelUse>, Failure> {
    if *program == ProgramSpec::Nothing || network == NetworkSpec::None {
        return Ok(None);
    }
    let plan = loaded.run.plan();
    let Some(planned) = plan.stages.get(stage.as_usize()) else { return Ok(None) };
    let (run, number) = (loaded.row.id.to_string(), loaded.row.number);
    let subject = Subject::default()
        .with(Kind::Pipeline, plan.pipeline.as_str())
        .with(Kind::Run, run.as_str())
        .with(Kind::Stage, planned.key.as_str());
    let subject = match &plan.team {
        Some(team) if loaded.row.project.0.is_empty() => subject.with(Kind::Team, team.as_str()),
        Some(_) | None => subject,
    };
    let scope = Scope::default().with(Kind::Run, &run);
    let of_run = plan.budget.as_ref().map(|it| (format!("run #{number}"), scope.clone(), it));
    let of_stage = planned.budget.as_ref().map(|it| {
        let id = format!("stage {} of run #{number}", planned.key);
        (id, scope.with(Kind::Stage, &planned.key), it)
    });
    let variable = planned.env.get(MODEL_CALLS);
    let place = format!("env.{MODEL_CALLS}");
    let mode = variable.map(|it| job::text(it, &place, &loaded.run.scope(stage))).transpose()?;
    Ok(Some(ModelUse {
        project: loaded.row.project.clone(),
        subject,
        budgets: of_run.into_iter().chain(of_stage).map(budget).collect(),
        lasts: Milliseconds(planned.timeout.0.saturating_add(KEY_GRACE.0)),
        pipeline: plan.pipeline.clone(),
        mode: mode.filter(|it| !it.is_empty()),
    }))
}

fn budget((id, scope, budget): (String, Scope, &plan::Budget)) -> Budget {
    let tokens = budget.tokens_per_run.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
    let limit = Limit { money: budget.per_run, tokens, ..Limit::default() };
    let mode = if budget.fail_on_exceed { Mode::Hard } else { Mode::Soft };
    Budget { id, scope, window: Window::Whole, limit, mode }
}

/// Opens the gateway where containers look for it.
#[derive(Debug)]
struct GatewayDoor(Arc<Stages>);

impl Door for GatewayDoor {
    fn open(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(self.0.open_at(address))
    }

    fn port(&self) -> u16 {
        self.0.port()
    }
}

impl<E: Executor> Attempt<E> {
    /// How containers of the attempt find the gateway.
    pub(in crate::worker) fn way_to_gateway(&self, setup: &Setup) -> GatewaySpec {
        match &self.worker.gateway {
            Some(gateway) if setup.models.is_some() => match gateway.host() {
                Some(_) => GatewaySpec::Named,
                None => GatewaySpec::Opened(Arc::new(GatewayDoor(gateway.clone()))),
            },
            Some(_) | None => GatewaySpec::Missing,
        }
    }

    /// Lets the attempt's containers call models: services have the variables from now on, and logs do not
    /// show the key.
    pub(in crate::worker) async fn join_services(
        &self,
        mut setup: Setup,
    ) -> Result<Setup, Failure> {
        let known = self.worker.parts.secrets.known().map(str::to_owned).collect();
        self.join(&mut setup, known).await?;
        Ok(setup)
    }

    /// Likewise for its steps.
    pub(in crate::worker) async fn join_gateway(
        &self,
        job: &mut Job,
        masked: Vec<String>,
    ) -> Result<Option<Notes>, Failure> {
        let Some((variables, notes)) = self.join(&mut job.setup, masked).await? else {
            return Ok(None);
        };
        variables.add_to(&mut job.env);
        Ok(Some(notes))
    }

    async fn join(
        &self,
        setup: &mut Setup,
        masked: Vec<String>,
    ) -> Result<Option<(Variables, Notes)>, Failure> {
        let (Some(gateway), Some(models)) = (&self.worker.gateway, &setup.models) else {
            return Ok(None);
        };
        let cassette = match gateway.cassette_of(&self.name) {
            Some(cassette) => cassette,
            None => self.cassette(gateway, (setup, models)).await?,
        };
        let subject = self.subject(models).await;
        let admission = Admission {
            attempt: self.name.clone(),
            subject: subject.map_err(|error| Failure::infra("reading the project", &error))?,
            budgets: models.budgets.clone(),
            expires: self.worker.parts.clock.now().plus(models.lasts),
            cassette,
        };
        let notes = gateway.admit(&admission).await;
        let notes = notes.map_err(|error| Failure::infra("giving the stage its key", &error))?;
        let own = self.worker.parts.executor.host_of_engine();
        let told = Told { pipeline: &models.pipeline, stage: &setup.stage };
        let host = gateway.host().unwrap_or(own);
        let variables = gateway.variables(&self.name, (host, &told));
        for service in &mut setup.services {
            variables.of_service(&service.name).add_to(&mut service.env);
        }
        let masked = masked.iter().chain([&variables.key]);
        setup.masker = Masker::new(masked.map(String::as_str));
        Ok(Some((variables, notes)))
    }

    /// The cassette of the stage. Recordings go into a person's working tree, and what is replayed is of the
    /// revision that runs; a server has nowhere to record to.
    async fn cassette(
        &self,
        gateway: &Stages,
        (setup, models): (&Setup, &ModelUse),
    ) -> Result<OwnCassette, Failure> {
        let mode = match &models.mode {
            Some(word) => CassetteMode::of_word(word).ok_or_else(|| {
                let words = MODEL_CALL_MODES.join("`, `");
                Failure::user(format!(
                    "`{MODEL_CALLS}` is `{word}`, and can be `{words}`\n\
                     help: it stands in `env` of the stage, or of `defaults`"
                ))
            })?,
            None => gateway.model_calls(),
        };
        let is_local = models.project.0.is_empty();
        let mode =
            if mode == CassetteMode::Record && !is_local { CassetteMode::Live } else { mode };
        if mode == CassetteMode::Live {
            return Ok(OwnCassette { mode, cassette: None });
        }
        let folder = gateway.cassettes().ok_or_else(|| {
            Failure::user(
                "model calls are to be recorded or replayed, and there is no folder for cassettes\n\
                 help: set `stages.cassettes` in the gateway's file, such as `cassettes = \"cassettes\"`",
            )
        })?;
        let path = format!("{folder}/{}/{}.jsonl", models.pipeline, file_name(&setup.stage));
        let opened = if mode == CassetteMode::Replay || !is_local {
            let read = self.worker.read_file((&setup.origin, &setup.snapshot), path.clone()).await;
            let text = read.map_err(|error| Failure::infra("reading the cassette", &error))?;
            let text = text.map_or(Ok(String::new()), |it| text_of(&path, &it))?;
            gateway.open_cassette(PathBuf::from(path), Some(&text))
        } else {
            gateway.open_cassette(setup.origin.repository.join(path), None)
        };
        let cassette = opened.map_err(|error| Failure::user(error.to_string()))?;
        Ok(OwnCassette { mode, cassette: Some(cassette) })
    }

    async fn subject(&self, models: &ModelUse) -> Result<Subject, StoreError> {
        if models.project.0.is_empty() {
            return Ok(models.subject.clone());
        }
        let found = self.worker.parts.runs.store().find_project(&models.project).await?;
        let subject = models.subject.clone();
        Ok(match found {
            Some(project) => subject
                .with(Kind::Project, format!("{}/{}", project.team_name, project.name))
                .with(Kind::Team, project.team_name),
            None => subject,
        })
    }

    /// Ends the attempt's containers once a budget has refused a call; never ends itself.
    pub(in crate::worker) async fn end_when_refused(&self, notes: Option<&Notes>) {
        let Some(notes) = notes else { return std::future::pending().await };
        notes.wait_for_budget().await;
        for signal in [Signal::Terminate, Signal::Kill] {
            let executor = &self.worker.parts.executor;
            let sent: Result<(), ExecutorError> =
                patiently(|| executor.signal(&self.name, signal)).await;
            if let Err(error) = sent {
                tracing::warn!(attempt = %self.name, %error, "the signal did not arrive");
            }
            tokio::time::sleep(GRACE).await;
        }
        std::future::pending::<()>().await;
    }

    /// What the calls came to becomes part of the outcome: metrics, and why it failed. The containers have ended, however
    /// they did, so what they have under way is stopped and settled before it is summed up.
    pub(in crate::worker) async fn leave_gateway(
        &self,
        notes: Option<&Notes>,
        outcome: &mut AttemptOutcome,
    ) {
        let Some(gateway) = &self.worker.gateway else { return };
        gateway.close_key(&self.name).await;
        if let Some(notes) = notes {
            account(notes, &self.name.run, outcome);
            match gateway.exceeded(&self.name).await {
                Ok(exceeded) => outcome.warnings.extend(exceeded),
                Err(error) => tracing::warn!(%error, "the budgets of a run cannot be looked up"),
            }
        }
        gateway.end(&self.name).await;
    }
}

fn text_of(path: &str, bytes: &[u8]) -> Result<String, Failure> {
    if bytes.len() > CASSETTE_BYTES {
        let mib = CASSETTE_BYTES >> 20;
        return Err(Failure::user(format!("the cassette `{path}` is larger than {mib} MiB")));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// A stage's key as part of a path: `unit (3.12, a)` becomes `unit-3.12-a`.
fn file_name(key: &str) -> String {
    let is_kept = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.');
    let parts = key.split(|it: char| !is_kept(it)).filter(|it| !it.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

fn account(notes: &Notes, run: &RunId, outcome: &mut AttemptOutcome) {
    let sum = notes.sum();
    let usd = |it: UsdNanos| number(it.0.unsigned_abs()) / number(UsdNanos::PER_USD.unsigned_abs());
    if sum.reports > 0 {
        let metrics =
            [("usage_reports", number(sum.reports)), ("usage_cost_usd", usd(sum.reported))];
        outcome.metrics.extend(metrics.map(|(name, value)| (name.to_owned(), value)));
    }
    if sum.calls > 0 {
        let metrics = [
            ("llm_calls", number(sum.calls)),
            ("llm_input_tokens", number(sum.input_tokens)),
            ("llm_output_tokens", number(sum.output_tokens)),
            ("llm_cost_usd", usd(sum.cost)),
            ("llm_avoided_usd", usd(sum.avoided)),
        ];
        outcome.metrics.extend(metrics.map(|(name, value)| (name.to_owned(), value)));
    }
    if let Some(refusal) = notes.refused_by_budget() {
        let is_ours =
            matches!(outcome.class, Some(FailureClass::Cancelled | FailureClass::Timeout));
        if !is_ours {
            outcome.class = Some(FailureClass::Budget);
            outcome.is_final = true;
            let spend = format!("trunkline spend --run {run} --by stage");
            let way = if is_of_own_budget(&refusal) {
                "raise the `budget` in the pipeline, or call less, and start a new run: a re-run keeps the plan and what \
                 is used"
            } else {
                "raise the budget, or call less"
            };
            outcome.message = format!(
                "{refusal}\nhelp: `{spend}` says what each stage spent, and what processes may have spent that \
                 died; {way}"
            );
        }
        return;
    }
    if outcome.is_passed() {
        return;
    }
    tell_forbidden(&notes.forbidden(), outcome);
    let (misses, more) = notes.misses();
    for miss in misses {
        outcome.message.push('\n');
        outcome.message.push_str(&miss);
    }
    if more > 0 {
        outcome.message.push_str(&format!("\n{more} more calls were not recorded"));
    }
}

/// Adds why calls of a failed attempt were forbidden, and how a key comes to be there that is not.
fn tell_forbidden(reasons: &[String], outcome: &mut AttemptOutcome) {
    for reason in reasons {
        outcome.message.push_str("\na model call was refused: ");
        outcome.message.push_str(reason);
    }
    if reasons.iter().any(|it| it.starts_with(NO_KEY)) {
        outcome.message.push_str(
            "\nhelp: set the variable where the gateway runs and start that again: in the environment of `trunkline \
             serve` and `trunkline worker`, or of `trunkline run`; a gateway's file of the repository gets it by \
             `--secret`. Then run the stage again",
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point numbers")]
fn number(it: u64) -> f64 {
    it as f64
}

/// Says to a stage that asks for nothing but the gateway that there is none.
pub(in crate::worker) fn say_missing(
    name: &AttemptName,
    network: NetworkSpec,
    say: &(dyn Fn(String) + Send + Sync),
) {
    if network == NetworkSpec::Gateway {
        tracing::debug!(attempt = %name, "`network: gateway` without a gateway");
        say("no LLM gateway is set up here, so the stage reaches nothing but its own services; \
             docs/gateway.md says how to set one up"
            .to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::refusal::Refusal;

    #[test]
    fn what_a_budget_refused_names_the_sums_that_it_goes_by() {
        let (notes, run) = (Notes::default(), RunId("r1".to_owned()));
        let (budget, message) = ("b".to_owned(), "0.001431 USD are used".to_owned());
        notes.refuse(&Refusal::Budget { budget, message });
        let mut outcome = AttemptOutcome::default();
        account(&notes, &run, &mut outcome);
        assert_eq!(outcome.class, Some(FailureClass::Budget));
        let start = "0.001431 USD are used\nhelp: `trunkline spend --run r1 --by stage` says ";
        assert!(outcome.message.starts_with(start), "{}", outcome.message);
        assert!(outcome.message.ends_with("raise the budget, or call less"), "{}", outcome.message);
        for id in ["run #7", "stage eval of run #7"] {
            let (notes, mut outcome) = (Notes::default(), AttemptOutcome::default());
            let (budget, message) = (id.to_owned(), format!("the budget `{id}` has 1.00 USD"));
            notes.refuse(&Refusal::Budget { budget, message });
            account(&notes, &run, &mut outcome);
            assert!(outcome.message.contains("and start a new run"), "{}", outcome.message);
        }
    }

    #[test]
    fn a_call_without_a_key_tells_a_failed_stage_the_variable_and_what_to_do() {
        let (notes, run) = (Notes::default(), RunId("r1".to_owned()));
        let reason = format!("{NO_KEY} `p`: `FAKE_KEY` is not set");
        for reason in [reason.clone(), reason.clone(), "no price".to_owned()] {
            notes.refuse(&Refusal::Forbidden(reason));
        }
        let mut passed = AttemptOutcome::default();
        account(&notes, &run, &mut passed);
        assert_eq!(passed.message, "");
        let mut failed = AttemptOutcome::failed(FailureClass::User, "403 Forbidden");
        account(&notes, &run, &mut failed);
        let said = format!(
            "403 Forbidden\na model call was refused: {reason}\na model call was refused: no price\nhelp: set the \
             variable where the gateway runs"
        );
        assert!(failed.message.starts_with(&said), "{}", failed.message);
    }

    #[test]
    fn each_mode_that_a_stage_may_name_is_one_of_cassettes() {
        for word in MODEL_CALL_MODES {
            assert!(CassetteMode::of_word(word).is_some(), "{word}");
        }
    }

    #[test]
    fn the_key_of_a_stage_becomes_the_name_of_a_file() {
        for (key, name) in [
            ("eval", "eval"),
            ("unit (3.12, a)", "unit-3.12-a"),
            ("unit (../x)", "unit-..-x"),
            ("a_b-c", "a_b-c"),
        ] {
            assert_eq!(file_name(key), name);
        }
    }
}
