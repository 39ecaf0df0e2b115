//! `trunkline graph`: the stages of a pipeline and what waits for what.

use std::path::{Path, PathBuf};

use crate::cli::failure::{Exit, Usage};
use crate::cli::local::include::Freshness;
use crate::cli::local::{facts, pipeline_file};
use crate::cli::remote::Remote;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::pipeline::graph::{Graph, Stage};
use crate::pipeline::{Plan, Selection};
use crate::source::Repository;

/// Arguments of `trunkline graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline graph
  trunkline graph ci --svg ci.svg
  trunkline graph --event pull_request --svg - | display
  trunkline graph --run 12 --server ci.example.org    of a run of a server")]
pub struct GraphArgs {
    /// Name of a pipeline, or path of its file [default: the only one there is]
    pub pipeline: Option<String>,
    /// Draw an SVG into this file (`-` for standard output)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The graph of a run instead: `last`, its number, or the beginning of its id
    #[arg(long, value_name = "RUN", conflicts_with = "pipeline")]
    pub run: Option<String>,
    /// The facts it is planned for.
    #[command(flatten)]
    pub facts: facts::FactArgs,
}

/// Shows the graph.
pub async fn execute(session: &Session, args: &GraphArgs) -> anyhow::Result<Exit> {
    let remote = Remote::chosen(session)?;
    let plan = match (&args.run, &remote) {
        (Some(run), Some(remote)) => return of_server(session, (remote, run), args).await,
        (Some(run), None) => {
            let state = State::open(&session.settings).await?;
            let row = super::find_run(session, &state, run).await?;
            let loaded = state.runs.load(&row.id).await?;
            Plan::clone(loaded.run.plan())
        }
        (None, _) => plan(session, args)?,
    };
    let graph = Graph::of(&plan);
    match &args.svg {
        None if session.output.json => session.output.json(&plan)?,
        None => session.output.line(graph.to_text().trim_end())?,
        Some(file) => return write(session, &graph.to_svg(None), file),
    }
    Ok(Exit::Passed)
}

/// The graph of a run of a server, from what its stages need.
async fn of_server(
    session: &Session,
    (remote, run): (&Remote, &str),
    args: &GraphArgs,
) -> anyhow::Result<Exit> {
    let run = remote.find_run(run).await?;
    if let Some(file) = &args.svg {
        return write(session, &remote.graph(&run.id.0).await?, file);
    }
    if session.output.json {
        session.output.json(&run)?;
        return Ok(Exit::Passed);
    }
    let stages = run.stages.iter().map(|it| Stage {
        key: it.key.clone(),
        name: it.name.clone(),
        needs: it.needs.clone(),
    });
    let graph = Graph::of_stages(&run.pipeline, stages.collect());
    session.output.line(graph.to_text().trim_end())?;
    Ok(Exit::Passed)
}

/// Writes a drawing to a file, or to standard output for `-`.
pub fn write(session: &Session, svg: &str, file: &Path) -> anyhow::Result<Exit> {
    if file == Path::new("-") {
        session.output.line(svg.trim_end())?;
    } else {
        std::fs::write(session.folder.join(file), svg).map_err(|error| {
            let message = format!("`{}` cannot be written: {error}", file.display());
            Usage::new(message, "give the path of a file in a folder that is there")
        })?;
    }
    Ok(Exit::Passed)
}

/// The plan as far as it can be known without a run. Outside of a repository nothing has changed and
/// nothing has a hash.
fn plan(session: &Session, args: &GraphArgs) -> anyhow::Result<Plan> {
    let repository = Repository::discover(&session.folder).ok();
    let files = match repository.as_ref().filter(|_| args.facts.committed) {
        Some(repository) => facts::files(repository, &args.facts)?,
        None => pipeline_file::files(session),
    };
    let file = pipeline_file::find(&files, &session.folder, args.pipeline.as_deref())?;
    let pipeline = pipeline_file::checked(session, (&files, &file), Freshness::Known)?;
    let context = facts::of_head(repository.as_ref(), &pipeline, &args.facts)?;
    let plan = pipeline.plan(&context, &Selection::All);
    plan.map_err(|problems| super::run::show_problems(&problems))
}
