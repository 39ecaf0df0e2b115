//! What a stage's container gets, and what it does not.

use crate::bench::Bench;
use crate::docker;

/// Runs one stage and gives its log; the run must pass.
#[track_caller]
fn log_of(stage: &str) -> String {
    let bench = Bench::new().stages(&format!("  s:\n{stage}"));
    bench.run(&[]).expect_code(0);
    bench.log("s")
}

#[test]
fn a_random_uid_owns_its_workspace() {
    if !docker::is_here() {
        return;
    }
    let log = log_of(
        r"
    user: '12345:2345'
    run:
      - id -u; id -g
      - touch made
      - stat -c '%u:%g %n' .trunkline.yml made .
",
    );
    assert_eq!(log, "12345\n2345\n12345:2345 .trunkline.yml\n12345:2345 made\n12345:2345 .\n");
}

#[test]
fn an_image_with_a_user_of_its_own_can_write() {
    if !docker::is_here() {
        return;
    }
    docker::image_with_user("trunkline-test/nonroot:1");
    let log = log_of(
        r"
    image: trunkline-test/nonroot:1
    run: [id -un, echo x > new, rm .trunkline.yml, ls]
",
    );
    assert_eq!(log, "builder\nnew\n");
}

#[test]
fn a_read_only_root_leaves_the_workspace_and_tmp_writable() {
    if !docker::is_here() {
        return;
    }
    let log = log_of(
        r"
    read_only: true
    run: [touch /etc/x 2>/dev/null || echo refused, touch /tmp/x here, echo written]
",
    );
    assert_eq!(log, "refused\nwritten\n");
}

#[test]
fn a_container_has_no_socket_few_capabilities_and_an_init() {
    if !docker::is_here() {
        return;
    }
    let log = log_of(
        r"
    run: |
      ls /var/run/docker.sock 2>/dev/null || echo no socket
      grep -E 'CapEff|NoNewPrivs' /proc/self/status
      tr '\0' ' ' < /proc/1/cmdline
",
    );
    assert!(log.contains("no socket"), "{log}");
    assert!(log.contains("NoNewPrivs:\t1"), "{log}");
    let has_all =
        log.contains("CapEff:\t0000003fffffffff") || log.contains("CapEff:\t000001ffffffffff");
    assert!(!has_all, "{log}");
    assert!(log.contains("docker-init") || log.contains("tini"), "{log}");
}

#[test]
fn event_text_and_secrets_come_as_environment_and_secrets_are_masked() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r"
  s:
    secrets: [TOKEN]
    env: { WHO: '${{ git.author }}' }
    run: |
      echo $WHO, $TRUNKLINE_GIT_MESSAGE
      echo token=$TOKEN
      echo $TOKEN | base64
",
    );
    bench.run(&["--secret", "TOKEN=s3cr3t-value-42"]).expect_code(0);
    // (The line feed of `echo` is no part of the secret: its base64 may show.)
    assert_eq!(bench.log("s"), "Ada, first\ntoken=***\n***Cg==\n");
    let everything = format!("{:?}", bench.last_run().unwrap());
    assert!(!everything.contains("s3cr3t-value-42"), "the secret reached an event or the plan");
}

#[test]
fn network_none_reaches_nothing_and_services_are_reached_by_name() {
    if !docker::is_here() {
        return;
    }
    let log = log_of("    network: none\n    run: ip addr | grep -c eth0 || true\n");
    assert_eq!(log, "0\n");
    let bench = Bench::new().stages(
        r"
  s:
    network: full
    services:
      web:
        image: busybox:stable
        command: [sh, -c, mkdir /w; echo hello from web > /w/index.html; httpd -f -p 8080 -h /w]
        ready: { http: { port: 8080, path: / }, timeout: 20s }
    run: wget -q -O - http://web:8080/
",
    );
    bench.run(&[]).expect_code(0);
    assert!(bench.log("s").ends_with("hello from web\n"), "{}", bench.log("s"));
    assert!(docker::things_of(&bench.instance()).is_empty());
}

#[test]
fn a_step_may_have_an_image_of_its_own_in_the_same_workspace() {
    if !docker::is_here() {
        return;
    }
    let log = log_of(
        r"
    steps:
      - run: echo from busybox > note
      - { image: 'debian:bookworm-slim', run: 'cat note; . /etc/os-release; echo $ID' }
      - run: rm note; ls
",
    );
    assert_eq!(log, "from busybox\ndebian\n");
}
