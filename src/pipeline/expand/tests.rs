use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pipeline::check;
use crate::pipeline::diagnostic::SourceFile;
use crate::pipeline::plan::{Plan, Work};

fn pipeline(text: &str) -> Pipeline {
    let checked =
        check(SourceFile { name: "pipelines/ci.yml".to_owned(), text: text.to_owned() }, &|_| {
            Err("nothing can be included here".to_owned())
        });
    let shown: Vec<_> = checked.diagnostics.iter().map(|it| it.render(&checked.sources)).collect();
    checked.pipeline.unwrap_or_else(|| panic!("{}", shown.join("\n")))
}

fn push() -> Context {
    let mut context = Context { event: "push".to_owned(), ..Context::default() };
    context.git.branch = "main".to_owned();
    context
}

/// One line for each stage: its key, what it needs, and its image.
fn story(plan: &Plan) -> String {
    let key = |index: StageIndex| plan.stages[index.as_usize()].key.as_str();
    let mut lines = Vec::new();
    for stage in &plan.stages {
        let needs: Vec<_> = stage.needs.iter().map(|it| key(it.stage)).collect();
        let image = match &stage.work {
            Work::Container(work) => work.image.source().to_owned(),
            Work::Image(_) | Work::Builtin { .. } | Work::Approval(_) => "-".to_owned(),
        };
        lines.push(format!("{} <- [{}] in {image}", stage.key, needs.join(", ")));
    }
    lines.join("\n")
}

const MATRIX: &str = r#"
defaults: { image: busybox }
stages:
  lint: { run: make lint }
  unit:
    needs: [lint]
    matrix: { python: ["3.11", "3.12"], os: [linux, bsd], exclude: [{ python: "3.11", on: pull_request }, { os: bsd, python: "3.12" }] }
    image: "python:${{ matrix.python }}-${{ matrix.os }}"
    run: make
  report: { needs: [unit, { stage: docs, optional: true }], run: make report }
  other: { run: make other }
"#;

#[test]
fn a_need_on_a_matrix_is_a_need_on_each_cell() {
    let plan = pipeline(MATRIX).plan(&push(), &Selection::All).unwrap();
    insta::assert_snapshot!(story(&plan), @r"
    lint <- [] in busybox
    unit (3.11, linux) <- [lint] in python:3.11-linux
    unit (3.11, bsd) <- [lint] in python:3.11-bsd
    unit (3.12, linux) <- [lint] in python:3.12-linux
    report <- [unit (3.11, linux), unit (3.11, bsd), unit (3.12, linux)] in busybox
    other <- [] in busybox
    ");
}

#[test]
fn an_excluded_cell_may_depend_on_the_event() {
    let context = Context { event: "pull_request".to_owned(), ..push() };
    let plan = pipeline(MATRIX).plan(&context, &Selection::All).unwrap();
    assert_eq!(
        plan.stages
            .iter()
            .filter(|it| it.name == "unit")
            .map(|it| it.key.as_str())
            .collect::<Vec<_>>(),
        ["unit (3.12, linux)"]
    );
}

#[test]
fn a_selection_takes_along_what_it_needs_and_nothing_else() {
    let selection = Selection::Stages(vec!["report".to_owned()]);
    let plan = pipeline(MATRIX).plan(&push(), &selection).unwrap();
    assert_eq!(plan.stages.len(), 5);
    assert!(story(&plan).ends_with(
        "report <- [unit (3.11, linux), unit (3.11, bsd), unit (3.12, linux)] in busybox"
    ));
    let selection = Selection::Stages(vec!["unit (3.11, bsd)".to_owned()]);
    let plan = pipeline(MATRIX).plan(&push(), &selection).unwrap();
    insta::assert_snapshot!(story(&plan), @r"
    lint <- [] in busybox
    unit (3.11, bsd) <- [lint] in python:3.11-bsd
    ");
}

#[test]
fn an_unknown_stage_of_a_selection_is_refused_with_the_one_that_was_meant() {
    let selection = Selection::Stages(vec!["reprot".to_owned(), "x".to_owned()]);
    let problems = pipeline(MATRIX).plan(&push(), &selection).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0].message, "the pipeline `ci` has no stage `reprot`");
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `report`?"));
    assert_eq!(
        problems[1].help.as_deref(),
        Some("known stages: `lint`, `unit`, `report`, `other`")
    );
}

#[test]
fn a_matrix_without_a_cell_is_one_stage_that_is_skipped() {
    let text = "stages: { a: { image: 'x:${{ matrix.v }}', matrix: { v: ['1'], exclude: [{ v: '1', on: push }] }, run: make }, b: { image: x, needs: a, run: make } }";
    let plan = pipeline(text).plan(&push(), &Selection::All).unwrap();
    assert_eq!(plan.stages[0].key, "a");
    assert_eq!(
        plan.stages[0].condition.as_ref().map(super::super::expression::Expression::source),
        Some("false")
    );
    assert_eq!(plan.stages[1].needs.len(), 1);
}

#[test]
fn a_text_without_a_value_is_shown_where_it_stands_unless_the_stage_is_skipped() {
    let text = "stages:\n  a:\n    image: x\n    if: event == \"pull_request\"\n    env: { N: \"pr-${{ pull_request.number }}\" }\n    run: make\n";
    assert!(pipeline(text).plan(&push(), &Selection::All).is_ok());
    let text = text.replace("    if: event == \"pull_request\"\n", "");
    let problems = pipeline(&text).plan(&push(), &Selection::All).unwrap_err();
    assert_eq!(problems.len(), 1);
    let problem = &problems[0];
    assert_eq!((problem.code, problem.line), ("pipeline/no-value", 4));
    assert!(problem.message.contains("pull_request"), "{}", problem.message);
}

#[test]
fn a_stage_says_what_its_model_calls_are_for_as_a_word_or_an_expression() {
    let text = "
defaults: { image: a, env: { TRUNKLINE_MODEL_CALLS: replay } }
stages:
  a: { run: make }
  b: { env: { TRUNKLINE_MODEL_CALLS: live }, run: make }
  c: { matrix: { mode: [record] }, env: { TRUNKLINE_MODEL_CALLS: '${{ matrix.mode }}' }, run: make }
";
    let plan = pipeline(text).plan(&push(), &Selection::All).unwrap();
    let modes: Vec<_> =
        plan.stages.iter().map(|it| it.env["TRUNKLINE_MODEL_CALLS"].source()).collect();
    assert_eq!(modes, ["replay", "live", "record"]);
}

#[test]
fn settings_of_a_stage_go_before_defaults_and_variables_are_joined() {
    let text = "
defaults: { image: a, timeout: 5m, env: { X: '1', Y: '1' }, resources: { cpu: 1, memory: 1Gi } }
stages:
  s: { image: b, env: { Y: '2', Z: '${{ env.X }}${{ env.Y }}' }, resources: { memory: 2Gi }, run: make }
";
    let plan = pipeline(text).plan(&push(), &Selection::All).unwrap();
    let stage = &plan.stages[0];
    let env: BTreeMap<&str, &str> =
        stage.env.iter().map(|(name, value)| (name.as_str(), value.source())).collect();
    assert_eq!(env.get("Y"), Some(&"2"));
    assert_eq!(stage.timeout, crate::model::Milliseconds::from_seconds(300));
    let Work::Container(work) = &stage.work else { panic!() };
    assert_eq!(
        (work.resources.cpu_millis, work.resources.memory_bytes),
        (Some(1000), Some(2 << 30))
    );
    assert_eq!(work.image.source(), "b");
}

#[test]
fn a_plan_can_be_stored_and_read_back() {
    let plan = pipeline(MATRIX).plan(&push(), &Selection::All).unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

fn stage_line(index: usize, needs: &str) -> String {
    format!("  s{index}: {{ needs: [{needs}], run: make }}\n")
}

proptest! {
    #[test]
    fn every_selection_of_every_graph_keeps_its_needs(
        edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30),
        chosen in prop::collection::vec(0_usize..12, 1..4),
    ) {
        let mut text = "defaults: { image: x }\nstages:\n".to_owned();
        let mut needs: Vec<Vec<usize>> = vec![Vec::new(); 12];
        for (a, b) in edges {
            let (low, high) = (a.min(b), a.max(b));
            if low != high && !needs[high].contains(&low) {
                needs[high].push(low);
            }
        }
        for (index, needs) in needs.iter().enumerate() {
            let list: Vec<_> = needs.iter().map(|it| format!("s{it}")).collect();
            text.push_str(&stage_line(index, &list.join(", ")));
        }
        let mut wanted: Vec<bool> = vec![false; 12];
        let mut todo = chosen.clone();
        while let Some(next) = todo.pop() {
            if !std::mem::replace(&mut wanted[next], true) {
                todo.extend(&needs[next]);
            }
        }
        let names = chosen.iter().map(|it| format!("s{it}")).collect();
        let plan = pipeline(&text).plan(&push(), &Selection::Stages(names)).unwrap();
        let kept: Vec<_> = plan.stages.iter().map(|it| it.name.clone()).collect();
        let expected: Vec<_> = (0..12).filter(|it| wanted[*it]).map(|it| format!("s{it}")).collect();
        prop_assert_eq!(kept, expected);
        for stage in &plan.stages {
            let index: usize = stage.name[1..].parse().unwrap();
            let found: Vec<_> = stage.needs.iter().map(|it| plan.stages[it.stage.as_usize()].name.clone()).collect();
            let expected: Vec<_> = needs[index].iter().map(|it| format!("s{it}")).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
