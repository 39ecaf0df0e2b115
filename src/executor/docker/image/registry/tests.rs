use super::*;

#[test]
fn a_port_is_not_a_tag() {
    assert_eq!(split_tag("busybox"), ("busybox", None));
    assert_eq!(split_tag("busybox:stable"), ("busybox", Some("stable")));
    assert_eq!(split_tag("localhost:5000/a/b"), ("localhost:5000/a/b", None));
    assert_eq!(split_tag("localhost:5000/a/b:1"), ("localhost:5000/a/b", Some("1")));
    assert_eq!(split_tag("a/b@sha256:00"), ("a/b", Some("sha256:00")));
}

#[test]
fn the_credentials_are_those_of_the_images_registry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = serde_json::json!({ "auths": {
        "registry.example:5000": { "auth": STANDARD.encode("ann:se:cret") },
        "https://index.docker.io/v1/": { "auth": STANDARD.encode("bob:x") },
    }});
    std::fs::write(&path, text.to_string()).unwrap();
    let settings = DockerSettings {
        registry_config: Some(path),
        ..DockerSettings::new(folder.path().to_owned(), "test".to_owned())
    };
    let found = credentials(&settings, "registry.example:5000/app:1").unwrap();
    assert_eq!(found.username.as_deref(), Some("ann"));
    assert_eq!(found.password.as_deref(), Some("se:cret"));
    assert_eq!(credentials(&settings, "app").unwrap().username.as_deref(), Some("bob"));
    assert!(credentials(&settings, "elsewhere.example/app").is_none());
}
