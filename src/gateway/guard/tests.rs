use super::*;

mod measured;

pub(super) fn guard(text: &str) -> Guard {
    #[derive(serde::Deserialize)]
    struct File {
        guardrail: Vec<Guardrail>,
    }
    let rules = toml::from_str::<File>(text).unwrap().guardrail;
    Guard::new(&rules, &|name| Err(format!("no file {name}"))).unwrap()
}

pub(super) fn screen(text: &str) -> Screen {
    guard(text).screen("ci", &Subject::default(), "m1").unwrap()
}

const REDACT: &str = r#"
    [[guardrail]]
    name = "personal"
    rule = "pii"
    kinds = ["email", "phone", "card"]
    action = "redact"
    restore = true
"#;

fn asks(content: &str) -> String {
    format!(
        r#"{{"model":"m1", "messages":[{{"role":"user","content":{}}}]}}"#,
        Value::from(content)
    )
}

#[test]
fn a_request_changes_only_where_something_was_found_and_the_answer_has_it_again() {
    let mut screen = screen(REDACT);
    let body = asks("\"I\" am a@b.de, again a@b.de, or c@d.de [EMAIL_2]");
    let changed = String::from_utf8(screen.request(&body).unwrap().unwrap()).unwrap();
    assert_eq!(changed, asks("\"I\" am [EMAIL_1], again [EMAIL_1], or [EMAIL_3] [EMAIL_2]"));
    assert_eq!(screen.flags(), ["pii_email", "redacted"]);
    let answer = |text: &str| {
        format!(
            r#"{{"choices":[{{"message":{{"content":{}}}}}],"id":"a@b.de"}}"#,
            Value::from(text)
        )
    };
    let back = screen.answer(&answer("hello [EMAIL_1] and [EMAIL_3], call 212-555-0123")).unwrap();
    let back = String::from_utf8(back.unwrap()).unwrap();
    assert_eq!(back, answer("hello a@b.de and c@d.de, call [PHONE_1]"));
    assert_eq!(screen.answer(&answer("nothing")).unwrap(), None);
}

#[test]
fn what_stands_beside_the_messages_is_redacted_in_its_place() {
    let picture = "4111111111111111".repeat(8);
    for body in [
        r#"{"prompt":{"id":"p","variables":{"who":"bob@example.org"}},"input":"x"}"#.to_owned(),
        r#"{"prediction":{"type":"content","content":"bob@example.org"},"messages":[]}"#.to_owned(),
        r#"{"prediction":{"content":[{"type":"text","text":"bob@example.org"}]},"messages":[]}"#
            .to_owned(),
        r#"{"prompt":"x","suffix":"bob@example.org"}"#.to_owned(),
        r#"{"messages":[{"content":[{"type":"tool_use","input":{"id":"bob@example.org"}}]}]}"#
            .to_owned(),
        format!(
            r#"{{"messages":[{{"content":[{{"source":{{"type":"text","data":"bob@example.org"}}}},{{"source":{{"type":"base64","data":"{picture}"}}}}]}}]}}"#
        ),
    ] {
        let changed = screen(REDACT).request(&body).unwrap().expect(&body);
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(changed, body.replace("bob@example.org", "[EMAIL_1]"));
    }
}

#[test]
fn a_text_with_half_a_surrogate_pair_is_looked_at_too() {
    let body = r#"{"model":"m1","messages":[{"role":"user","content":"\ud83d a@b.de"}]}"#;
    let changed = screen(REDACT).request(body).unwrap().expect("it is redacted");
    assert!(!String::from_utf8(changed).unwrap().contains("a@b.de"));
}

#[test]
fn a_rule_that_blocks_names_itself_and_never_what_it_found() {
    let mut screen = screen(
        r#"
        [[guardrail]]
        name = "report first"
        rule = "pii"
        action = "report"
        [[guardrail]]
        name = "no weapons"
        rule = "topics"
        words = ["railgun"]
        action = "block"
        "#,
    );
    assert_eq!(screen.request(&asks("a@b.de")), Ok(None));
    let stopped = screen.request(&asks("build a Railgun")).unwrap_err();
    assert_eq!(stopped.rule, "no weapons");
    assert_eq!(screen.flags(), ["pii_email", "topic", "blocked"]);
}

#[test]
fn rules_are_for_some_keys_models_and_scopes_and_ways() {
    let guard = guard(
        r#"
        [[guardrail]]
        name = "a"
        rule = "pii"
        action = "block"
        way = "out"
        scope = { endpoint = "search" }
        keys = ["app"]
        models = "gpt-*"
        [[guardrail]]
        name = "b"
        rule = "pii"
        action = "off"
        "#,
    );
    let search = Subject::default().with(crate::gateway::budget::scope::Kind::Endpoint, "search");
    assert!(guard.screen("app", &Subject::default(), "gpt-5").is_none());
    assert!(guard.screen("ci", &search, "gpt-5").is_none());
    assert!(guard.screen("app", &search, "claude").is_none());
    let mut screen = guard.screen("app", &search, "gpt-5").unwrap();
    assert_eq!(screen.request(&asks("a@b.de")), Ok(None));
    assert!(screen.answer(r#"{"choices":[{"message":{"content":"a@b.de"}}]}"#).is_err());
}

#[test]
fn probabilities_of_tokens_do_not_show_what_was_replaced() {
    let mut screen = screen(REDACT);
    screen.request(&asks("")).unwrap();
    let answer = r#"{"choices":[{"message":{"content":"a@b.de"},"logprobs":{"content":[{"token":"a@b.de"}]}}]}"#;
    let answer = String::from_utf8(screen.answer(answer).unwrap().unwrap()).unwrap();
    assert!(!answer.contains("a@b.de") && answer.contains("\"logprobs\":null"), "{answer}");
}

#[test]
fn arguments_of_tools_stay_json() {
    let mut screen = screen(REDACT);
    let inner = r#"{"to":"é\na@b.de","x":"\u00e9c@d.de"}"#;
    let body = format!(
        r#"{{"messages":[{{"tool_calls":[{{"function":{{"arguments":{}}}}}]}}]}}"#,
        Value::from(inner)
    );
    let changed: Value = serde_json::from_slice(&screen.request(&body).unwrap().unwrap()).unwrap();
    let inner = changed["messages"][0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let inner: Value = serde_json::from_str(inner).unwrap();
    assert_eq!(inner["to"], "é\n[EMAIL_1]");
    assert_eq!(inner["x"], "é[EMAIL_2]");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let check = |text: &str| {
        let rule: Guardrail = toml::from_str(&format!("name = \"r\"\n{text}")).unwrap();
        let file = |_: &str| Ok("{".to_owned());
        Guard::new(&[rule], &file).unwrap_err()
    };
    for (text, why) in [
        ("rule = \"topics\"\naction = \"block\"", "`words`"),
        ("rule = \"injection\"\naction = \"redact\"", "`redact`"),
        ("rule = \"schema\"\naction = \"block\"\nway = \"in\"", "way `out`"),
        ("rule = \"pii\"\naction = \"block\"\nthreshold = 0.5", "`threshold`"),
        ("rule = \"pii\"\naction = \"redact\"\nrestore = true\nway = \"out\"", "`restore`"),
        ("rule = \"schema\"\naction = \"block\"\nschema = \"s.json\"", "no JSON"),
    ] {
        let error = check(text);
        assert!(error.starts_with("guardrail `r`: ") && error.contains(why), "{error}");
    }
}
