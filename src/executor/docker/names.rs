//! Names and labels of what belongs to an attempt.

use std::collections::HashMap;

use crate::executor::Label;
use crate::model::{AttemptName, Digest};

/// Label with the state folder or server that made a thing.
pub(super) const INSTANCE: &str = "trunkline.instance";
/// Label with the run.
pub(super) const RUN: &str = "trunkline.run";
/// Label with the attempt's slug.
pub(super) const ATTEMPT: &str = "trunkline.attempt";
/// Label with the stage's key.
pub(super) const STAGE: &str = "trunkline.stage";

/// Label of a container that was made to look into an image, with the state folder it was made for.
pub(super) const PROBE: &str = "trunkline.probe";

/// The container that is made to look into an image.
pub(super) fn probe(state_folder: &str, image_id: &str) -> String {
    let both = Digest::of(format!("{state_folder}\n{image_id}").as_bytes());
    format!("trunkline-probe-{}", both.hex())
}

pub(super) fn container(slug: &str, segment: u32) -> String {
    format!("trunkline-{slug}-{segment}")
}

/// The container that is never started: it only holds the workspace while no other container does.
pub(super) fn holder(slug: &str) -> String {
    format!("trunkline-{slug}-files")
}

pub(super) fn service(slug: &str, service: &str) -> String {
    format!("trunkline-{slug}-service-{service}")
}

pub(super) fn volume(slug: &str) -> String {
    format!("trunkline-{slug}")
}

pub(super) fn network(slug: &str) -> String {
    format!("trunkline-{slug}")
}

pub(super) fn labels(name: &AttemptName, label: &Label) -> HashMap<String, String> {
    HashMap::from([
        (INSTANCE.to_owned(), label.instance.clone()),
        (RUN.to_owned(), name.run.to_string()),
        (ATTEMPT.to_owned(), name.slug()),
        (STAGE.to_owned(), label.stage.clone()),
    ])
}
