//! The models that a key may call, as a list and one by one, in both formats.

use serde_json::{Value, json};

use crate::gateway::keys::Key;
use crate::gateway::prices::matcher::Matcher;
use crate::gateway::prices::rate::Date;
use crate::gateway::route;
use crate::gateway::server::Core;
use crate::model::Timestamp;
use crate::provider::Dialect;
use crate::provider::refusal::Refusal;

/// The list of models, in both formats.
const PATH: &str = "/v1/models";

/// What a path asks for: all models (`None`), or the one of a name.
pub(super) fn name(path: &str) -> Option<Option<String>> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some(None);
    }
    let name = rest.strip_prefix('/').filter(|it| !it.is_empty())?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    Some(Some(name.into_owned()))
}

/// The models of this format that routes name in full and that the key may call, or one that it may.
pub(super) fn answer(
    core: &Core,
    key: &Key,
    dialect: Dialect,
    name: Option<&str>,
) -> Result<String, Refusal> {
    let may_be_called = |it: &str| {
        let steps = route::steps(&core.routes, &core.known, it, dialect, 0);
        key.models.as_ref().is_none_or(|models| models.matches(it)) && !steps.is_empty()
    };
    if let Some(name) = name {
        let nowhere = || Refusal::NotFound(format!("no route leads to the model `{name}`"));
        let found = may_be_called(name).then(|| model(name, dialect).to_string());
        return found.ok_or_else(nowhere);
    }
    let mut names: Vec<_> = core.routes.iter().flat_map(|it| literals(&it.model)).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|it| may_be_called(it));
    let models: Vec<_> = names.iter().map(|it| model(it, dialect)).collect();
    let list = match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": models}),
        Dialect::Anthropic => json!({
            "data": models,
            "has_more": false,
            "first_id": names.first(),
            "last_id": names.last(),
        }),
    };
    Ok(list.to_string())
}

fn model(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": name, "object": "model", "created": 0, "owned_by": "trunkline"})
        }
        Dialect::Anthropic => {
            let created = format!("{}T00:00:00Z", Date::of(Timestamp(0)));
            json!({"type": "model", "id": name, "display_name": name, "created_at": created})
        }
    }
}

fn literals(matcher: &Matcher) -> Vec<&str> {
    match matcher {
        Matcher::Glob(name) if !name.contains('*') => vec![name],
        Matcher::Any(several) => several.iter().flat_map(literals).collect(),
        Matcher::Glob(_) | Matcher::All { .. } | Matcher::Regex { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_asks_for_all_models_or_for_one() {
        assert_eq!(name("/v1/models"), Some(None));
        assert_eq!(name("/v1/models/a%2Fb:c"), Some(Some("a/b:c".to_owned())));
        assert_eq!(name("/v1/models/a/b"), Some(Some("a/b".to_owned())));
        assert_eq!((name("/v1/models/"), name("/v1/modelsx"), name("/v1/files")), (None, None, None));
    }
}
