//! The models that a key may call, as a list and one by one, in both formats.

use serde_json::{Value, json};

use crate::gateway::keys::Key;
use crate::gateway::prices::rate::Date;
use crate::gateway::route;
use crate::gateway::server::Core;
use crate::model::Timestamp;
use crate::provider::Dialect;
use crate::provider::refusal::Refusal;

/// The list of models, in both formats.
const PATH: &str = "/v1/models";

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All models.
    All,
    /// The one of this name.
    One(String),
}

/// The models that a path asks for.
pub(super) fn of_path(path: &str) -> Option<Which> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some(Which::All);
    }
    let name = rest.strip_prefix('/').filter(|it| !it.is_empty())?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    Some(Which::One(name.into_owned()))
}

/// The models of this format that routes name in full and that the key may call, or one that it may.
pub(super) fn answer(
    core: &Core,
    key: &Key,
    dialect: Dialect,
    which: &Which,
) -> Result<String, Refusal> {
    let may_be_called = |it: &str| {
        let steps = route::steps(&core.routes, &core.known, it, dialect, 0);
        key.models.as_ref().is_none_or(|models| models.matches(it)) && !steps.is_empty()
    };
    if let Which::One(name) = which {
        let nowhere = || Refusal::NotFound(format!("no route leads to the model `{name}`"));
        let found = may_be_called(name).then(|| model(name, dialect).to_string());
        return found.ok_or_else(nowhere);
    }
    let mut names: Vec<_> = core.routes.iter().flat_map(|it| it.model.in_full()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_asks_for_all_models_or_for_one() {
        let one = |it: &str| Some(Which::One(it.to_owned()));
        assert_eq!(of_path("/v1/models"), Some(Which::All));
        assert_eq!(of_path("/v1/models/a%2Fb:c"), one("a/b:c"));
        assert_eq!(of_path("/v1/models/a/b"), one("a/b"));
        for path in ["/v1/models/", "/v1/modelsx", "/v1/files"] {
            assert_eq!(of_path(path), None);
        }
    }
}
