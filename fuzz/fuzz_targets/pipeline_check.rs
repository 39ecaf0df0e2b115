//! Any text: checking, rendering and planning must not panic, and must stay within time and memory.
//! `just fuzz` runs it on a nightly compiler, with the corpus of tests as its beginning.

#![no_main]
#![expect(dead_code, reason = "the target reaches what a text can reach")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/model.rs"]
mod model;
#[path = "../../src/pipeline.rs"]
mod pipeline;

use pipeline::{Context, Selection, SourceFile, check};

/// What a plan may hold at most.
const STAGES_MAX: usize = 1000;

fuzz_target!(|text: &str| {
    // A text that includes itself is the worst that a loader can give.
    let file = SourceFile { name: "fuzz.yml".to_owned(), text: text.to_owned() };
    let checked = check(file, &|_| Ok(text.to_owned()));
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.render(&checked.sources).is_empty());
    }
    let Some(pipeline) = checked.pipeline else { return };
    for event in ["push", "pull_request"] {
        let context = Context {
            event: event.to_owned(),
            inputs: pipeline.default_inputs(),
            ..Context::default()
        };
        if let Ok(plan) = pipeline.plan(&context, &Selection::All) {
            assert!(plan.stages.len() <= STAGES_MAX);
        }
    }
});
