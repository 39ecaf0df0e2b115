//! Requests against the vendors' own descriptions of their interfaces, of which `tests/fixtures/forges` has the
//! operations that are used: path, parameters, fields, types, words and limits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Asked;

/// A vendor's description.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Description {
    operations: Vec<Operation>,
    /// Operations, as `METHOD path`, that are used and not described.
    #[serde(default)]
    unchecked: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
struct Operation {
    method: String,
    path: String,
    query: BTreeMap<String, Value>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    body_required: bool,
}

impl Description {
    /// That of GitHub or GitLab; Gitea has its own, and is not checked.
    pub(crate) fn of(forge: &str) -> Option<Self> {
        if !["github", "gitlab"].contains(&forge) {
            return None;
        }
        let path = format!("tests/fixtures/forges/{forge}.json");
        Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// What is wrong with a request.
    pub(crate) fn problems(&self, asked: &Asked) -> Vec<String> {
        let is_it = |method: &str, path: &str| {
            method == asked.method.as_str() && is_path(path, &asked.path)
        };
        let mut unchecked = self.unchecked.iter().filter_map(|it| it.split_once(' '));
        if unchecked.any(|(method, path)| is_it(method, path)) {
            return Vec::new();
        }
        let line = format!("{} {}", asked.method, asked.path);
        let Some(operation) = self.operations.iter().find(|it| is_it(&it.method, &it.path)) else {
            return vec![format!("{line}: there is no such operation")];
        };
        let mut problems = operation.of_query(&asked.query);
        match (&operation.body, asked.text.is_empty()) {
            (Some(schema), false) => judge("body", &asked.body, schema, &mut problems),
            (Some(_), true) if operation.body_required => problems.push("a body is missing".into()),
            (None, false) => problems.push("it takes no body".into()),
            (Some(_) | None, true) => (),
        }
        problems.into_iter().map(|it| format!("{line}: {it}")).collect()
    }
}

impl Operation {
    fn of_query(&self, query: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(schema) = self.query.get(name) else {
                problems.push(format!("it has no parameter `{name}`"));
                continue;
            };
            let value = match schema["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or(Value::Null, Value::from),
                _ => Value::from(text),
            };
            judge(name, &value, schema, &mut problems);
        }
        problems
    }
}

/// Whether a path is one of a template: `{…}` stands for one segment.
fn is_path(template: &str, path: &str) -> bool {
    let (wanted, found) = (template.split('/'), path.split('/'));
    template.matches('/').count() == path.matches('/').count()
        && wanted.zip(found).all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
}

/// The part of JSON Schema that the descriptions use. A field that is not described is a problem.
fn judge(place: &str, value: &Value, schema: &Value, problems: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let is_typed = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !is_typed {
        return problems.push(format!("`{place}` is {value}, and no {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|it| !it.contains(value)) {
        problems.push(format!("`{place}` is {value}, and must be one of {}", schema["enum"]));
    }
    let length = value.as_str().map_or(0, |it| it.chars().count() as u64);
    if schema["maxLength"].as_u64().is_some_and(|it| length > it) {
        problems.push(format!("`{place}` has {length} characters"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value[name.as_str().unwrap()].is_null() {
            problems.push(format!("`{place}.{}` is missing", name.as_str().unwrap()));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => judge(&format!("{place}.{name}"), field, schema, problems),
            None if schema["properties"].is_object() => {
                problems.push(format!("`{place}` has no field `{name}`"));
            }
            None => (),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        judge(place, item, &schema["items"], problems);
    }
}

#[test]
fn a_request_that_a_forge_would_refuse_is_found() {
    let github = Description::of("github").unwrap();
    let asked = |method: &str, path: &str, body: Value| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Asked {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: axum::http::HeaderMap::new(),
            text: if body.is_null() { String::new() } else { body.to_string() },
            body,
        }
    };
    let told = |method: &str, path: &str, body: Value| {
        github.problems(&asked(method, path, body)).join("\n")
    };
    let status = "/repos/shop/web/statuses/c0ffee";
    assert_eq!(told("POST", status, serde_json::json!({ "state": "success" })), "");
    let odd = told("POST", status, serde_json::json!({ "state": "green", "colour": "red" }));
    assert!(
        odd.contains("`body.state` is \"green\"") && odd.contains("no field `colour`"),
        "{odd}"
    );
    assert!(told("POST", status, serde_json::json!({})).contains("`body.state` is missing"));
    assert!(told("POST", status, Value::Null).contains("a body is missing"));
    let pulls = "/repos/shop/web/pulls?state=open&per_page=100";
    assert_eq!(told("GET", pulls, Value::Null), "");
    let odd = told("GET", "/repos/shop/web/pulls?state=opened&limit=9", Value::Null);
    assert!(odd.contains("`state` is \"opened\"") && odd.contains("no parameter `limit`"), "{odd}");
    assert!(told("GET", "/repos/shop/web/pull", Value::Null).contains("no such operation"));
}
