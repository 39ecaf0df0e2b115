use super::*;

fn names(source: &str) -> String {
    let show = |it: Reference| match it.member {
        Some(member) => format!("{}>{member}", it.root),
        None => it.root,
    };
    references(source).into_iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_found_outside_of_strings() {
    assert_eq!(names("needs.build.status == 'needs.x' && matrix.os"), "needs>build matrix>os");
    assert_eq!(names(r#"needs["a-b"].outputs.digest"#), "needs>a-b");
    assert_eq!(names(r#"changed("src/**") || "it\"s needs.x""#), "changed");
    assert_eq!(names("a.needs.b + 1e3 + r'needs.x'"), "a>needs");
    assert_eq!(names("needs . build"), "needs>build");
    assert_eq!(names("needs.'"), "needs");
    assert_eq!(names("needs['"), "needs");
}

#[test]
fn expressions_end_at_braces_outside_of_strings() {
    let source = "a${{ 'x}}y' }}b${{ c }}d${{ e";
    let found: Vec<_> =
        inner_expressions(source).into_iter().map(|(start, end)| &source[start..end]).collect();
    assert_eq!(found, [" 'x}}y' ", " c ", " e"]);
}
