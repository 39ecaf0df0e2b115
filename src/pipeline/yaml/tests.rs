use proptest::prelude::*;

use super::*;
use crate::pipeline::diagnostic::SourceFile;

fn read(text: &str) -> (Option<Node>, Reading) {
    let reading = Reading::default();
    let file = SourceFile { name: "x.yml".to_owned(), text: text.to_owned() };
    let source = reading.add_source(file);
    (parse(text, source, &reading), reading)
}

fn json(text: &str) -> String {
    let (node, reading) = read(text);
    match node {
        Some(node) if reading.problem_count() == 0 => node.to_json().to_string(),
        _ => reading
            .into_parts()
            .1
            .iter()
            .map(|it| format!("{} {}:{} ", it.code, it.line, it.column))
            .collect::<Vec<_>>()
            .concat(),
    }
}

#[test]
fn the_core_schema_of_yaml_1_2_decides_types() {
    assert_eq!(
        json(
            "[on, yes, no, true, ~, null, 3.10, 1e3, 012, 0x1F, 0o17, -7, +7, 1_000, .5, 1:30, 2027-03-31, v1]"
        ),
        r#"["on","yes","no",true,null,null,3.1,1000.0,12,31,15,-7,7,"1_000",0.5,"1:30","2027-03-31","v1"]"#
    );
    assert_eq!(json("on: '1'\noff: \"true\"\na: |\n  2\n"), r#"{"a":"2\n","off":"true","on":"1"}"#);
}

#[test]
fn aliases_stand_for_their_anchors() {
    assert_eq!(json("a: &x [1, {b: 2}]\nc: *x\n"), r#"{"a":[1,{"b":2}],"c":[1,{"b":2}]}"#);
    assert_eq!(json("a: &x [*x]"), "yaml/alias 1:8 ");
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..12 {
        let last = n - 1;
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", ")),
        );
    }
    assert!(json(&text).starts_with("yaml/alias-expansion "), "{}", json(&text));
}

#[test]
fn places_are_bytes_lines_and_columns_of_characters() {
    let (node, _) = read("ä: \"ö\"\nb:\n  - ü x  # c\n");
    let Value::Mapping(entries) = node.unwrap().value else { panic!() };
    let places: Vec<_> = [&entries[0].value, &entries[1].value]
        .map(|it| (it.place.start, it.place.len, it.place.line, it.place.column))
        .into();
    assert_eq!(places, [(4, 4, 1, 4), (14, 6, 3, 3)]);
    assert_eq!(entries[1].key_place.line, 2);
}

fn inside(node: &Node, text: &str) -> bool {
    text.get(node.place.start..node.place.start + node.place.len).is_some()
        && match &node.value {
            Value::Scalar(_) => true,
            Value::Sequence(items) => items.iter().all(|it| inside(it, text)),
            Value::Mapping(entries) => entries.iter().all(|it| inside(&it.value, text)),
        }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_places_inside_it(text in "[ \\-:{}\\[\\]&*!|>'\"%@`#,?a-c0-9äß\\n\\t\\\\]{0,80}") {
        let (node, reading) = read(&text);
        let (_, problems, _) = reading.into_parts();
        prop_assert!(node.is_some() || !problems.is_empty());
        for problem in &problems {
            prop_assert!(problem.span.start <= text.len());
        }
        prop_assert!(node.is_none_or(|node| inside(&node, &text)));
    }
}
