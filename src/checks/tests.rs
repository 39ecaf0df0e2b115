use proptest::prelude::*;

use super::*;

/// Metrics, then one line for each failure.
fn told(report: Result<Report, ReportError>) -> String {
    let report = match report {
        Ok(report) => report,
        Err(error) => return error.to_string(),
    };
    let metrics: Vec<_> = report.metrics.iter().map(|(name, it)| format!("{name} {it}")).collect();
    let mut lines = vec![metrics.join(", ")];
    for it in report.failures {
        let line = it.line.map(|it| format!(":{it}")).unwrap_or_default();
        let place = it.file.map(|it| format!(" ({it}{line})")).unwrap_or_default();
        lines.push(format!("{}{place}: {}", it.name, it.message));
    }
    if report.failures_left_out > 0 {
        lines.push(format!("and {} more", report.failures_left_out));
    }
    lines.join("\n")
}

fn junit(text: &str) -> String {
    told(junit::read("out/junit.xml", text.as_bytes()))
}

#[test]
fn pytest_reports_are_read() {
    let report = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.062" timestamp="2026-11-23T10:00:00" hostname="box">
<testcase classname="tests.test_app" name="test_ok" time="0.001" />
<testcase classname="tests.test_app" name="test_bad[a&lt;b]" time="0.002"><failure message="AssertionError: assert 1 == 2&#10;  +  where 1 = f()">def test_bad():
&gt;       assert f() == 2
E       AssertionError</failure></testcase>
<testcase classname="tests.test_app" name="test_skip" time="0.000"><skipped type="pytest.skip" message="no gpu">tests/test_app.py:9: no gpu</skipped></testcase>
<testcase classname="tests.test_app" name="test_setup" time="0.000"><error message="failed on setup with &quot;KeyError: 'x'&quot;">trace</error><system-out><![CDATA[<noise>]]></system-out></testcase>
</testsuite></testsuites>"#;
    insta::assert_snapshot!(junit(report), @r#"
    tests_duration_seconds 0.062, tests_failed 2, tests_passed 1, tests_skipped 1, tests_total 4
    tests.test_app::test_bad[a<b]: AssertionError: assert 1 == 2
      +  where 1 = f()
    def test_bad():
    >       assert f() == 2
    E       AssertionError
    tests.test_app::test_setup: failed on setup with "KeyError: 'x'"
    trace
    "#);
}

#[test]
fn nextest_reports_are_read() {
    let report = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0" uuid="x" timestamp="2026-11-23T10:00:00.000+00:00" time="1.500">
    <testsuite name="trunkline" tests="3" disabled="0" errors="0" failures="1">
        <testcase name="engine::tests::a" classname="trunkline" timestamp="t" time="0.900"></testcase>
        <testcase name="engine::tests::b" classname="trunkline" timestamp="t" time="1.100">
            <failure type="test failure">thread &#39;b&#39; panicked at src/x.rs:1:2:
boom &amp; bust</failure>
            <rerunFailure type="test failure">again</rerunFailure>
            <system-err>noise</system-err>
        </testcase>
        <testcase name="engine::tests::flaky" classname="trunkline" time="0.1"><flakyFailure type="x">first try</flakyFailure></testcase>
    </testsuite>
</testsuites>"#;
    insta::assert_snapshot!(junit(report), @r"
    tests_duration_seconds 1.5, tests_failed 1, tests_passed 2, tests_skipped 0, tests_total 3
    trunkline::engine::tests::b: thread 'b' panicked at src/x.rs:1:2:
    boom & bust
    ");
}

#[test]
fn gradle_reports_and_nested_suites_are_read() {
    let report = r#"<testsuites><testsuite name="outer" time="1,234.5">
  <properties><property name="a" value="b"/></properties>
  <testsuite name="com.acme.FooTest" time="3.0"><testcase name="bar()" classname="com.acme.FooTest" time="2.5" file="src/FooTest.java" line="12"><failure message="" type="java.lang.AssertionError">expected: &lt;1&gt;</failure><error message="teardown"/></testcase></testsuite>
  <testsuite name="empty" tests="0"/>
</testsuite><testsuite name="second" time="0.5"><testcase name="only name"/><testcase><skipped/></testcase></testsuite></testsuites>"#;
    insta::assert_snapshot!(junit(report), @r"
    tests_duration_seconds 1235, tests_failed 1, tests_passed 1, tests_skipped 1, tests_total 3
    com.acme.FooTest::bar() (src/FooTest.java:12): expected: <1>
    ");
}

#[test]
fn what_is_no_report_is_refused_with_its_line() {
    insta::assert_snapshot!(junit(""), @"out/junit.xml:1: is no JUnit report: it is empty");
    insta::assert_snapshot!(junit("\n<html></html>"), @"out/junit.xml:2: is no JUnit report: it begins with `html`, not with `testsuites` or `testsuite`");
    insta::assert_snapshot!(junit("<testsuite>\n<testcase>\n</testsuite>"), @"out/junit.xml:3: is no XML: ill-formed document: expected `</testcase>`, but `</testsuite>` was found");
    insta::assert_snapshot!(junit("<testsuite>\n<testcase name='a'>"), @"out/junit.xml:2: ends in the middle of an element");
    insta::assert_snapshot!(junit(&format!("<testsuite>{}", "<a>".repeat(200))), @"out/junit.xml:1: elements are nested deeper than 128");
    let utf16: Vec<u8> = [0xff, 0xfe, b'<', 0].to_vec();
    insta::assert_snapshot!(told(junit::read("j.xml", &utf16)), @"j.xml:1: the report is UTF-16; write it as UTF-8");
    let huge = vec![b' '; REPORT_BYTES_MAX + 1];
    insta::assert_snapshot!(told(junit::read("j.xml", &huge)), @"j.xml:1: the report has 67108865 bytes; at most 67108864 are read");
}

#[test]
fn entities_that_a_report_declares_are_refused() {
    let bomb = "<?xml version='1.0'?>\n<!DOCTYPE lolz [\n <!ENTITY lol 'lol'>\n <!ENTITY lol2 '&lol;&lol;'>\n]>\n<testsuite><testcase name='&lol2;'/></testsuite>";
    insta::assert_snapshot!(junit(bomb), @"out/junit.xml:5: declares entities, which are not allowed");
    insta::assert_snapshot!(junit("<testsuite><testcase name='a'><failure>&other; &#65; & b</failure></testcase></testsuite>"), @r"
    tests_duration_seconds 0, tests_failed 1, tests_passed 0, tests_skipped 0, tests_total 1
    a: &other; A & b
    ");
}

#[test]
fn only_so_many_failures_are_kept_and_their_text_is_cut() {
    let case = format!("<testcase name='t'><failure>{}</failure></testcase>", "é".repeat(5000));
    let text = format!("<testsuite>{}</testsuite>", case.repeat(1003));
    let report = junit::read("j.xml", text.as_bytes()).unwrap();
    assert_eq!((report.failures.len(), report.failures_left_out), (1000, 3));
    assert_eq!(report.tests.unwrap().failed, 1003);
    assert_eq!(report.failures[0].message.len(), 4096);
}

#[test]
fn output_that_is_no_utf_8_does_not_spoil_a_report() {
    let bytes =
        b"<testsuite><testcase name='a'><failure>\xff\xfe bytes</failure></testcase></testsuite>";
    let report = junit::read("j.xml", bytes).unwrap();
    assert_eq!(report.failures[0].message, "\u{fffd}\u{fffd} bytes");
}

fn coverage(text: &str) -> String {
    told(cobertura::read("cov.xml", text.as_bytes()))
}

#[test]
fn cobertura_reports_are_read() {
    let stated = r#"<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "https://raw.githubusercontent.com/cobertura/web/master/htdocs/xml/coverage-04.dtd">
<coverage version="7.6" timestamp="1" lines-valid="8" lines-covered="6" line-rate="0.75" branches-covered="1" branches-valid="4" branch-rate="0.25" complexity="0"><packages/></coverage>"#;
    insta::assert_snapshot!(coverage(stated), @"coverage_branch 0.25, coverage_branches_covered 1, coverage_branches_total 4, coverage_line 0.75, coverage_lines_covered 6, coverage_lines_total 8");
    let counted = r#"<coverage line-rate="0.5"><packages><package><classes><class>
<methods><method><lines><line number="1" hits="1"/></lines></method></methods>
<lines><line number="1" hits="1" branch="true" condition-coverage="50% (1/2)"/><line number="2" hits="0"/></lines>
</class></classes></package></packages></coverage>"#;
    insta::assert_snapshot!(coverage(counted), @"coverage_branch 0.5, coverage_branches_covered 1, coverage_branches_total 2, coverage_line 0.5, coverage_lines_covered 1, coverage_lines_total 2");
    insta::assert_snapshot!(coverage(r#"<coverage line-rate="0.9" branch-rate="0"/>"#), @"coverage_line 0.9");
    insta::assert_snapshot!(coverage("<coverage/>"), @"cov.xml:1: is no Cobertura report: `coverage` has no `line-rate`");
    insta::assert_snapshot!(coverage("<report name='jacoco'/>"), @"cov.xml:1: is no Cobertura report: it begins with `report`, not with `coverage`");
}

#[test]
fn several_reports_add_up() {
    let read = |covered, valid| {
        let text =
            format!("<coverage line-rate='1' lines-covered='{covered}' lines-valid='{valid}'/>");
        cobertura::read("c.xml", text.as_bytes()).unwrap()
    };
    let mut report = read(10, 10);
    report.merge(read(0, 30));
    report.merge(junit::read("j.xml", b"<testsuite><testcase name='a'/></testsuite>").unwrap());
    report.merge(
        junit::read("j.xml", b"<testsuite><testcase><error/></testcase></testsuite>").unwrap(),
    );
    assert_eq!(report.tests, Some(TestCounts { passed: 1, failed: 1, skipped: 0 }));
    insta::assert_snapshot!(told(Ok(report)), @r"
    coverage_line 0.25, coverage_lines_covered 10, coverage_lines_total 40, tests_duration_seconds 0, tests_failed 1, tests_passed 1, tests_skipped 0, tests_total 2
    a test without a name: 
    ");
}

fn sarif(text: &str) -> String {
    told(sarif::read("scan.sarif", text.as_bytes()))
}

#[test]
fn sarif_reports_are_read() {
    let report = r#"{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
 "tool": {"driver": {"name": "trivy", "rules": [
   {"id": "CVE-1", "defaultConfiguration": {"level": "error"}}, {"id": "CVE-2", "shortDescription": {"text": "x"}}]}},
 "results": [
  {"ruleId": "CVE-2", "ruleIndex": 1, "message": {"text": "no level anywhere"}},
  {"ruleId": "CVE-1", "message": {"text": " heap overflow "}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "usr/lib/x.so"}, "region": {"startLine": 3}}}]},
  {"rule": {"index": 0}, "message": {"text": "by index"}},
  {"ruleId": "N", "level": "note", "message": {"text": "a note"}},
  {"ruleId": "P", "kind": "pass", "message": {"text": "fine"}},
  {"ruleId": "S", "level": "error", "suppressions": [{"kind": "inSource"}], "message": {"text": "known"}},
  {"ruleId": "R", "level": "error", "suppressions": [{"kind": "external", "status": "rejected"}], "message": {"text": "not let off"}},
  {"ruleId": "O", "level": "none", "message": {"text": "off"}}]},
 {"tool": {"driver": {"name": "broken"}}, "results": null}]}"#;
    insta::assert_snapshot!(sarif(report), @r"
    sarif_errors 3, sarif_notes 1, sarif_warnings 1
    CVE-1 (usr/lib/x.so:3): heap overflow
    CVE-1: by index
    R: not let off
    CVE-2: no level anywhere
    ");
}

#[test]
fn what_is_no_sarif_is_refused() {
    insta::assert_snapshot!(sarif("{\n  \"version\": \"2.1.0\",\n  x"), @"scan.sarif:3: is no SARIF report: key must be a string at line 3 column 3");
    insta::assert_snapshot!(sarif(r#"{"version": "1.0.0", "runs": []}"#), @"scan.sarif:1: is SARIF `1.0.0`; only `2.1.0` is read");
    insta::assert_snapshot!(sarif("{}"), @"scan.sarif:1: is no SARIF report: missing field `version` at line 1 column 2");
    let deep = format!("{{\"version\": \"2.1.0\", \"x\": {}", "[".repeat(100_000));
    insta::assert_snapshot!(sarif(&deep), @"scan.sarif:1: is no SARIF report: EOF while parsing a list at line 1 column 100026");
}

#[test]
fn only_so_many_findings_are_kept_errors_first() {
    let finding =
        |level| format!(r#"{{"ruleId": "{level}", "level": "{level}", "message": {{}}}}"#);
    let results = [vec![finding("warning"); 1200], vec![finding("error"); 900]].concat().join(",");
    let text = format!(r#"{{"version": "2.1.0", "runs": [{{"results": [{results}]}}]}}"#);
    let report = sarif::read("s.sarif", text.as_bytes()).unwrap();
    let errors = report.failures.iter().filter(|it| it.name == "error").count();
    assert_eq!((report.failures.len(), errors, report.failures_left_out), (1000, 900, 1100));
    assert!((report.metrics["sarif_warnings"] - 1200.0).abs() < f64::EPSILON);
}

fn cases(text: &str) -> Cases {
    junit::read("junit.xml", text.as_bytes()).unwrap().cases
}

#[test]
fn cases_are_told_by_name_with_what_came_of_them() {
    let cases = cases(
        r#"<testsuites name="run"><testsuite name="shop"><testsuite name="">
<testcase classname="cart" name="bad" time="0.5" file="cart.rs" line="7"><failure message="3 is not 4"/></testcase>
<testcase name="broken"><error>no door</error></testcase>
<testcase name="retried"><flakyFailure message="late">trace</flakyFailure><flakyError/></testcase>
<testcase name="gone"><rerunFailure/><failure message="again"/></testcase>
<testcase name="fine" time="2"/><testcase name="slow" time="1,000.5"/><testcase name="left"><skipped/></testcase>
</testsuite></testsuite></testsuites>"#,
    );
    let line = |it: &Case| {
        let took = it.seconds.map(|it| format!(" {it}")).unwrap_or_default();
        let line = format!("{} {} {}{took} {}", it.suite, it.name, it.outcome, it.message);
        line.trim_end().to_owned()
    };
    let lines: Vec<_> = cases.told.iter().chain(&cases.slowest).map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    shop cart::bad failed 0.5 3 is not 4
    shop broken error no door
    shop retried flaky late
    trace
    shop gone failed again
    shop slow passed 1000.5
    shop fine passed 2
    ");
    let has_passed = |name| cases.has_passed(CaseId::of("shop", name));
    assert_eq!(["fine", "retried", "broken", "left"].map(has_passed), [true, true, false, false]);
}

#[test]
fn attempts_that_ran_the_same_cases_are_recognised_in_whatever_order_and_files() {
    let suite = |cases: &str| cases_of_suite(cases).executed();
    let all = suite(r#"<testcase name="a"/><testcase name="b"><failure/></testcase>"#);
    assert_eq!(all, suite(r#"<testcase name="b"/><testcase name="a"><error/></testcase>"#));
    assert_ne!(all, suite(r#"<testcase name="a"/><testcase name="b"><skipped/></testcase>"#));
    assert_ne!(all, suite(r#"<testcase name="a"/>"#));
    let mut two = Report { cases: cases_of_suite(r#"<testcase name="b"/>"#), ..Report::default() };
    two.merge(Report { cases: cases_of_suite(r#"<testcase name="a"/>"#), ..Report::default() });
    assert_eq!(two.cases.executed(), all);
    let id = CaseId::of("shop", "a");
    assert_eq!(CaseId::parse(&id.to_string()), Some(id));
    assert_ne!(CaseId::of("ab", "c"), CaseId::of("a", "bc"));
}

fn cases_of_suite(inner: &str) -> Cases {
    cases(&format!(r#"<testsuite name="shop">{inner}</testsuite>"#))
}

#[test]
fn only_so_many_cases_are_kept_and_the_slowest_are_the_slowest() {
    let one = |n: usize| {
        let bad = if n < 700 { "<failure/>" } else { "" };
        format!(r#"<testcase name="t{n}" time="{}">{bad}</testcase>"#, (n * 37) % 1000)
    };
    let cases = cases_of_suite(&(0..1000).map(one).collect::<String>());
    assert_eq!((cases.told.len(), cases.left_out, cases.is_whole()), (500, 200, false));
    let slowest: Vec<_> = cases.slowest.iter().filter_map(|it| it.seconds).collect();
    assert_eq!(slowest.len(), SLOWEST_MAX);
    assert!(slowest.is_sorted_by(|a, b| a >= b), "{slowest:?}");
}

#[test]
fn findings_have_their_level_the_worst_first_over_several_reports() {
    let of = |level: &str, count: usize| {
        let result = format!(r#"{{"ruleId": "{level}", "level": "{level}", "message": {{}}}}"#);
        let results = vec![result; count].join(",");
        let text = format!(r#"{{"version": "2.1.0", "runs": [{{"results": [{results}]}}]}}"#);
        sarif::read("s.sarif", text.as_bytes()).unwrap()
    };
    let mut all = of("note", 400);
    all.merge(of("error", 150));
    let count = |level| all.findings.iter().filter(|it| it.level == level).count();
    assert_eq!(all.findings.first().map(|it| it.level), Some(FindingLevel::Error));
    let counts = (count(FindingLevel::Error), count(FindingLevel::Note), all.findings_left_out);
    assert_eq!(counts, (150, 350, 50));
}

fn lines<T: std::fmt::Debug>(published: &published::Published<T>) -> String {
    let values = published.values.iter().map(|(name, it)| format!("{name} = {it:?}"));
    let problems = published.problems.iter().map(ToString::to_string);
    values.chain(problems).collect::<Vec<_>>().join("\n")
}

#[test]
fn metrics_are_read_and_bad_lines_reported() {
    let text = br#"{"name": "f1", "value": 0.9}

{"rouge_l": 0.4, "p95_ms": 120}
{"name": "f1", "value": 0.95, "unit": "ratio"}
{"name": "a"}
{"name": 3, "value": 4}
f1=0.9
{"nan": NaN}
{"big": 1e999}
{"text": "0.9", "ok": 1}
{"b c": 1}
[1]
{}"#;
    insta::assert_snapshot!(lines(&published::metrics(text)), @r#"
    f1 = 0.95
    name = 3.0
    ok = 1.0
    p95_ms = 120.0
    rouge_l = 0.4
    value = 4.0
    line 5: `a` has no `value`
    line 7: is no JSON: expected ident at column 2; write `{"name": value}`
    line 8: is no JSON: expected value at column 9; write `{"name": value}`
    line 9: is no JSON: number out of range at column 13; write `{"name": value}`
    line 10: `text` is "0.9", not a finite number
    line 11: `b c` is no name of a metric; use letters, digits, `_`, `-`, `.` and `/`, at most 128
    line 12: is no JSON object; write `{"name": value}`
    line 13: names no metric; write `{"name": value}`
    "#);
}

#[test]
fn outputs_are_read_and_bad_lines_reported() {
    let text = b"digest=sha256:1\r\nurl=https://a/?b=c<<d\nempty=\nnotes<<END\nline 1\n  END\n\xc3\xa4\nEND\n\
        digest=sha256:2\nno value\n1st=x\nbad=\xff\nspaced key=1\nopen<<\nlast<<EOF\nnever closed";
    insta::assert_snapshot!(lines(&published::outputs(text)), @r#"
    digest = "sha256:2"
    empty = ""
    notes = "line 1\n  END\nä"
    url = "https://a/?b=c<<d"
    line 10: `no value` is no `key=value`
    line 11: `1st` is no key; use letters, digits, `_` and `-`, beginning with a letter
    line 12: is not UTF-8
    line 13: `spaced key` is no key; use letters, digits, `_` and `-`, beginning with a letter
    line 14: `open<<` names no end
    line 15: `last<<EOF` is never closed by a line `EOF`
    "#);
}

#[test]
fn what_is_published_is_bounded() {
    let many: Vec<_> = (0..1500).map(|it| format!("{{\"m{it}\": 1}}")).collect();
    let published = published::metrics(many.join("\n").as_bytes());
    assert_eq!((published.values.len(), published.problems.len()), (1000, 500));
    let large = format!("a={}\nb=1\na=2\nc={}\n", "x".repeat(65_000), "y".repeat(65_000));
    let published = published::outputs(large.as_bytes());
    assert_eq!(published.values.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let published = published::outputs(format!("k={}", "x".repeat(65_536)).as_bytes());
    insta::assert_snapshot!(lines(&published), @"line 1: `k` with 65537 bytes is too much; all outputs together may have 65536, so hand on large things as artifacts");
    let published = published::outputs(&vec![b'\n'; published::FILE_BYTES_MAX + 1]);
    insta::assert_snapshot!(lines(&published), @"line 1: the file has 4194305 bytes; at most 4194304 are read");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(junit::read("a", &bytes));
        drop(cobertura::read("a", &bytes));
        drop(sarif::read("a", &bytes));
        drop(published::metrics(&bytes));
        drop(published::outputs(&bytes));
    }

    #[test]
    fn no_pieces_of_a_report_make_a_reader_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..30),
    ) {
        let text = pieces.concat();
        for root in ["testsuites", "coverage line-rate='1'"] {
            let text = format!("<{root}>{text}</{}>", root.split(' ').next().unwrap());
            drop(junit::read("a", text.as_bytes()));
            drop(cobertura::read("a", text.as_bytes()));
        }
        drop(published::outputs(text.as_bytes()));
    }

    #[test]
    fn any_output_comes_back_through_a_heredoc(value in "[a-z=<\n ä]{0,40}") {
        let published = published::outputs(format!("key<<_end_\n{value}\n_end_\n").as_bytes());
        prop_assert_eq!(published.values.get("key"), Some(&value));
    }
}

const PIECES: [&str; 20] = [
    "<testsuite time='1'>",
    "</testsuite>",
    "<testcase name='a' time='x'>",
    "</testcase>",
    "<failure message='m'>",
    "</failure>",
    "<skipped/>",
    "<error/>",
    "text",
    "&amp;",
    "&x;",
    "&",
    "<![CDATA[c]]>",
    "<!-- c -->",
    "<lines>",
    "<line hits='1' condition-coverage='(1/'/>",
    "a=b\n",
    "c<<d\n",
    "<?pi?>",
    "<methods>",
];
