//! Graphs that nobody here drew: recorded scientific workflows (`WfFormat`) become pipeline files,
//! which must check clean and plan to the same graph. Skipped aloud where the data is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use trunkline::pipeline::{Context, Selection, SourceFile, check};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Tasks and their parents, under the names that stages may have.
fn read(path: &Path) -> Graph {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let tasks = json["workflow"]["specification"]["tasks"].as_array().unwrap();
    let alias: BTreeMap<&str, String> = tasks
        .iter()
        .enumerate()
        .map(|(index, task)| (task["id"].as_str().unwrap(), format!("task-{index}")))
        .collect();
    let parents = |task: &serde_json::Value| {
        task["parents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| alias[it.as_str().unwrap()].clone())
            .collect()
    };
    tasks.iter().map(|task| (alias[task["id"].as_str().unwrap()].clone(), parents(task))).collect()
}

fn pipeline_text(graph: &Graph) -> String {
    let mut text = "version: 1\ndefaults: { image: busybox }\nstages:\n".to_owned();
    for (name, needs) in graph {
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let _ = writeln!(text, "  {name}: {{ needs: [{}], run: echo {name} }}", needs.join(", "));
    }
    text
}

#[test]
fn recorded_workflows_keep_their_graph_as_pipelines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/workflows");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: there are no workflows in {}", folder.display());
        return;
    };
    let mut seen = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let graph = read(&path);
        let text = pipeline_text(&graph);
        let checked =
            check(SourceFile { name: "workflow.yml".to_owned(), text }, &|_| Err(String::new()));
        assert!(checked.diagnostics.is_empty(), "{}: {:?}", path.display(), checked.diagnostics);
        let pipeline = checked.pipeline.unwrap();
        let plan = pipeline.plan(&Context::default(), &Selection::All).unwrap();
        let key = |index: usize| plan.stages[index].key.clone();
        let found: Graph = plan
            .stages
            .iter()
            .map(|it| {
                (it.key.clone(), it.needs.iter().map(|need| key(need.stage.as_usize())).collect())
            })
            .collect();
        assert_eq!(found, graph, "{}", path.display());
        println!("{}: {} stages", path.display(), graph.len());
        seen += 1;
    }
    assert!(seen > 0);
}
