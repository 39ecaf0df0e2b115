use super::*;

fn told(reference: &str) -> String {
    problem(reference).map_or_else(|| "fine".to_owned(), |(what, _)| what)
}

#[test]
fn references_that_registries_take_are_fine() {
    let digest = "a".repeat(64);
    for reference in [
        "busybox",
        "busybox:1.37",
        "library/busybox:Stable_2",
        "localhost:5000/a/b-c__d.e:x",
        "registry.example.com/team/app",
        "REGISTRY/app:1",
        "[::1]:5000/app",
        "a--b/c",
        &format!("app@sha256:{digest}"),
        &format!("app:1@sha256:{digest}"),
        &format!("sha256:{digest}"),
    ] {
        assert_eq!(told(reference), "fine", "{reference}");
    }
}

#[test]
fn references_that_registries_refuse_say_why() {
    let all = [
        "busybox:bad tag",
        "Busybox",
        "library/Busybox",
        "busybox:",
        ":1",
        "a//b",
        "/a",
        "-a",
        "a..b",
        "a___b",
        "app:-x",
        "app@sha256:12",
        "app@md5:12",
        "https://docker.io/app",
        "bad_host.example/app",
        "host:port/app",
    ];
    let lines: Vec<_> = all.iter().map(|it| format!("{it}: {}", told(it))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    busybox:bad tag: a space cannot stand in it
    Busybox: `Busybox` has upper-case letters
    library/Busybox: `Busybox` has upper-case letters
    busybox:: its tag is empty
    :1: it has no name
    a//b: a part of it is empty
    /a: a part of it is empty
    -a: `-a` cannot be a part of it
    a..b: `a..b` cannot be a part of it
    a___b: `a___b` cannot be a part of it
    app:-x: `-x` is no tag
    app@sha256:12: `sha256:12` is no digest
    app@md5:12: `md5:12` is no digest
    https://docker.io/app: it begins with a protocol
    bad_host.example/app: `bad_host.example` is no registry
    host:port/app: `host:port` is no registry
    ");
}
