use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::StageStatus;
use crate::pipeline::Context;
use crate::pipeline::context::{GitContext, NeedResult, PullRequestContext};
use crate::pipeline::plan::Gate;

fn context() -> Context {
    Context {
        event: "push".to_owned(),
        git: GitContext {
            branch: "main".to_owned(),
            r#ref: "refs/heads/main".to_owned(),
            ..GitContext::default()
        },
        inputs: BTreeMap::from([
            ("skip_load".to_owned(), serde_json::json!(true)),
            ("count".to_owned(), serde_json::json!(3)),
            ("regions".to_owned(), serde_json::json!(["eu", "us"])),
        ]),
        changed_paths: Some(vec!["README.md".to_owned(), "src/a/b.rs".to_owned()]),
        hashes: BTreeMap::from([("requirements.lock".to_owned(), "abc123".to_owned())]),
        ..Context::default()
    }
}

fn need(status: StageStatus) -> NeedResult {
    NeedResult {
        status,
        outputs: BTreeMap::from([("digest".to_owned(), "sha256:1".to_owned())]),
        metrics: BTreeMap::from([("f1".to_owned(), 0.5)]),
    }
}

/// Asks in a scope with a need each of the names `image`, `build-arm` and `2nd`.
fn ask<T>(question: impl FnOnce(&Scope<'_>) -> T) -> T {
    let context = context();
    let matrix = BTreeMap::from([
        ("python".to_owned(), "3.12".to_owned()),
        ("node-version".to_owned(), "22".to_owned()),
    ]);
    let env = BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]);
    let scope = Scope {
        context: Some(&context),
        matrix: Some(&matrix),
        env: Some(&env),
        needs: BTreeMap::from([
            ("image".to_owned(), need(StageStatus::Passed)),
            ("build-arm".to_owned(), need(StageStatus::Failed)),
            ("2nd".to_owned(), need(StageStatus::Skipped)),
        ]),
        any_failed: false,
        metrics: BTreeMap::from([("f1".to_owned(), 0.83), ("critical".to_owned(), 0.0)]),
        baseline: Some(0.84),
    };
    question(&scope)
}

fn evaluate(source: &str) -> Result<bool, ExpressionError> {
    let expression = Expression::parse_gate(source).map_err(first)?;
    ask(|scope| expression.evaluate(scope))
}

/// The message, the text under its span, and the help of an error.
fn told(source: &str, error: &ExpressionError) -> String {
    let place = error.span.map(|(from, to)| format!(" [{}]", &source[from..to]));
    let help = error.help.as_ref().map(|it| format!("; help: {it}"));
    format!("{}{}{}", error.message, place.unwrap_or_default(), help.unwrap_or_default())
}

fn all_told(source: &str, errors: &[ExpressionError]) -> String {
    errors.iter().map(|it| told(source, it)).collect::<Vec<_>>().join("\n")
}

fn refused(source: &str) -> String {
    all_told(source, &Expression::parse(source).unwrap_err())
}

fn first(errors: Vec<ExpressionError>) -> ExpressionError {
    errors.into_iter().next().unwrap()
}

/// An expression as it was stored with a plan, whose types nobody has checked.
fn stored(source: &str) -> Expression {
    serde_json::from_value(source.into()).unwrap()
}

fn failed(source: &str) -> String {
    told(source, &ask(|scope| stored(source).evaluate(scope)).unwrap_err())
}

#[test]
fn conditions_see_everything_they_are_promised() {
    for source in [
        "event == \"push\" && git.branch == \"main\"",
        "git.ref.startsWith('refs/heads/')",
        "!git.dirty",
        "pull_request == null",
        "event == 'pull_request' && pull_request.number > 3 || true",
        "inputs.skip_load",
        "inputs.count == 3 && inputs.count + 1 == 4",
        "'eu' in inputs.regions",
        "inputs.regions.exists(it, it == 'us')",
        "inputs.regions.all(a, inputs.regions.exists(b, a == b))",
        "size(inputs.regions) == 2",
        "matrix.python == '3.12'",
        "matrix.python in ['3.11', '3.12']",
        "matrix.node-version == '22'",
        "env.MODE == 'fast' && !has(env.OTHER)",
        "needs.image.status == 'passed'",
        "needs[\"image\"].outputs[\"digest\"] == 'sha256:1'",
        "needs.image.outputs.digest.startsWith('sha256:')",
        "needs.image.metrics.f1 * 2 == 1",
        "needs.build-arm.status == 'failed'",
        "needs.2nd.status == 'skipped' && needs.build-arm.outputs.digest != ''",
        "size(needs) == 3",
        "needs.exists(name, needs[name].status == 'failed')",
        "has(needs.image) && !has(needs.other)",
        "always() && passed() && !failed()",
        "git.branch.matches('^ma.n$')",
        "true // a comment",
        "'ä' + 'ö' == \"äö\"",
        "(true ? 1 : 2) == 1",
    ] {
        assert_eq!(evaluate(source), Ok(true), "{source}");
    }
}

#[test]
fn changed_follows_the_rules_of_globs() {
    for (source, wanted) in [
        ("changed('src/**')", true),
        ("changed('src/*')", false),
        ("changed('src/*/*.rs')", true),
        ("changed('**/*.md')", true),
        ("changed('docs/**', 'README.md')", true),
        ("changed('docs/**')", false),
        ("changed('{docs,src}/**')", true),
    ] {
        assert_eq!(evaluate(source), Ok(wanted), "{source}");
    }
}

#[test]
fn without_a_base_everything_counts_as_changed() {
    let context = Context::default();
    let scope = Scope { context: Some(&context), ..Scope::default() };
    assert_eq!(Expression::parse("changed('docs/**')").unwrap().evaluate(&scope), Ok(true));
}

#[test]
fn hashes_are_looked_up() {
    assert_eq!(evaluate("hash('requirements.lock') == 'abc123'"), Ok(true));
    assert_eq!(
        failed("hash('other.lock') == ''"),
        "the hash of `other.lock` was not read for this run"
    );
    let calls = Expression::parse("hash('a', 'b/**') != hash('c')").unwrap().hash_calls();
    assert_eq!(calls, [vec!["a".to_owned(), "b/**".to_owned()], vec!["c".to_owned()]]);
}

#[test]
fn whole_numbers_and_metrics_mix() {
    for source in [
        "critical == 0",
        "f1 <= 3",
        "f1 >= 1 / 2",
        "f1 > baseline - 2 / 100.0",
        "f1 <= 1.2 * baseline",
        "f1 <= baseline * 2",
        "f1 + 1 < 2",
        "-f1 < 0 && f1 > -1",
        "f1 < inputs.count * 1",
        "f1 * inputs.count > 2",
        "f1 > (critical == 0 ? 0 : 1)",
        "f1 < size(inputs.regions) * 1",
        "f1 in [0.83, 1]",
        "metrics['f1'] > 0 && has(metrics.f1) && metrics.f1 * 1 > 0",
        "critical in [0, 1]",
    ] {
        assert_eq!(evaluate(source), Ok(true), "{source}");
    }
}

#[test]
fn unknown_names_are_refused_where_they_stand() {
    insta::assert_snapshot!(refused("evnt == 'push'"), @"there is no `evnt`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [evnt]; help: did you mean `event`?");
    insta::assert_snapshot!(refused("true && f1 > 0"), @"there is no `f1`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [f1]");
    insta::assert_snapshot!(refused("needs.build-arm.status == x"), @"there is no `x`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [x]");
    insta::assert_snapshot!(refused("baseline > 0"), @"`baseline` is only known in gates [baseline]; help: metrics of a need are in `needs.<stage>.metrics`");
    insta::assert_snapshot!(refused("metrics.f1 > 0"), @"`metrics` is only known in gates [metrics.f1]; help: metrics of a need are in `needs.<stage>.metrics`");
    insta::assert_snapshot!(refused("chnged('a')"), @"there is no function `chnged`; there are `always`, `changed`, `failed`, `hash`, `passed`, `bool`, `bytes`, `double`, `dyn`, `has`, `int`, `matches`, `size`, `string`, `type`, `uint` [chnged]; help: did you mean `changed`?");
    insta::assert_snapshot!(refused("git.branch.startswith('a')"), @"there is no method `startswith`; there are `all`, `contains`, `endsWith`, `exists`, `exists_one`, `filter`, `map`, `matches`, `size`, `startsWith` [startswith]; help: did you mean `startsWith`?");
    insta::assert_snapshot!(refused("always"), @"`always` is a function [always]; help: write `always(…)`");
    insta::assert_snapshot!(refused("[1].exists(git, git == 1)"), @"`git` is taken [git]; help: give the variable another name");
    insta::assert_snapshot!(refused("[1].exists(it)"), @"`exists` is written `list.exists(it, …)` [exists]");
}

#[test]
fn every_problem_of_an_expression_is_told_where_it_stands() {
    insta::assert_snapshot!(refused("evnt == 'push' && git.brnch == 'main' || chnged('a')"), @r"
    there is no `evnt`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [evnt]; help: did you mean `event`?
    `git` has no `brnch`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [git.brnch]; help: did you mean `branch`?
    there is no function `chnged`; there are `always`, `changed`, `failed`, `hash`, `passed`, `bool`, `bytes`, `double`, `dyn`, `has`, `int`, `matches`, `size`, `string`, `type`, `uint` [chnged]; help: did you mean `changed`?
    ");
    insta::assert_snapshot!(refused("git.branch == 3 && (git.sha == 3 || git.branch == 4)"), @r#"
    `git.branch` is a string and `3` is a number, which are never equal [==]; help: write `"3"`, or make a number of the string: `double(git.branch)`
    `git.sha` is a string and `3` is a number, which are never equal [==]; help: write `"3"`, or make a number of the string: `double(git.sha)`
    `git.branch` is a string and `4` is a number, which are never equal [==]; help: write `"4"`, or make a number of the string: `double(git.branch)`
    "#);
    insta::assert_snapshot!(refused("nope(evnt, git.brnch) && event == 'psh' && event in ['push', 'tag']"), @r#"
    there is no function `nope`; there are `always`, `changed`, `failed`, `hash`, `passed`, `bool`, `bytes`, `double`, `dyn`, `has`, `int`, `matches`, `size`, `string`, `type`, `uint` [nope]
    there is no `evnt`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [evnt]; help: did you mean `event`?
    `git` has no `brnch`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [git.brnch]; help: did you mean `branch`?
    `event` is never `"psh"`; it is one of `push`, `pull_request`, `schedule`, `manual` ['psh']; help: did you mean `push`?
    `event` is never `"tag"`; it is one of `push`, `pull_request`, `schedule`, `manual` ['tag']
    "#);
    insta::assert_snapshot!(refused("git.sha.x && git.sha.x"), @r"
    `git.sha` is a string and has no `x` [git.sha.x]
    `git.sha` is a string and has no `x` [git.sha.x]
    ");
    insta::assert_snapshot!(refused("inputs.a.filter(x, x == git.nope).map(y, y + git.no) == git.branch && -git.sha > size(1, 2)"), @r"
    `git` has no `nope`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [git.nope]
    `git` has no `no`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [git.no]
    the value is a list and `git.branch` is a string, which are never equal [==]; help: convert with `string(…)`, `int(…)` or `double(…)`, or compare values of one type
    `git.sha` is a string, and `-` wants a number [-]
    `size` takes 1 argument here and was given 2 [size]; help: write it as `size(value)`
    ");
    insta::assert_snapshot!(refused("inputs.a.exists_one(x, 1 + git.sha == x) && inputs.b.exists(x, x[git.no] > 'a' - 1)"), @r#"
    `1` is a number and `git.sha` is a string, and `+` cannot combine them [+]; help: write `"1"`, or make a number of the string: `double(git.sha)`
    `git` has no `no`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [git.no]
    `"a"` is a string and `1` is a number, and `-` cannot combine them [-]; help: write the value without its quotes
    "#);
    insta::assert_snapshot!(refused("always && !changed(git.branch) && has(git.nope) && git.branch.startsWith(1).x"), @r#"
    `always` is a function [always]; help: write `always(…)`
    `changed` takes constant strings only [changed]; help: name the files, such as `changed("src/**")`
    `git` has no `nope`; it has `sha`, `ref`, `branch`, `tag`, `message`, `author`, `dirty` [has(git.nope)]
    the result of `startsWith` is true or false and has no `x` [git.branch.startsWith(1).x]
    `1` is a number, and `startsWith` wants a string [1]; help: make a string of it with `string(…)`, or write it in quotes
    "#);
}

#[test]
fn bad_arguments_are_refused() {
    insta::assert_snapshot!(refused("changed(git.branch)"), @r#"`changed` takes constant strings only [changed]; help: name the files, such as `changed("src/**")`"#);
    insta::assert_snapshot!(refused("hash()"), @r#"`hash()` needs at least one glob [hash]; help: name the files, such as `hash("src/**")`"#);
    insta::assert_snapshot!(refused("changed('a[')"), @"`a[` is not a glob: unclosed character class; missing ']' [changed]");
    insta::assert_snapshot!(refused("always(1)"), @"`always()` takes no arguments [always]");
}

#[test]
fn what_cannot_be_read_is_said_in_plain_words() {
    insta::assert_snapshot!(refused(""), @"the expression is empty");
    insta::assert_snapshot!(refused("event = 'push'"), @"`=` is no comparison [=]; help: write `==`");
    insta::assert_snapshot!(refused("true & false"), @"`&` is no operator [&]; help: write `&&`");
    insta::assert_snapshot!(refused("true and false"), @"`and` cannot stand here [and]; help: write `&&`");
    insta::assert_snapshot!(refused("${{ event }}"), @"`$` cannot stand in an expression [$]; help: write the name alone, without `${{ }}`");
    insta::assert_snapshot!(refused("event == 'push"), @r"a string is not closed, or has a bad escape [']; help: end it with `'`; write `\\` for a backslash");
    insta::assert_snapshot!(refused("(true"), @"the expression ends too early [e]");
    insta::assert_snapshot!(refused("true && (false))"), @"`)` cannot stand here [)]");
    insta::assert_snapshot!(refused("git.branch ==\n  == 'a'"), @"`==` cannot stand here [==]");
    insta::assert_snapshot!(refused("größe > 1"), @"`ö` cannot stand in a name [ö]; help: names have letters from a to z, digits and `_`");
    insta::assert_snapshot!(refused("99999999999999999999 > 1"), @"invalid int literal, at `99999999999999999999` [99999999999999999999]");
    insta::assert_snapshot!(refused("A{b: 1} == 1"), @r#"`A{…}` makes a message; there are none; help: a map is written `{"key": value}`"#);
    insta::assert_snapshot!(refused("for > 1"), @"reserved identifier: for, at `for` [for]");
}

#[test]
fn a_condition_without_a_truth_says_what_it_is() {
    insta::assert_snapshot!(failed("git.branch"), @r#"`git.branch` is a string (`"main"`), but a condition must be true or false; help: compare it with a value, such as `git.branch != ""`"#);
    insta::assert_snapshot!(failed("inputs.count"), @"`inputs.count` is a whole number (`3`), but a condition must be true or false; help: compare it with a value, such as `inputs.count > 0`");
    insta::assert_snapshot!(failed("needs"), @"`needs` is a map, but a condition must be true or false; help: compare it with a value, such as `size(needs) > 0`");
    insta::assert_snapshot!(failed("f1"), @"`f1` is a number (`0.83`), but a condition must be true or false; help: compare it with a value, such as `f1 > 0`");
}

#[test]
fn an_evaluation_that_fails_says_why() {
    insta::assert_snapshot!(failed("needs.imge.status == 'passed'"), @"`needs` has no `imge`; it has `2nd`, `build-arm`, `image` [needs.imge.status]; help: did you mean `image`?");
    insta::assert_snapshot!(failed("needs.lint.status == 'passed'"), @"`needs` has no `lint`; it has `2nd`, `build-arm`, `image` [needs.lint.status]; help: add `lint` to the `needs` of the stage");
    insta::assert_snapshot!(failed("needs.image.outputs.tag == ''"), @"`needs.image.outputs` has no `tag`; it has `digest` [needs.image.outputs.tag]; help: ask first, if it may be missing: `has(needs.image.outputs.tag)`");
    insta::assert_snapshot!(failed("env.MOD == ''"), @"`env` has no `MOD`; it has `MODE` [env.MOD]; help: did you mean `MODE`?");
    insta::assert_snapshot!(failed("pull_request.number == 1"), @r#"`pull_request` is null: no pull request started this run [pull_request.number]; help: ask first: `event == "pull_request" && …`"#);
    insta::assert_snapshot!(failed("git.branch + 1 == ''"), @r#"`git.branch + 1 == ''` has no value: a string (`"main"`) and a whole number (`1`) cannot be combined"#);
    insta::assert_snapshot!(failed("git.branch < 1"), @"`<` cannot be used on a string and a whole number; help: convert with `string(…)`, `int(…)` or `double(…)`, or compare values of one type");
    insta::assert_snapshot!(failed("inputs.count / 0 == 1"), @"`inputs.count / 0 == 1` has no value: it divides by zero");
    insta::assert_snapshot!(failed("inputs.regions[7] == ''"), @"`inputs.regions[7] == ''` has no value: the list has no place 7");
}

#[test]
fn a_missing_metric_fails_loudly_even_where_it_would_not_matter() {
    insta::assert_snapshot!(failed("f2 >= 0.8"), @"metric `f2` is missing; the stage published `critical`, `f1` [f2]; help: did you mean `f1`?");
    insta::assert_snapshot!(failed("true || recall > 1"), @"metric `recall` is missing; the stage published `critical`, `f1` [recall]");
    let expression = Expression::parse_gate("f1 >= baseline").unwrap();
    let nothing = expression.evaluate(&Scope::default()).unwrap_err();
    insta::assert_snapshot!(nothing, @"metric `f1` is missing; the stage published none");
    let metrics = BTreeMap::from([("f1".to_owned(), 1.0)]);
    let error = expression.evaluate(&Scope { metrics, ..Scope::default() }).unwrap_err();
    insta::assert_snapshot!(error, @"there is no last released run to take `baseline` from");
    assert!(expression.uses_baseline());
}

fn gate(metric: &str, comparison: &str) -> Gate {
    let expression = Expression::gate(metric, comparison).unwrap();
    Gate { metric: metric.to_owned(), comparison: comparison.to_owned(), expression }
}

#[test]
fn a_gate_says_what_it_wants() {
    let judged = |metric, comparison| {
        ask(|scope| judge_gate(&gate(metric, comparison), scope)).err().unwrap_or_default()
    };
    assert_eq!(judged("f1", ">= 0.8"), "");
    assert_eq!(judged("f1", ">= baseline - 0.02"), "");
    assert_eq!(judged("critical", "== 0"), "");
    insta::assert_snapshot!(judged("f1", ">= 0.85"), @"f1 is 0.83, gate `>= 0.85` wants more");
    insta::assert_snapshot!(judged("f1", ">= baseline"), @"f1 is 0.83, gate `>= baseline` wants more (baseline is 0.84)");
    insta::assert_snapshot!(judged("f1", "< 0.5"), @"f1 is 0.83, gate `< 0.5` wants less");
    insta::assert_snapshot!(judged("critical", "!= 0"), @"critical is 0, gate `!= 0` wants anything else");
    insta::assert_snapshot!(judged("f1", "== 1"), @"f1 is 0.83, gate `== 1` wants exactly that");
    insta::assert_snapshot!(judged("recall", ">= 1"), @"gate `recall >= 1` fails: metric `recall` is missing; the stage published `critical`, `f1`");
    let (metric, comparison) = ("f1".to_owned(), ">= 'a'".to_owned());
    let old = Gate { metric, comparison, expression: stored("f1 >= 'a'") };
    let told = ask(|scope| judge_gate(&old, scope)).unwrap_err();
    insta::assert_snapshot!(told, @"gate `f1 >= 'a'` fails: `>=` cannot be used on a number and a string");
}

#[test]
fn metrics_with_any_name_have_gates() {
    assert_eq!(gate("f1", ">= 0.8").expression.source(), "f1 >= 0.8");
    for name in ["rouge-l", "2xx_rate", "in", "event", "size-total", "p95.ms", "always", "int"] {
        let scope = Scope {
            metrics: BTreeMap::from([(name.to_owned(), 3.0)]),
            baseline: Some(1.0),
            ..Scope::default()
        };
        assert_eq!(judge_gate(&gate(name, ">= baseline + 2"), &scope), Ok(()), "{name}");
        assert!(judge_gate(&gate(name, "< 2 + 1"), &scope).is_err(), "{name}");
    }
}

#[test]
fn a_gate_that_is_no_comparison_is_refused() {
    let refused = |metric, comparison| {
        all_told(comparison, &Expression::gate(metric, comparison).unwrap_err())
    };
    insta::assert_snapshot!(refused("f1", "0.85"), @"`0.85` does not begin with a comparison; there are `>=`, `<=`, `==`, `!=`, `>`, `<`; help: write it as `>= 0.85`");
    insta::assert_snapshot!(refused("f1", "=> 0.85"), @"`=> 0.85` does not begin with a comparison; there are `>=`, `<=`, `==`, `!=`, `>`, `<`; help: write it as `>= 0.85`");
    insta::assert_snapshot!(refused("f1", "= 1"), @"`= 1` does not begin with a comparison; there are `>=`, `<=`, `==`, `!=`, `>`, `<`; help: write it as `== 1`");
    insta::assert_snapshot!(refused("f1", ">="), @"the expression ends too early [=]");
    insta::assert_snapshot!(refused("f1", ">= 5%"), @"the expression ends too early [%]");
    insta::assert_snapshot!(refused("f1", ">= basline - 1"), @"`basline` is neither a metric nor `baseline` [basline]; help: did you mean `baseline`?");
    insta::assert_snapshot!(refused("f 1", ">= 1"), @"`f 1` is no name of a metric; help: use letters, digits, `_`, `-`, `.` and `/`, at most 128 of them");
}

#[test]
fn references_are_listed_with_their_places() {
    let source = "needs.build-arm.status == 'passed' && needs['image'].outputs.x.contains(matrix.python) && [1].all(i, i < inputs.n)";
    let listed =
        Expression::parse(source).unwrap().references().into_iter().map(|it| {
            format!("{}/{} [{}]", it.root, it.path.join("/"), &source[it.span.0..it.span.1])
        });
    assert_eq!(
        listed.collect::<Vec<_>>(),
        [
            "needs/build-arm/status [needs.build-arm.status]",
            "needs/image/outputs/x [needs['image'].outputs.x]",
            "matrix/python [matrix.python]",
            "inputs/n [inputs.n]",
        ]
    );
}

#[test]
fn only_always_and_failed_override_the_needs() {
    let overrides = |source| Expression::parse(source).unwrap().overrides_needs();
    assert!(overrides("always()") && overrides("failed() && event == 'push'"));
    assert!(!overrides("passed()") && !overrides("git.message == 'always()'"));
}

#[test]
fn limits_hold_with_a_small_stack() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let big = [
        format!("'{}' == ''", "a".repeat(5000)),
        vec!["1"; 400].join("+"),
        nested("(1+", "1", ")", 200),
        nested("[", "1", "]", 200),
        nested("[1].map(x, ", "1", ")", 60),
        format!("env{}", "['a']".repeat(120)),
        format!("env{}", ".a()".repeat(120)),
        "true ? true : ".repeat(120) + "true",
        "true ? ".repeat(250) + "true",
        "! ".repeat(500) + "true",
        "- ".repeat(500) + "1",
        vec!["a == b"; 100].join(" && "),
        "[[1].map(x, [1].map(y, [1].map(z, 1)))].size() > 0".to_owned(),
        nested("{'a': ", "1", "}", 100),
    ];
    let check = move || {
        let context = context();
        let scope = Scope { context: Some(&context), ..Scope::default() };
        for source in &big {
            if let Ok(expression) = Expression::parse_gate(source) {
                drop(expression.evaluate(&scope));
            }
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(check).unwrap().join().unwrap();
    insta::assert_snapshot!(refused("[1].map(x, [1].map(y, [1].map(z, 1))) == []"), @"more than 2 loops are nested [z]; help: compute this in a step and publish it as an output");
    insta::assert_snapshot!(refused(&vec!["1"; 40].join("+")), @"the expression is nested too deeply; help: compute this in a step and publish it as an output");
    insta::assert_snapshot!(refused(&"a".repeat(4097)), @"the expression has 4097 bytes; at most 4096 are allowed");
}

fn resolve(template: &str) -> Result<String, ExpressionError> {
    let parsed = Template::parse(template).map_err(first)?;
    ask(|scope| parsed.resolve(scope))
}

#[test]
fn templates_are_filled_in() {
    for (template, wanted) in [
        ("", ""),
        ("plain $ {{ }} text", "plain $ {{ }} text"),
        ("python:${{ matrix.python }}-slim", "python:3.12-slim"),
        ("${{matrix.python}}${{ inputs.count }}", "3.123"),
        ("${{ needs.build-arm.outputs.digest }}", "sha256:1"),
        (
            "${{ inputs.count * 2 }} ${{ 1.5 }} ${{ 2.0 }} ${{ true }} [${{ null }}]",
            "6 1.5 2 true []",
        ),
        ("${{ needs.image.metrics.f1 }}", "0.5"),
        ("pip-${{ hash('requirements.lock') }}", "pip-abc123"),
        ("${{ '}}' }} ${{ {'a': {'b': 1}}.a.b }}", "}} 1"),
        ("$${{ not an expression }}", "${{ not an expression }}"),
        ("$$${{ x }} $", "$${{ x }} $"),
        ("${{ git.ref }}/ä", "refs/heads/main/ä"),
    ] {
        assert_eq!(resolve(template).as_deref(), Ok(wanted), "{template}");
    }
}

#[test]
fn a_bad_template_is_refused_where_it_is_wrong() {
    let refused = |template: &str| all_told(template, &Template::parse(template).unwrap_err());
    insta::assert_snapshot!(refused("a ${{ git.branch"), @"`${{` is not closed [${{]; help: close it with `}}`, or write `$${{` for the signs themselves");
    insta::assert_snapshot!(refused("a ${{ gti.branch }}"), @"there is no `gti`; there are `env`, `event`, `git`, `inputs`, `matrix`, `needs`, `pull_request` [gti]; help: did you mean `git`?");
    insta::assert_snapshot!(refused("ä ${{ event = 'a' }}"), @"`=` is no comparison [=]; help: write `==`");
    insta::assert_snapshot!(refused("${{ }}"), @"the expression is empty []");
    insta::assert_snapshot!(refused("${{ 'a }}"), @r"a string is not closed, or has a bad escape [']; help: end it with `'`; write `\\` for a backslash");
    insta::assert_snapshot!(resolve("${{ inputs.regions }}").unwrap_err(), @"`inputs.regions` is a list and cannot stand in a string");
    let template = "a ${{ env.MISSING }}";
    insta::assert_snapshot!(told(template, &resolve(template).unwrap_err()), @"`env` has no `MISSING`; it has `MODE` [env.MISSING]; help: ask first, if it may be missing: `has(env.MISSING)`");
}

#[test]
fn folding_leaves_what_must_wait() {
    let template =
        Template::parse("${{ matrix.python }}-${{ needs.image.status }}-${{ event }}").unwrap();
    assert!(template.is_dynamic());
    let folded = ask(|scope| template.fold(scope)).unwrap();
    assert_eq!(folded.source(), "3.12-${{ needs.image.status }}-push");
    assert!(folded.is_dynamic() && folded.as_text().is_none());
    assert_eq!(ask(|scope| folded.resolve(scope)).unwrap(), "3.12-passed-push");
    let plain = ask(|scope| Template::parse("${{ event }}").unwrap().fold(scope)).unwrap();
    assert!(!plain.is_dynamic());
    assert_eq!(plain.as_text().as_deref(), Some("push"));
}

#[test]
fn a_value_that_looks_like_an_expression_is_never_run() {
    let title = "$${{ git.sha }} ${{ env.SECRET }} $$";
    let context = Context {
        pull_request: Some(PullRequestContext { title: title.to_owned(), ..Default::default() }),
        ..context()
    };
    let scope = Scope {
        context: Some(&context),
        needs: BTreeMap::from([("image".to_owned(), need(StageStatus::Passed))]),
        ..Scope::default()
    };
    let template = Template::parse("${{ pull_request.title }}${{ needs.image.status }}").unwrap();
    let folded = template.fold(&scope).unwrap();
    let again = folded.fold(&scope).unwrap();
    let wanted = format!("{title}passed");
    assert_eq!(folded.resolve(&scope).unwrap(), wanted);
    assert_eq!(again.resolve(&scope).unwrap(), wanted);
    let stored: Template = serde_json::from_str(&serde_json::to_string(&folded).unwrap()).unwrap();
    assert_eq!(stored.resolve(&scope).unwrap(), wanted);
}

#[test]
fn references_of_templates_have_their_places() {
    let source = "ä-${{ needs.a-b.outputs.x }}-${{ matrix.python }}";
    let template = Template::parse(source).unwrap();
    let places: Vec<_> =
        template.references().iter().map(|it| source[it.span.0..it.span.1].to_owned()).collect();
    assert_eq!(places, ["needs.a-b.outputs.x", "matrix.python"]);
    assert_eq!(Template::parse("${{ hash('a') }}").unwrap().hash_calls(), [vec!["a".to_owned()]]);
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(source in any::<String>()) {
        drop(Expression::parse(&source));
        drop(Template::parse(&source));
    }

    #[test]
    fn no_text_of_known_words_makes_anything_panic(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..30),
        space in prop::sample::select(vec!["", " "]),
    ) {
        let source = words.join(space);
        for error in Expression::parse_gate(&source).err().unwrap_or_default() {
            let (from, to) = error.span.unwrap_or_default();
            prop_assert!(source.get(from..to).is_some(), "{error:?}");
        }
        if let Ok(expression) = Expression::parse_gate(&source) {
            drop(ask(|scope| expression.evaluate(scope)));
            for it in expression.references() {
                prop_assert!(source.get(it.span.0..it.span.1).is_some());
            }
        }
        if let Ok(template) = Template::parse(&format!("${{{{{source}}}}}")) {
            drop(ask(|scope| template.resolve(scope)));
        }
    }

    #[test]
    fn literal_text_stays_as_it_is(text in "[${} a]{0,12}") {
        let template = Template::literal(&text);
        prop_assert_eq!(template.as_text(), Some(text.clone()));
        prop_assert_eq!(template.resolve(&Scope::default()), Ok(text.clone()));
        prop_assert_eq!(template.fold(&Scope::default()).unwrap(), template);
    }

    #[test]
    fn folding_first_changes_no_result(before in "[${} a]{0,4}", name in "[${}a]{0,6}") {
        let matrix = BTreeMap::from([("n".to_owned(), name)]);
        let scope = Scope {
            matrix: Some(&matrix),
            needs: BTreeMap::from([("a".to_owned(), need(StageStatus::Passed))]),
            ..Scope::default()
        };
        let source = format!("{before}${{{{ matrix.n }}}}${{{{ needs.a.status }}}}$");
        if let Ok(template) = Template::parse(&source) {
            let folded = template.fold(&scope).unwrap();
            prop_assert_eq!(folded.resolve(&scope), template.resolve(&scope));
        }
    }
}

const WORDS: [&str; 48] = [
    "event", "git", "needs", "matrix", "inputs", "metrics", "baseline", "f1", "env", "branch",
    "regions", "a-b", "2nd", "status", "outputs", ".", ".", ".", "[", "]", "(", ")", "{", "}", ",",
    ":", "?", "==", "&&", "||", "!", "-", "+", "*", "/", "%", "in", "1", "0.5", "'a'", "\"ä\"",
    "null", "true", "all", "map", "exists", "has", "changed",
];
