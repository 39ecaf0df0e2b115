use super::*;

fn diagnostic(text: &str, start: usize, len: usize) -> String {
    let diagnostic = Diagnostic {
        code: "pipeline/test",
        severity: Severity::Error,
        message: "it is `wrong`".to_owned(),
        help: Some("write it right".to_owned()),
        file: "ci.yml".to_owned(),
        span: Span { start, len },
        line: 12,
        column: 3,
    };
    diagnostic.render(&[SourceFile { name: "ci.yml".to_owned(), text: text.to_owned() }])
}

#[test]
fn the_source_line_is_underlined_and_the_help_follows() {
    let shown = diagnostic("one: 1\ntwo: 22 # x\n", 12, 2);
    insta::assert_snapshot!(shown, @r"
    error[pipeline/test]: it is `wrong`
      --> ci.yml:12:3
       |
    12 | two: 22 # x
       |      ^^
       = help: write it right
    ");
}

#[test]
fn a_span_over_several_lines_is_underlined_to_the_end_of_its_first() {
    let shown = diagnostic("a:\r\n  b: 1\r\n  c: 2\r\n", 6, 12);
    assert!(shown.contains("12 |   b: 1\n   |   ^^^^\n"), "{shown}");
}

#[test]
fn a_long_line_is_cut_around_the_problem() {
    let text = format!("{}HERE{}", "x".repeat(5000), "y".repeat(5000));
    let shown = diagnostic(&text, 5000, 4);
    let line = shown.lines().nth(3).unwrap();
    let marks = shown.lines().nth(4).unwrap();
    let chars: Vec<char> = line.chars().collect();
    let at = marks.chars().position(|c| c == '^').unwrap();
    assert_eq!(chars[at..at + 4].iter().collect::<String>(), "HERE");
    assert!(line.chars().count() < 125, "{line}");
}

#[test]
fn a_span_outside_the_text_is_moved_into_it() {
    assert!(diagnostic("ä", 1, 900).contains("12 | ä"));
    assert!(diagnostic("", 7, 7).contains("12 |\n"));
}
