use proptest::prelude::*;

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
fn layers_follow_the_longest_way() {
    let graph = Graph::of(&plan(ASSISTANT));
    let layers: Vec<_> = graph.layers().iter().map(|it| keys(&graph, it)).collect();
    insta::assert_snapshot!(layers.join("\n"), @r"
    lint unit (0) unit (1) image
    eval contract sbom preview
    scan
    staging
    load
    approve
    production
    report
    ");
}

#[test]
fn a_terminal_shows_one_line_a_stage_without_needs_that_follow() {
    insta::assert_snapshot!(Graph::of(&plan(ASSISTANT)).to_text(), @r"
    assistant: 14 stages, 8 deep
    1 ┬ lint        (builtin/eval)
      ├ unit ×2     (builtin/eval)
      └ image       (builtin/eval)
    2 ┬ eval        ← image  (builtin/eval)
      ├ contract    ← image  (builtin/eval)
      ├ sbom        ← image  (builtin/eval)
      └ preview     ← image  (builtin/eval)
    3 ─ scan        ← sbom  (builtin/eval)
    4 ─ staging     ← lint, unit, eval, contract, scan  (builtin/eval)
    5 ─ load        ← staging  (builtin/eval)
    6 ─ approve     ← load  (approval)
    7 ─ production  ← approve  (builtin/eval)
    8 ─ report      ← unit?, production?  (builtin/eval)
    ");
}

#[test]
fn many_needs_are_counted() {
    let text = "s0; s1; s2; s3; s4; s5; s6; s7; s8; s9; s10; \
                end < s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10";
    let drawn = Graph::of(&plan(text)).to_text();
    assert!(drawn.contains("← s0, s1, s2, s3, s4, s5, s6, s7 and 3 more"), "{drawn}");
}

#[test]
fn the_critical_path_is_the_one_that_takes_longest() {
    let graph = Graph::of(&plan("a; b; c < a, b; d < a; e < c, d"));
    let milliseconds = |it: [u64; 5]| it.map(Milliseconds);
    let path = graph.critical_path(&milliseconds([10, 20, 5, 30, 1]));
    assert_eq!((keys(&graph, &path.stages).as_str(), path.duration.0), ("a d e", 41));
    let path = graph.critical_path(&milliseconds([10, 30, 25, 30, 1]));
    assert_eq!((keys(&graph, &path.stages).as_str(), path.duration.0), ("b c e", 56));
    let empty = Graph::of(&plan("a")).critical_path(&[]);
    assert_eq!((empty.stages.len(), empty.duration.0), (1, 0));
    let none = Plan { stages: Vec::new(), ..plan("a") };
    assert_eq!(Graph::of(&none).critical_path(&[]), CriticalPath::default());
}

#[test]
fn cycles_are_closed_paths() {
    let names = ["a", "b", "c", "d", "e"];
    let found = |needs: &[(usize, usize)]| {
        let cycles: Vec<_> = cycles(&names, needs).iter().map(|it| it.join(" -> ")).collect();
        cycles.join(", ")
    };
    assert_eq!(found(&[(0, 1), (1, 2)]), "");
    assert_eq!(found(&[(0, 0)]), "a -> a");
    assert_eq!(found(&[(2, 1), (1, 0), (0, 2)]), "a -> c -> b -> a");
    assert_eq!(found(&[(0, 1), (1, 2), (2, 0), (1, 0)]), "a -> b -> a");
    assert_eq!(
        found(&[(3, 4), (4, 3), (0, 1), (1, 0), (1, 3), (9, 0)]),
        "a -> b -> a, d -> e -> d"
    );
}

#[test]
fn a_page_shows_boxes_that_are_told_to_everybody() {
    let mut plan = plan("image; unit x3 < image; deploy! < unit");
    plan.pipeline = "a <b> & \"c\"".to_owned();
    plan.stages[1].key = "unit (<script>)".to_owned();
    let states = [
        StageStatus::Passed,
        StageStatus::Passed,
        StageStatus::Failed,
        StageStatus::Running,
        StageStatus::Pending,
    ];
    let svg = Graph::of(&plan).to_svg(Some(&states));
    assert!(svg.contains(
        "role=\"img\" aria-label=\"Graph of a &lt;b&gt; &amp; &quot;c&quot;: 5 stages\""
    ));
    assert!(svg.contains("<g class=\"stage failed\"><title>unit (builtin/eval), 3 cells\nunit (&lt;script&gt;): passed\nunit (1): failed\nunit (2): running</title>"));
    assert!(svg.contains(">×3</text>") && !svg.contains("<script>"));
    assert!(svg.contains("<title>deploy: pending (approval)</title>"));
    let without = Graph::of(&plan).to_svg(None);
    assert!(!without.contains("class=\"icon\"") && without.contains("<g class=\"stage \">"));
}

#[test]
fn every_box_stands_clear_of_the_others() {
    let drawing = layout::Drawing::of(&Graph::of(&plan(ASSISTANT)));
    assert_eq!(drawing.blocks.len(), 13);
    let places: Vec<_> = drawing.layers.iter().flatten().copied().collect();
    let distinct: std::collections::BTreeSet<_> = places.iter().copied().collect();
    assert_eq!((places.len(), distinct.len()), (drawing.items.len(), drawing.items.len()));
    let neighbors = order::Neighbors::of(&drawing.lines, drawing.items.len());
    assert!(order::crossings(&drawing.layers, &neighbors) <= 1);
}

#[test]
fn crossings_that_can_be_avoided_are() {
    let drawing = layout::Drawing::of(&Graph::of(&plan("a; b; c; x < c; y < b; z < a")));
    let neighbors = order::Neighbors::of(&drawing.lines, drawing.items.len());
    assert_eq!(order::crossings(&drawing.layers, &neighbors), 0);
}

/// Ten times the stages, not a hundred times the work: with anything quadratic this would not end.
#[test]
fn a_hundred_thousand_stages_are_no_trouble() {
    let mut large = plan("a; b < a");
    let [first, second] = [large.stages[0].clone(), large.stages[1].clone()];
    large.stages = vec![first];
    for at in 1..100_000_u32 {
        let mut stage = second.clone();
        stage.needs[0].stage = StageIndex(at - 1);
        large.stages.push(stage);
    }
    let graph = Graph::of(&large);
    assert_eq!(graph.layers().len(), 100_000);
    let path = graph.critical_path(&vec![Milliseconds(2); 100_000]);
    assert_eq!((path.stages.len(), path.duration.0), (100_000, 200_000));
    let needs: Vec<_> = (1..100_000).map(|it| (it, it - 1)).chain([(0, 99_999)]).collect();
    assert_eq!(cycles(&vec!["s"; 100_000], &needs)[0].len(), 100_001);
}

#[test]
fn a_plan_that_is_no_plan_is_drawn_all_the_same() {
    let mut broken = plan("a; b < a; c < b");
    let cycle = broken.stages[2].needs[0];
    broken.stages[0].needs.push(cycle);
    broken.stages[2].needs[0].stage = StageIndex(77);
    let graph = Graph::of(&broken);
    assert!(graph.to_text().starts_with("assistant: 3 stages"));
    assert!(graph.to_svg(None).ends_with("</svg>\n"));
    let empty = Graph::of(&Plan { stages: Vec::new(), ..broken });
    assert!(empty.to_svg(Some(&[])).ends_with("</svg>\n") && empty.layers().is_empty());
}

const MEASURES: Measures =
    Measures { box_height: 44.0, column_gap: 40.0, row_gap: 12.0, bend_gap: 8.0, margin: 12.0 };

#[expect(clippy::cast_precision_loss, reason = "names are short")]
fn width(it: &PictureBox) -> f64 {
    it.name.len() as f64 * 8.0 + 20.0
}

/// `s0; s1 < s0; …` of pairs of a stage and what it needs, where that comes before it.
fn chained(stages: usize, needs: &[(usize, usize)]) -> Graph {
    let text: Vec<_> = (0..stages)
        .map(|at| {
            let own = needs.iter().filter(|(stage, need)| *stage == at && need < stage);
            let own: Vec<_> = own.map(|(_, need)| format!("s{need}")).collect();
            format!("s{at} < {}", own.join(","))
        })
        .collect();
    Graph::of(&plan(&text.join(";")))
}

#[test]
fn a_matrix_is_folded_or_not() {
    let graph = Graph::of(&plan("image; unit x3 < image; deploy! < unit"));
    let shown = |is_folded: &dyn Fn(&str) -> bool| {
        let picture = graph.picture(is_folded, &MEASURES, &width);
        let boxes: Vec<_> = picture
            .boxes
            .iter()
            .map(|it| format!("{} {}x{}", it.name, it.column, it.stages.len()))
            .collect();
        let lines: Vec<_> =
            picture.lines.iter().map(|it| format!("{}-{}", it.from, it.to)).collect();
        format!("{} | {}", boxes.join(", "), lines.join(" "))
    };
    assert_eq!(shown(&|_| true), "image 0x1, unit 1x3, deploy 2x1 | 0-1 1-2");
    assert_eq!(
        shown(&|name| name != "unit"),
        "image 0x1, unit (0) 1x1, unit (1) 1x1, unit (2) 1x1, deploy 2x1 | 0-1 0-2 0-3 1-4 2-4 3-4"
    );
}

proptest! {
    /// Boxes keep clear of each other, needs lie left of what waits for them, and sorting tangles nothing.
    #[test]
    fn pictures_are_in_order(
        needs in prop::collection::vec((1_usize..30, 0_usize..30), 0..80),
    ) {
        let graph = chained(30, &needs);
        let picture = graph.picture(&|_| true, &MEASURES, &width);
        prop_assert_eq!(picture.boxes.len(), 30);
        for line in &picture.lines {
            let (from, to) = (&picture.boxes[line.from], &picture.boxes[line.to]);
            prop_assert!(from.column < to.column && from.x + from.width < to.x);
        }
        for (at, one) in picture.boxes.iter().enumerate() {
            prop_assert!(one.x >= 0.0 && one.x + one.width <= picture.width);
            prop_assert!(one.y >= 0.0 && one.y + one.height <= picture.height);
            for other in &picture.boxes[at + 1..] {
                let is_clear = (one.column != other.column)
                    || (one.y - other.y).abs() >= MEASURES.box_height + MEASURES.row_gap - 0.01;
                prop_assert!(is_clear, "{one:?} and {other:?}");
            }
        }
        let drawing = layout::Drawing::of(&graph);
        let neighbors = order::Neighbors::of(&drawing.lines, drawing.items.len());
        let mut unsorted = drawing.layers.clone();
        for layer in &mut unsorted {
            layer.sort_unstable();
        }
        let crossings = |layers: &[Vec<usize>]| order::crossings(layers, &neighbors);
        prop_assert!(crossings(&drawing.layers) <= crossings(&unsorted));
    }

    /// Drawing never loses a stage, and every need is still a way in what is drawn.
    #[test]
    fn what_is_left_out_follows_from_what_is_drawn(
        needs in prop::collection::vec((1_usize..12, 0_usize..12), 0..40),
    ) {
        let mut stages: Vec<Vec<usize>> = vec![Vec::new(); 12];
        for (stage, need) in needs {
            stages[stage].extend((need < stage).then_some(need));
        }
        let pairs: Vec<_> = stages
            .iter()
            .enumerate()
            .flat_map(|(at, needs)| needs.iter().map(move |it| (at, *it)))
            .collect();
        let graph = chained(12, &pairs);
        let drawing = layout::Drawing::of(&graph);
        let mut reached: Vec<Vec<bool>> = Vec::new();
        for block in &drawing.blocks {
            let mut from = vec![false; 12];
            for need in &block.needs {
                from[need.block] = true;
                for (at, is_reached) in reached[need.block].iter().enumerate() {
                    from[at] |= is_reached;
                }
            }
            reached.push(from);
        }
        for (stage, needs) in stages.iter().enumerate() {
            for need in needs {
                prop_assert!(reached[stage][*need], "s{stage} needs s{need}");
            }
        }
        prop_assert_eq!(graph.to_svg(None).matches("<g class=\"stage").count(), 12);
    }
}
