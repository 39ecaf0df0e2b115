//! What a stage finds in its environment: how to call models, and where to send its spans. What it sets itself stays.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::gateway::server::receiver;
use crate::model::{AttemptName, TraceParent};

/// What the values of `OTEL_RESOURCE_ATTRIBUTES` have as it is
/// (<https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable>).
const PLAIN: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// What all variables about where spans go begin with.
const EXPORTER: &str = "OTEL_EXPORTER_OTLP_";

/// What a stage is told of itself.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Name of its pipeline.
    pub pipeline: &'a str,
    /// Its key in the pipeline.
    pub stage: &'a str,
}

/// The variables of an attempt.
#[derive(Debug, Clone)]
pub struct Variables {
    /// The key.
    pub key: String,
    /// Those that belong together: a container that sets one of them itself keeps all of its own.
    groups: Vec<Vec<(&'static str, String)>>,
    /// A container that sets any variable that begins so keeps its own.
    exporter: Vec<(&'static str, String)>,
}

impl Variables {
    /// Address and key, as clients of `OpenAI` read them, and of Anthropic.
    #[must_use]
    pub fn new(key: String, address: &str) -> Self {
        let openai =
            [("OPENAI_BASE_URL", format!("{address}/v1")), ("OPENAI_API_KEY", key.clone())];
        let anthropic =
            [("ANTHROPIC_BASE_URL", address.to_owned()), ("ANTHROPIC_API_KEY", key.clone())];
        Self { key, groups: vec![openai.into(), anthropic.into()], exporter: Vec::new() }
    }

    /// The same, and where spans go: as OpenTelemetry's SDKs read it
    /// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
    #[must_use]
    pub(super) fn with_traces(
        mut self,
        attempt: &AttemptName,
        address: &str,
        told: &Told<'_>,
    ) -> Self {
        self.exporter = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{address}{}", receiver::PREFIX)),
            // This header, as its value has no letter that would have to be encoded.
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-api-key={}", self.key)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ];
        let attributes = [
            ("cicd.pipeline.name", told.pipeline.to_owned()),
            ("cicd.pipeline.run.id", attempt.run.to_string()),
            ("cicd.pipeline.task.name", told.stage.to_owned()),
            (
                "cicd.pipeline.task.run.id",
                format!("{}-{}-{}", attempt.run, attempt.stage.0, attempt.attempt),
            ),
        ];
        let attributes = attributes
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, &PLAIN)));
        let single = [
            ("OTEL_SERVICE_NAME", told.stage.to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", attributes.join(",")),
            ("TRACEPARENT", TraceParent::of_attempt(attempt).to_string()),
        ];
        self.groups.extend(single.map(|it| vec![it]));
        self
    }

    /// The same for a service of the stage.
    #[must_use]
    pub fn of_service(&self, name: &str) -> Self {
        let mut of_service = self.clone();
        let pairs = of_service.groups.iter_mut().flatten();
        for pair in pairs.filter(|it| it.0 == "OTEL_SERVICE_NAME") {
            name.clone_into(&mut pair.1);
        }
        of_service
    }

    /// Puts them in front of an environment, but for those that it sets itself.
    pub fn add_to(&self, env: &mut Vec<(String, String)>) {
        let is_set = |group: &&Vec<(&str, String)>| {
            env.iter().any(|(name, _)| group.iter().any(|it| it.0 == name))
        };
        let missing = self.groups.iter().filter(|it| !is_set(it)).flatten();
        // Its key is for nobody else: not even one of these goes to a collector of the stage's own.
        let sends_elsewhere = env.iter().any(|(name, _)| name.starts_with(EXPORTER));
        let exporter = self.exporter.iter().filter(|_| !sends_elsewhere);
        let missing = missing.chain(exporter);
        let missing = missing.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let missing: Vec<_> = missing.collect();
        env.splice(0..0, missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, StageIndex};

    fn variables() -> Variables {
        Variables::new("k".to_owned(), "u")
    }

    fn names(variables: &Variables, own: &[&str]) -> String {
        let mut env: Vec<_> = own.iter().map(|it| ((*it).to_owned(), "own".to_owned())).collect();
        variables.add_to(&mut env);
        env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
    }

    fn traced() -> Variables {
        let run = RunId("01k9zz0000abcdefghjkmnpqrs".to_owned());
        let attempt = AttemptName { run, stage: StageIndex(1), attempt: 2 };
        let told = Told { pipeline: "ci", stage: "unit (3.12, a)" };
        variables().with_traces(&attempt, "http://gateway:1", &told)
    }

    #[test]
    fn a_stage_that_sets_one_of_a_pair_keeps_its_own_pair() {
        insta::assert_snapshot!(names(&variables(), &["A"]), @r"
        OPENAI_BASE_URL=u/v1
        OPENAI_API_KEY=k
        ANTHROPIC_BASE_URL=u
        ANTHROPIC_API_KEY=k
        A=own
        ");
        insta::assert_snapshot!(names(&variables(), &["OPENAI_API_KEY"]), @r"
        ANTHROPIC_BASE_URL=u
        ANTHROPIC_API_KEY=k
        OPENAI_API_KEY=own
        ");
    }

    #[test]
    fn a_stage_sends_its_spans_with_its_key_and_below_its_attempt() {
        let own = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"];
        insta::assert_snapshot!(names(&traced(), &own), @r"
        OTEL_SERVICE_NAME=unit (3.12, a)
        OTEL_RESOURCE_ATTRIBUTES=cicd.pipeline.name=ci,cicd.pipeline.run.id=01k9zz0000abcdefghjkmnpqrs,cicd.pipeline.task.name=unit%20%283.12%2C%20a%29,cicd.pipeline.task.run.id=01k9zz0000abcdefghjkmnpqrs-1-2
        TRACEPARENT=00-019a7ff0000052d8d73e1194e95b5f19-67a94dc85a61b2ee-01
        OTEL_EXPORTER_OTLP_ENDPOINT=http://gateway:1/otlp
        OTEL_EXPORTER_OTLP_HEADERS=x-api-key=k
        OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
        OPENAI_API_KEY=own
        ANTHROPIC_API_KEY=own
        ");
        assert!(names(&traced().of_service("db"), &own).contains("OTEL_SERVICE_NAME=db\n"));
    }

    #[test]
    fn the_key_goes_to_no_collector_that_a_stage_has_named_itself() {
        for own in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            let env = names(&traced(), &[own]);
            assert_eq!(env.matches(EXPORTER).count(), 1, "{env}");
            assert!(env.contains("TRACEPARENT=00-"), "{env}");
        }
        let env = names(&traced(), &["TRACEPARENT", "OTEL_SERVICE_NAME"]);
        assert!(env.contains("TRACEPARENT=own") && !env.contains("TRACEPARENT=00"), "{env}");
        assert_eq!(env.matches("OTEL_SERVICE_NAME").count(), 1, "{env}");
    }
}
