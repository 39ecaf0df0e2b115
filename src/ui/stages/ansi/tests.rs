use std::sync::LazyLock;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn print(line: &str) -> String {
    Printer::default().print(line)
}

fn all(lines: &[&str]) -> String {
    let mut printer = Printer::default();
    lines.iter().map(|it| printer.print(it)).collect::<Vec<_>>().join("\n")
}

#[test]
fn plain_text_is_escaped_and_keeps_its_tabs() {
    assert_snapshot!(print("a\t<b> & \"c\" 'd' ü"), @"a	&#60;b&#62; &#38; &#34;c&#34; &#39;d&#39; ü");
    assert_eq!(print(""), "");
}

#[test]
fn colours_of_all_kinds_become_classes() {
    assert_snapshot!(print("\u{1b}[31mred\u{1b}[0m plain"), @r#"<span class="f1">red</span> plain"#);
    assert_snapshot!(print("\u{1b}[1;92;44mx"), @r#"<span class="g4 h10 bold">x</span>"#);
    assert_snapshot!(print("\u{1b}[38;5;208mx\u{1b}[48;5;17my"), @r#"<span class="f208">x</span><span class="g17 h208">y</span>"#);
    assert_snapshot!(print("\u{1b}[38;2;255;0;0mx"), @r#"<span class="f196">x</span>"#);
    assert_snapshot!(print("\u{1b}[38:2::255:0:0mx\u{1b}[48:5:4my"), @r#"<span class="f196">x</span><span class="g4 h196">y</span>"#);
    assert_snapshot!(print("\u{1b}[31mx\u{1b}[39my\u{1b}[107mz\u{1b}[49m."), @r#"<span class="f1">x</span>y<span class="g15">z</span>."#);
}

#[test]
fn styles_of_all_kinds_become_classes() {
    assert_snapshot!(
        print("\u{1b}[2;3;4;9ma\u{1b}[22;23mb\u{1b}[24mc\u{1b}[29md\u{1b}[4:3me\u{1b}[4:0mf"),
        @r#"<span class="dim italic under-strike">a</span><span class="under-strike">b</span><span class="strike">c</span>d<span class="under">e</span>f"#
    );
    assert_snapshot!(print("\u{1b}[7mx\u{1b}[31my\u{1b}[27mz"), @r#"<span class="gi">x</span><span class="g1">y</span><span class="f1">z</span>"#);
    assert_snapshot!(print("\u{1b}[8mpassword"), @"password");
}

#[test]
fn what_nobody_knows_changes_nothing() {
    for codes in ["38;5;999", "38;9", "38;5", "38", "48;2;1;2", "999", "?1", ">4;1", "58;5;1"] {
        assert_eq!(print(&format!("\u{1b}[{codes}mx")).replace('x', ""), "", "{codes}");
    }
    assert_eq!(print("\u{1b}[58;5;1;31mx"), "<span class=\"f1\">x</span>");
}

#[test]
fn a_colour_goes_on_until_it_is_ended() {
    assert_snapshot!(all(&["\u{1b}[32mone", "two", "", "three\u{1b}[m", "four"]), @r#"
    <span class="f2">one</span>
    <span class="f2">two</span>
    <span class="f2"></span>
    <span class="f2">three</span>
    four
    "#);
    let mut printer = Printer::default();
    printer.skip("\u{1b}[32mone\u{1b}[1m");
    assert_eq!(printer.print("x"), "<span class=\"f2 bold\">x</span>");
    printer.reset();
    assert_eq!(printer.print("x"), "x");
}

#[test]
fn a_line_that_was_written_over_shows_what_came_last() {
    assert_eq!(print("  1%\r 50%\r100%"), "100%");
    assert_eq!(print("100%\r"), "100%");
    assert_eq!(print("downloading\rdone"), "doneloading");
    assert_eq!(print("downloading\r\u{1b}[Kdone"), "done");
    assert_eq!(print("downloading\u{1b}[2K\rdone"), "done");
    assert_eq!(print("abc\u{1b}[2Kd"), "   d");
    assert_eq!(print("abcdef\u{1b}[3G\u{1b}[1Kx"), "  xdef");
    assert_eq!(print("abc\u{8}\u{8}x"), "axc");
    assert_eq!(print("ab\u{1b}[5Cx\u{1b}[2Dy"), "ab    yx");
    assert_snapshot!(print("\u{1b}[31m####\u{1b}[0m\r\u{1b}[32m##"), @r###"<span class="f2">##</span><span class="f1">##</span>"###);
}

#[test]
fn a_link_leads_to_the_web_or_nowhere() {
    assert_snapshot!(
        print("see \u{1b}]8;id=1;https://a.example/?x=1&y=\"<\u{1b}\\the \u{1b}[1mdocs\u{1b}[m\u{1b}]8;;\u{7}."),
        @r#"see <a href="https://a.example/?x=1&#38;y=&#34;&#60;" rel="noopener noreferrer nofollow" target="_blank">the <span class="bold">docs</span></a>."#
    );
    for address in [
        "javascript:alert(1)",
        "data:text/html,x",
        " https://a",
        "//a",
        "ftp://a",
        "https:\\\\a",
        "/x",
    ] {
        assert_eq!(print(&format!("\u{1b}]8;;{address}\u{7}x\u{1b}]8;;\u{7}")), "x", "{address}");
    }
    let long = format!("\u{1b}]8;;https://a/{}\u{7}x", "y".repeat(2048));
    assert_eq!(print(&long), "x");
}

#[test]
fn every_other_control_is_left_out() {
    let line = "\u{1b}]0;title\u{7}a\u{1b}[?25lb\u{7}c\u{1b}[2;5Hd\u{0}e\u{1b}(Bf\u{1b}7g\u{9b}h\u{7f}i\u{1b}Pq\u{1b}\\j";
    assert_eq!(print(line), "abcdefghij");
    assert_eq!(print("a\u{1b}]0;this is not ended <b>"), "a0;this is not ended &#60;b&#62;");
    assert_eq!(plain("\u{1b}[1mone\u{1b}[0m\rt<"), "t<e");
}

#[test]
fn a_line_has_a_bounded_number_of_columns() {
    let far = "\u{1b}[65535C".repeat(1000);
    assert_eq!(print(&format!("{far}x")), "");
    assert!(print(&format!("\u{1b}[30000Gx{far}y")).len() < 40_000);
}

/// Reads back what a printer wrote; fails on anything that it never writes.
fn read(html: &str) -> Result<String, String> {
    static TAG: LazyLock<regex::Regex> = LazyLock::new(|| {
        regex::Regex::new(
        "^(?:<span class=\"(?:[a-z0-9-]+ ?)+\">|</span>|<a href=\"https?://[^\"<>]*\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">|</a>)",
        )
        .unwrap()
    });
    let (mut text, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '<' => {
                let found = TAG.find(rest).ok_or_else(|| format!("a strange tag: {rest}"))?;
                match found.as_str() {
                    "</span>" | "</a>" => {
                        let name = open.pop().ok_or("an end too many")?;
                        if format!("</{name}>") != found.as_str() {
                            return Err(format!("not nested: {html}"));
                        }
                    }
                    it => open.push(if it.starts_with("<a") { "a" } else { "span" }),
                }
                found.len()
            }
            '&' => {
                let known = [
                    ("&#38;", '&'),
                    ("&#60;", '<'),
                    ("&#62;", '>'),
                    ("&#34;", '"'),
                    ("&#39;", '\''),
                ];
                let found = known.iter().find(|it| rest.starts_with(it.0));
                let (name, letter) = found.ok_or_else(|| format!("a bare &: {rest}"))?;
                text.push(*letter);
                name.len()
            }
            '"' | '\'' | '>' => return Err(format!("a bare {first}: {rest}")),
            it if it.is_control() && it != '\t' => return Err(format!("a control: {rest:?}")),
            it => {
                text.push(it);
                it.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if open.is_empty() { Ok(text) } else { Err(format!("not closed: {html}")) }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,6}",
        "\\PC{0,4}",
        "\u{1b}\\[[0-9;:?]{0,8}[a-zA-Z]",
        "\u{1b}\\]8;;(https?://|javascript:)[<>\"'a-z&]{0,6}(\u{7}|\u{1b}\\\\)?",
        "\u{1b}[\\]P^_ (0-9a-z]?",
        "[\r\u{8}\t\u{0}\u{7}\u{9b}]",
        Just("<script>alert(1)</script>".to_owned()),
        Just("</span></a><img src=x onerror=y>".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|it| it.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_give_escaped_html_with_no_tag_of_theirs(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let line = String::from_utf8_lossy(&bytes);
        read(&print(&line)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn nasty_lines_give_escaped_html_that_says_what_a_terminal_says(lines in proptest::collection::vec(pieces(), 1..5)) {
        let mut printer = Printer::default();
        for line in &lines {
            let text = read(&printer.print(line)).map_err(TestCaseError::fail)?;
            prop_assert_eq!(text, plain(line));
        }
    }

    #[test]
    fn skipping_lines_leaves_the_colours_that_printing_leaves(lines in proptest::collection::vec(pieces(), 1..5)) {
        let (mut one, mut other) = (Printer::default(), Printer::default());
        for line in &lines {
            one.print(line);
            other.skip(line);
        }
        prop_assert_eq!(one.print("x"), other.print("x"));
    }
}

/// The contrast of two colours (WCAG 2.2, section 1.4.3).
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let digits = colour.trim_start_matches('#');
        let full: String = if digits.len() == 3 {
            digits.chars().flat_map(|it| [it, it]).collect()
        } else {
            digits.to_owned()
        };
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&full[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_can_be_read_on_both_pages() {
    let sheet = include_str!("../../../../web/assets/log-colours.css");
    let rule = regex::Regex::new(r"\.([fgh])(\d+)\{(.*?)\}").unwrap();
    let colour = regex::Regex::new("#[0-9a-f]{3,6}").unwrap();
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for rule in rule.captures_iter(sheet) {
        *seen.entry(rule[1].to_owned()).or_default() += 1;
        let colours: Vec<_> = colour.find_iter(&rule[3]).map(|it| it.as_str()).collect();
        let pairs = match (&rule[1], colours.as_slice()) {
            ("f", [both]) => vec![(*both, "#ffffff"), (*both, "#0c1115")],
            ("f", [light, dark]) => vec![(*light, "#ffffff"), (*dark, "#0c1115")],
            ("g", [ground, letters]) => vec![(*letters, *ground)],
            _ => continue,
        };
        for (one, other) in pairs {
            assert!(contrast(one, other) >= 4.5, "{} {}: {one} on {other}", &rule[1], &rule[2]);
        }
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [256, 256, 256]);
}
