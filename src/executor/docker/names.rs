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

/// Digits of the state folder's tag in names.
const TAG_DIGITS: usize = 8;

/// Names of what one state folder has on a daemon. Others on the same daemon may have the same attempts,
/// made ahead of their turn: each name has a tag of its state folder, the same by whatever path the folder
/// is reached.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// The names of the state folder with this instance.
    pub(super) fn of(instance: &str) -> Self {
        let digest = Digest::of(instance.as_bytes());
        let tag: String = digest.hex().chars().take(TAG_DIGITS).collect();
        Self { prefix: format!("trunkline-{tag}") }
    }

    /// The container of a row of steps, or of the program.
    pub(super) fn container(&self, slug: &str, segment: u32) -> String {
        format!("{}-{slug}-{segment}", self.prefix)
    }

    /// The container that is never started: it only holds the workspace while no other container does.
    pub(super) fn holder(&self, slug: &str) -> String {
        format!("{}-{slug}-files", self.prefix)
    }

    /// The container of a service.
    pub(super) fn service(&self, slug: &str, service: &str) -> String {
        format!("{}-{slug}-service-{service}", self.prefix)
    }

    /// The container that passes connections on to the gateway.
    pub(super) fn relay(&self, slug: &str) -> String {
        format!("{}-{slug}-relay", self.prefix)
    }

    /// The volume of the workspace.
    pub(super) fn volume(&self, slug: &str) -> String {
        format!("{}-{slug}", self.prefix)
    }

    /// The network of the attempt's own.
    pub(super) fn network(&self, slug: &str) -> String {
        format!("{}-{slug}", self.prefix)
    }
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

/// What a state folder has of an attempt, by labels.
pub(super) fn of_attempt(instance: &str, slug: &str) -> Filters {
    let both = vec![format!("{INSTANCE}={instance}"), format!("{ATTEMPT}={slug}")];
    HashMap::from([("label".to_owned(), both)])
}

/// What has a label with this value.
pub(super) fn filter(label: &str, value: &str) -> Filters {
    any(&format!("{label}={value}"))
}

/// What has a label.
pub(super) fn any(label: &str) -> Filters {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn state_folders_have_names_of_their_own() {
        let (one, other) = (Names::of("01k9aaaa"), Names::of("01k9bbbb"));
        assert_eq!(one.container("r-0-1", 2), "trunkline-72333a11-r-0-1-2");
        assert_eq!(one.container("r-0-1", 2), Names::of("01k9aaaa").container("r-0-1", 2));
        assert_ne!(one.container("r-0-1", 2), other.container("r-0-1", 2));
        assert_ne!(one.volume("r-0-1"), other.volume("r-0-1"));
    }
}
