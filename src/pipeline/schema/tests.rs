use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde_json::Value;

use super::{pipeline, schema, stage};
use crate::pipeline::diagnostic::SourceFile;
use crate::pipeline::file::stage::{approval, container, identity, policy, rollout, secret, step};
use crate::pipeline::file::{input, stage as read, top, trigger};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml;

fn properties_of<T: JsonSchema>() -> BTreeSet<String> {
    let schema = schemars::schema_for!(T);
    let properties = schema.get("properties").and_then(Value::as_object).unwrap();
    assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)));
    properties.keys().cloned().collect()
}

fn same<T: JsonSchema>(keys: &[&str]) {
    let keys: BTreeSet<String> = keys.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(properties_of::<T>(), keys, "{}", T::schema_name());
}

#[test]
fn the_schema_knows_the_keys_that_the_readers_know() {
    same::<pipeline::PipelineFile>(top::KEYS);
    same::<pipeline::Triggers>(trigger::EVENTS);
    same::<pipeline::Push>(trigger::PUSH_KEYS);
    same::<pipeline::PullRequest>(trigger::PULL_REQUEST_KEYS);
    same::<pipeline::Schedule>(trigger::SCHEDULE_KEYS);
    same::<pipeline::Manual>(trigger::MANUAL_KEYS);
    same::<pipeline::Input>(input::KEYS);
    same::<pipeline::Include>(top::INCLUDE_KEYS);
    same::<pipeline::Release>(top::RELEASE_KEYS);
    same::<pipeline::RunConcurrency>(policy::RUN_CONCURRENCY_KEYS);
    same::<stage::Stage>(read::KEYS);
    same::<stage::Defaults>(read::DEFAULTS_KEYS);
    same::<stage::Step>(step::KEYS);
    same::<stage::Approval>(approval::KEYS);
    same::<stage::Service>(container::SERVICE_KEYS);
    same::<stage::Ready>(container::READY_KEYS);
    same::<stage::Http>(container::HTTP_KEYS);
    same::<stage::Cache>(container::CACHE_KEYS);
    same::<stage::Artifacts>(container::ARTIFACT_KEYS);
    same::<stage::Reports>(container::REPORT_KEYS);
    same::<stage::Secret>(secret::KEYS);
    same::<stage::Identity>(identity::KEYS);
    same::<stage::Budget>(policy::BUDGET_KEYS);
    same::<stage::AllowFailure>(policy::ALLOW_FAILURE_KEYS);
    same::<stage::Environment>(policy::ENVIRONMENT_KEYS);
    same::<stage::StageConcurrency>(policy::STAGE_CONCURRENCY_KEYS);
    same::<stage::Resources>(container::RESOURCE_KEYS);
    same::<stage::Retry>(policy::RETRY_KEYS);
    same::<stage::Rollout>(rollout::KEYS);
    same::<stage::RolloutStep>(rollout::STEP_KEYS);
    same::<stage::Analysis>(rollout::ANALYSIS_KEYS);
}

#[test]
fn the_schema_file_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/schema.json");
    let wanted = format!("{:#}\n", schema());
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found != wanted {
        let new = format!("{path}.new");
        std::fs::write(&new, wanted).unwrap();
        panic!(
            "the format has changed: look at `pipelines/schema.json.new` and rename it to `pipelines/schema.json`"
        );
    }
}

/// Why a value does not fit a schema, for the words of JSON schema that ours uses (patterns aside).
fn misfit(value: &Value, schema: &Value, root: &Value) -> Option<String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return misfit(value, root.pointer(name.strip_prefix('#').unwrap()).unwrap(), root);
    }
    let list = |key| schema.get(key).and_then(Value::as_array);
    let fits = |it: &Value| misfit(value, it, root).is_none();
    if list("anyOf").is_some_and(|it| !it.iter().any(fits)) {
        return Some(format!("no choice fits {value}"));
    }
    if list("oneOf").is_some_and(|it| it.iter().filter(|it| fits(it)).count() != 1) {
        return Some(format!("not exactly one choice fits {value}"));
    }
    if schema.get("const").is_some_and(|it| it != value)
        || list("enum").is_some_and(|it| !it.contains(value))
    {
        return Some(format!("{value} is not one of the words"));
    }
    let kind = schema.get("type").and_then(Value::as_str);
    let is_kind = match kind {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some(other) => panic!("{other}"),
    };
    if !is_kind {
        return Some(format!("{value} is no {kind:?}"));
    }
    let missing =
        list("required").into_iter().flatten().find(|it| value.get(it.as_str().unwrap()).is_none());
    if let Some(missing) = missing.filter(|_| value.is_object()) {
        return Some(format!("{missing} is missing"));
    }
    for item in value.as_array().into_iter().flatten() {
        if let Some(wrong) = schema.get("items").and_then(|it| misfit(item, it, root)) {
            return Some(wrong);
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let known = schema.get("properties").and_then(|it| it.get(key));
        let wrong = match known.or(schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => Some(format!("unknown key {key}")),
            Some(schema) => misfit(item, schema, root),
            None => None,
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

fn json_of(text: &str) -> Value {
    let reading = Reading::default();
    let file = SourceFile { name: "x.yml".to_owned(), text: text.to_owned() };
    let source = reading.add_source(file);
    yaml::parse(text, source, &reading).unwrap().to_json()
}

#[test]
fn the_schema_accepts_what_the_reader_accepts_and_refuses_unknown_keys() {
    let schema = schema();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pipelines/good");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "yml") {
            let json = json_of(&std::fs::read_to_string(&path).unwrap());
            assert_eq!(misfit(&json, &schema, &schema), None, "{}", path.display());
        }
    }
    let refused = [
        "{ stages: {}, stage: {} }",
        "stages: { a: { run: x, neds: [] } }",
        "stages: { a: { run: 1 } }",
        "stages: { a: { run: x, services: { db: { image: x, port: 1 } } } }",
        "stages: { a: { uses: builtin/nothing } }",
        "on: merge",
        "on: { push: { branch: main } }",
        "stages: { a: { run: x, timeout: } }",
    ];
    for text in refused {
        assert!(misfit(&json_of(text), &schema, &schema).is_some(), "{text}");
    }
}

#[test]
fn no_key_of_the_schema_may_be_null() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Object(entries) => entries.iter().any(|(key, value)| {
                (key == "type"
                    && (*value == "null"
                        || value.as_array().is_some_and(|it| it.contains(&"null".into()))))
                    || has_null(value)
            }),
            Value::Array(items) => items.iter().any(has_null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    assert!(!has_null(&schema()));
}
