use super::*;

/// Reads `build; test x3 < build; deploy! < test, build?`: `x3` is a matrix of three cells, `!` an
/// approval, `?` an optional need.
fn plan(text: &str) -> Plan {
    let mut stages: Vec<serde_json::Value> = Vec::new();
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for stage in text.split(';').map(str::trim) {
        let (head, needs) = stage.split_once('<').unwrap_or((stage, ""));
        let (name, cells) = head.trim().split_once(" x").unwrap_or((head.trim(), "1"));
        let (name, is_approval) = (name.trim_end_matches('!'), name.ends_with('!'));
        let mut planned = Vec::new();
        for need in needs.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            for place in places.get(need.trim_end_matches('?')).into_iter().flatten() {
                planned.push(serde_json::json!({"stage": place, "optional": need.ends_with('?')}));
            }
        }
        for cell in 0..cells.parse::<usize>().unwrap() {
            let key = if cells == "1" { name.to_owned() } else { format!("{name} ({cell})") };
            let work = if is_approval {
                serde_json::json!({"approval": {"count": 1, "timeout": 1}})
            } else {
                serde_json::json!({"builtin": {"name": "eval", "with": null}})
            };
            places.entry(name).or_default().push(stages.len());
            stages.push(serde_json::json!({
                "key": key, "name": name, "needs": planned, "work": work, "timeout": 1,
            }));
        }
    }
    serde_json::from_value(serde_json::json!({"pipeline": "assistant", "stages": stages})).unwrap()
}

const ASSISTANT: &str = "lint; unit x2; image; eval < image; contract < image; sbom < image; \
     scan < image, sbom; preview < image; staging < lint, unit, eval, contract, sbom, scan; \
     load < staging; approve! < load; production < approve; report < unit?, load, production?";

fn keys(graph: &Graph, stages: &[StageIndex]) -> String {
    let keys: Vec<_> = stages.iter().map(|it| graph.stages[it.as_usize()].key.as_str()).collect();
    keys.join(" ")
}

#[test]
fn scratch() {
    let graph = Graph::of(&plan(ASSISTANT));
    println!("{}", graph.to_text());
    let layers = graph.layers();
    println!("{}", layers.iter().map(|it| keys(&graph, it)).collect::<Vec<_>>().join(" | "));
    std::fs::write("/tmp/g1.svg", graph.to_svg(None)).unwrap();
    use StageStatus::*;
    let states = [
        Passed, Passed, Failed, Passed, Running, Passed, Passed, Delayed, Skipped, Pending, Ready,
        Waiting, Cancelled, Pending,
    ];
    std::fs::write("/tmp/g2.svg", graph.to_svg(Some(&states))).unwrap();
}
