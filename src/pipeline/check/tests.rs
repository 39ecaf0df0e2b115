use std::cell::RefCell;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::pipeline::{Context, Selection};

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

fn check_alone(text: &str) -> Checked {
    check(file("ci.yml", text), &|_| Err("nothing can be included here".to_owned()))
}

fn codes(checked: &Checked) -> Vec<String> {
    checked.diagnostics.iter().map(|it| format!("{} {}", it.code, it.line)).collect()
}

#[test]
fn a_pipeline_without_a_name_has_that_of_its_file() {
    let text = "stages: { a: { image: x, run: make } }";
    let name = |path| check(file(path, text), &|_| Err(String::new())).pipeline.unwrap().name;
    assert_eq!(name("pipelines/ci.yml"), "ci");
    assert_eq!(name(".trunkline.yml"), "trunkline");
    assert_eq!(name("Night Run.yaml"), "night-run");
    assert_eq!(name("ö/.yml"), "yml");
    assert_eq!(name(""), "pipeline");
}

#[test]
fn a_local_file_of_an_included_file_comes_from_the_same_repository() {
    let wanted = RefCell::new(Vec::new());
    let checked = check(
        file("ci.yml", "include: [{ from: a/b, ref: v1, file: x.yml }]"),
        &|it: &IncludeRef| {
            wanted.borrow_mut().push(it.clone());
            Ok(if it.file == "x.yml" {
                "include: [{ file: y.yml }]".to_owned()
            } else {
                "stages: { a: { image: x, run: make } }".to_owned()
            })
        },
    );
    assert_eq!(codes(&checked), ["pipeline/moving-ref 1"]);
    let wanted = wanted.into_inner();
    assert_eq!(wanted[1].from.as_deref(), Some("a/b"));
    assert_eq!(wanted[1].r#ref.as_deref(), Some("v1"));
    let names: Vec<_> = checked.sources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["ci.yml", "a/b@v1:x.yml", "a/b@v1:y.yml"]);
}

#[test]
fn includes_are_bounded_in_depth_and_number() {
    let deep = check(file("ci.yml", "include: { file: a0 }"), &|it: &IncludeRef| {
        let next = it.file[1..].parse::<u32>().unwrap() + 1;
        Ok(format!("include: {{ file: a{next} }}"))
    });
    assert_eq!(codes(&deep), ["pipeline/include 1"]);
    assert!(deep.diagnostics[0].message.contains("8 levels"), "{:?}", deep.diagnostics);
    let list: Vec<_> = (0..70).map(|it| format!("{{ file: f{it} }}")).collect();
    let wide =
        check(file("ci.yml", &format!("include: [{}]", list.join(", "))), &|it: &IncludeRef| {
            Ok(format!("stages: {{ {}: {{ image: x, run: make }} }}", it.file))
        });
    assert_eq!(wide.diagnostics.len(), 6);
    assert!(wide.diagnostics[0].message.contains("64"), "{:?}", wide.diagnostics);
}

#[test]
fn text_of_an_input_cannot_leave_its_place_in_an_expression() {
    let checked = check(
        file("ci.yml", r#"include: { file: t.yml, with: { name: 'x" || true || "' } }"#),
        &|_| {
            Ok("inputs: { name: { type: string } }\nstages: { a: { image: x, if: git.branch == inputs.name, run: make } }".to_owned())
        },
    );
    let plan = checked.pipeline.unwrap().plan(&Context::default(), &Selection::All).unwrap();
    let condition = plan.stages[0].condition.as_ref().unwrap();
    assert_eq!(condition.source(), r#"git.branch == "x\" || true || \"""#);
    let scope = crate::pipeline::Scope { context: Some(&Context::default()), ..Default::default() };
    assert_eq!(condition.evaluate(&scope), Ok(false));
}

#[test]
fn inputs_are_read_from_the_words_of_a_person() {
    let text = "on: { manual: { inputs: { fast: { type: boolean }, count: { type: number, default: 2 }, to: { type: choice, options: [eu, us] }, who: { required: true } } } }\nstages: { a: { image: x, run: make } }";
    let pipeline = check_alone(text).pipeline.unwrap();
    let given = |words: &[(&str, &str)]| {
        let words = words.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        pipeline.read_inputs(&words).map(|it| serde_json::to_string(&it).unwrap())
    };
    assert_eq!(
        given(&[("fast", "true"), ("who", "42")]).unwrap(),
        r#"{"count":2,"fast":true,"to":"eu","who":"42"}"#
    );
    assert_eq!(
        given(&[("fast", "maybe"), ("slow", "1"), ("to", "mars")]).unwrap_err(),
        [
            "the input `fast` must be `true` or `false`, found `maybe`",
            "the input `to` must be one of `eu`, `us`, found `mars`",
            "the input `who` must be given",
            "there is no input `slow`; known inputs: `count`, `fast`, `to`, `who`",
        ]
    );
}

#[test]
fn calls_of_hash_are_found_wherever_they_stand() {
    let text = "
concurrency: { group: \"${{ hash('a') }}\" }
stages:
  s:
    image: x
    if: hash('b', 'c') != ''
    cache: { key: \"k-${{ hash('a') }}\", paths: [p] }
    run: make
";
    let calls = check_alone(text).pipeline.unwrap().hash_calls();
    assert_eq!(calls, [vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]]);
}

#[test]
fn a_file_full_of_problems_takes_little_time_and_says_so_once_each() {
    let mut text = "stages:\n".to_owned();
    for index in 0..20_000 {
        let line = format!(
            "  stage-number-{index}: {{ neds: [stage-numbr-{index}], needs: [stage-numbr-{index}] }}\n"
        );
        text.push_str(&line);
    }
    text.truncate(1_000_000);
    text.truncate(text.rfind('\n').unwrap());
    let start = Instant::now();
    let checked = check_alone(&text);
    assert_eq!(checked.diagnostics.len(), 500);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

fn numbered(count: usize, show: impl Fn(usize) -> String) -> String {
    (0..count).map(show).collect::<Vec<_>>().concat()
}

/// Files that are cheap to write and dear to read for a careless reader.
fn hostile_files() -> Vec<String> {
    let prefix = "stages:\n  a:\n    image: x\n    run: make\n    env: { ";
    let long = |piece: &str| piece.repeat(212_000 / piece.len());
    vec![
        long("[a,"),
        long("{a: "),
        long("- "),
        long("? "),
        long("a: "),
        long("a:\n"),
        long("&a "),
        long("*a "),
        long("\""),
        long("'"),
        long("a\n"),
        long("- a\n"),
        long("ä, "),
        long("|\n"),
        long("#"),
        long("\n"),
        long("!a "),
        long("---\n"),
        long("%a\n"),
        long("[]"),
        long("{}"),
        long(": "),
        long("a b "),
        long("\"a\": "),
        long("[[],"),
        format!("[{}]", long("a, ")),
        format!("[{}]", long("ä, ")),
        format!("[{}]", long("{a: ä}, ")),
        format!("a: &a x\nb: [{}]", long("*a, ")),
        numbered(12_000, |it| format!("a{it}: &a{it} [x]\n")),
        format!(
            "{prefix}{} }}",
            numbered(8_000, |it| format!("E{it}: \"${{{{ matrix.a{it} }}}}\", "))
        ),
        format!(
            "stages: {{ a: {{ run: make, image: x, needs: [{}], if: \"{}\" }} }}",
            "b, ".repeat(50_000),
            "needs.c.x + ".repeat(300)
        ),
        format!(
            "stages: {{ a: {{ matrix: {{ b: [{}], exclude: [{}] }} }} }}",
            numbered(12_000, |it| format!("v{it}, ")),
            "{b: v}, ".repeat(12_000)
        ),
        format!(
            "stages: {{{}}}",
            numbered(5_000, |it| format!(
                "a{it}: {{ run: x, image: x, needs: [a{}, a{}] }}, ",
                it ^ 1,
                it + 2
            ))
        ),
        format!("on: {{ push: {{ branches: [{}] }} }}", "'{a,{b,{c,d}}}', ".repeat(15_000)),
        format!("{prefix}A: '{}' }}", "${{ ".repeat(50_000)),
    ]
}

#[test]
fn hostile_files_are_refused_in_bounded_time() {
    for text in hostile_files() {
        let start = Instant::now();
        let checked = check_alone(&text);
        let head: String = text.chars().take(30).collect();
        assert!(checked.pipeline.is_none(), "{head:?}");
        let elapsed = start.elapsed();
        println!("{elapsed:>10.1?} {head:?} {}", checked.diagnostics.len());
        assert!(elapsed < Duration::from_secs(10), "{head:?}: {elapsed:?}");
    }
}

const GOOD: &str = include_str!("../../../tests/fixtures/pipelines/good/everything.yml");

/// Texts that are nearly right: the good file with pieces cut out, doubled and changed.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("{".to_owned()),
        Just("]".to_owned()),
        Just(": ".to_owned()),
        Just("\"".to_owned()),
        Just("${{ ".to_owned()),
        Just("*a".to_owned()),
        Just("&a ".to_owned()),
        Just("- ".to_owned()),
        Just("\u{0}".to_owned()),
        Just("ß".to_owned()),
        Just("null".to_owned()),
        Just("99999999999999999999".to_owned()),
        "[ -~]{0,6}",
    ];
    let edit = (0_usize..GOOD.len(), 0_usize..40, piece);
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut text = GOOD.to_owned();
        for (start, len, piece) in edits {
            let start = start.min(text.len());
            let end = (start + len).min(text.len());
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &piece);
            }
        }
        text
    })
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    let checked = check(file("ci.yml", text), &|_| Ok(text.to_owned()));
    for diagnostic in &checked.diagnostics {
        prop_assert!(!diagnostic.render(&checked.sources).is_empty());
        let source = checked.sources.iter().find(|it| it.name == diagnostic.file).unwrap();
        let end = diagnostic.span.start + diagnostic.span.len;
        prop_assert!(source.text.get(diagnostic.span.start..end).is_some(), "{diagnostic:?}");
        prop_assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
    }
    prop_assert_eq!(
        checked.pipeline.is_none(),
        checked.diagnostics.iter().any(Diagnostic::is_error)
    );
    if let Some(pipeline) = checked.pipeline {
        for event in ["push", "pull_request", "schedule"] {
            let inputs = pipeline.default_inputs();
            let context = Context { event: event.to_owned(), inputs, ..Context::default() };
            if let Err(problems) = pipeline.plan(&context, &Selection::All) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_checked_without_panic(text in "\\PC{0,200}") {
        survives(&text)?;
    }

    #[test]
    fn any_mutated_good_file_is_checked_without_panic(text in mutated()) {
        survives(&text)?;
    }
}

#[test]
fn a_failure_that_is_allowed_no_more_is_warned_of() {
    let text =
        "stages: { a: { image: x, run: make, allow_failure: { until: 2027-03-31, reason: old } } }";
    let warned = |millis| {
        let mut checked = check_alone(text);
        checked.warn_of_past(Timestamp(millis));
        assert!(checked.pipeline.is_some());
        codes(&checked)
    };
    let end_of_the_day = 1_806_537_600_000;
    assert_eq!(warned(end_of_the_day - 1), [""; 0]);
    assert_eq!(warned(end_of_the_day), ["pipeline/allowance-over 1"]);
}
