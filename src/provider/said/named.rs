//! Which model and which service tier an answer names: they make its price, whether or not it tells its use. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::{Dialect, Operation};
use super::{short, word};

/// What an answer names. A later word of a stream replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The model that answers.
    pub model: Option<String>,
    /// The service tier that serves it.
    pub service_tier: Option<String>,
}

impl Named {
    /// The model; what is no name changes nothing.
    pub(in super::super) fn note_model(&mut self, model: Option<&RawValue>) {
        note(&mut self.model, model);
    }

    /// The service tier.
    pub(in super::super) fn note_tier(&mut self, tier: Option<&RawValue>) {
        note(&mut self.service_tier, tier);
    }

    /// The service tier that stands in the use, as Anthropic has it.
    pub(in super::super) fn note_use(&mut self, usage: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Use<'a> {
            #[serde(borrow, default)]
            service_tier: Option<&'a RawValue>,
        }
        let usage = usage.and_then(|it| serde_json::from_str::<Use<'_>>(it.get()).ok());
        self.note_tier(usage.and_then(|it| it.service_tier));
    }
}

/// Some servers leave the name of the model empty in the first chunk.
fn note(known: &mut Option<String>, value: Option<&RawValue>) {
    let name = value.and_then(text).filter(|it| !it.chars().all(char::is_control));
    let Some(name) = name.filter(|it| known.as_deref() != Some(&**it)) else { return };
    *known = Some(short(&name));
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let escaped = || serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned);
    word(value).map(Cow::Borrowed).or_else(escaped)
}

/// What an answer names; of one that was cut, what it names before that.
#[must_use]
pub fn of_answer(operation: Operation, body: &[u8]) -> Named {
    let mut named = Named::default();
    let is_anthropic = operation.dialect() == Dialect::Anthropic;
    let members = Members { named: &mut named, is_anthropic };
    let mut json = serde_json::Deserializer::from_slice(body);
    // What was read before a mistake holds.
    drop(json.deserialize_map(members));
    named
}

struct Members<'a> {
    named: &'a mut Named,
    is_anthropic: bool,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { named, is_anthropic } = self;
        while let Some(member) = map.next_key::<String>()? {
            match member.as_str() {
                "model" => named.note_model(Some(map.next_value::<&RawValue>()?)),
                "service_tier" => named.note_tier(Some(map.next_value::<&RawValue>()?)),
                "usage" if is_anthropic => named.note_use(Some(map.next_value::<&RawValue>()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Operation, body: &str) -> String {
        let named = of_answer(operation, body.as_bytes());
        let [model, tier] = [named.model, named.service_tier].map(Option::unwrap_or_default);
        format!("{model} {tier}")
    }

    #[test]
    fn a_whole_answer_and_one_that_was_cut_name_their_model_and_tier() {
        use Operation::{ChatCompletions, Embeddings, Messages};
        let chat = r#"{"id":"c","model":"dear","service_tier":"priority","usage":"9","choices":[{"model":"no"}]}"#;
        assert_eq!(check(ChatCompletions, chat), "dear priority");
        assert_eq!(check(ChatCompletions, &chat[..chat.len() - 9]), "dear priority");
        assert_eq!(check(ChatCompletions, &chat[..22]), " ");
        assert_eq!(check(Embeddings, r#"{"data":[[1,2]],"model":"a\/b"}"#), "a/b ");
        let message = r#"{"model":"dear","usage":{"input_tokens":-1,"service_tier":"batch"}}"#;
        assert_eq!(check(Messages, message), "dear batch");
        assert_eq!(check(ChatCompletions, message), "dear ");
    }

    #[test]
    fn what_is_no_name_is_none_and_what_is_one_is_bounded() {
        for body in ["", "[]", "{}", "data: {}", r#"{"model":7,"service_tier":null}"#] {
            assert_eq!(check(Operation::ChatCompletions, body), " ", "{body}");
        }
        let long = format!(r#"{{"model":"{}"}}"#, "m\\u0000".repeat(6_000));
        assert_eq!(check(Operation::ChatCompletions, &long).len(), 201);
    }
}
