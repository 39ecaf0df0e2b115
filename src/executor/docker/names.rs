//! Names and labels of what belongs to an attempt.

use std::collections::HashMap;
use std::path::Path;

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

/// Label with the state folder, so that what it leaves behind is known when it is gone.
pub(super) const STATE: &str = "trunkline.state";

/// The name of built images; their tag is the slug of the attempt.
pub(super) const BUILT: &str = "trunkline.invalid/built";
/// Label of a built image with the instance. Containers inherit the labels of their image, so these are
/// not those by which containers are found.
pub(super) const IMAGE_INSTANCE: &str = "trunkline.image.instance";
/// Label of a built image with the state folder.
pub(super) const IMAGE_STATE: &str = "trunkline.image.state";

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

pub(super) fn built(slug: &str) -> String {
    format!("{BUILT}:{slug}")
}

pub(super) fn labels(
    name: &AttemptName,
    label: &Label,
    state_folder: &Path,
) -> HashMap<String, String> {
    HashMap::from([
        (INSTANCE.to_owned(), label.instance.clone()),
        (RUN.to_owned(), name.run.to_string()),
        (ATTEMPT.to_owned(), name.slug()),
        (STAGE.to_owned(), label.stage.clone()),
        (STATE.to_owned(), state_folder.display().to_string()),
    ])
}

/// Filters of list requests.
pub(super) type Filters = HashMap<String, Vec<String>>;

/// What has a label with this value.
pub(super) fn filter(label: &str, value: &str) -> Filters {
    any(&format!("{label}={value}"))
}

/// What has a label.
pub(super) fn any(label: &str) -> Filters {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}
