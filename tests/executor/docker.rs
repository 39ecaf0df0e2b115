//! What only Docker does, and the contract on it.

use trunkline::executor::{
    AttemptState, BuildSpec, Executor as _, ExecutorError, LogItem, NetworkSpec, ProbeSpec,
    ProgramSpec, Pull, ServiceSpec,
};
use trunkline::model::{FailureClass, Milliseconds};

use crate::attempt::{Attempt, downloaded};
use crate::world::{DockerWorld, World as _, container_of, docker, run};

mod contract {
    crate::contract::hold_contract!(crate::world::DockerWorld);
}

mod shell {
    crate::shell::hold_shell_contract!(crate::world::DockerWorld);
}

mod contract_without_overlays {
    crate::contract::hold!(crate::world::PlainDockerWorld, contract:
        steps_pass_one_after_the_other,
        files_go_in_and_come_out,
        a_checkout_is_seen_by_two_and_changed_by_none,
        a_new_process_takes_up_what_was_prepared,
        an_attempt_that_was_only_prepared_can_be_removed,
    );
}

const DEBIAN: &str = "debian:bookworm-slim";

#[tokio::test]
async fn steps_of_other_images_share_the_workspace() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let show = "cat /etc/os-release 2>/dev/null | grep ^ID= || echo none";
        let mut attempt = Attempt::new(
            world,
            &["echo 1 > file", show, "cat file; exit 3", "echo no", "echo last"],
        );
        let debian = Some(DEBIAN.to_owned());
        attempt.prepare.program =
            ProgramSpec::Steps { images: vec![None, debian.clone(), debian.clone(), None, debian] };
        attempt.steps()[4].when_failed = true;
        let story = attempt.run(&executor).await.story();
        insta::assert_snapshot!(story, @r"
        [start 0]
        [end 0: 0]
        [start 1]
        ID=debian
        [end 1: 0]
        [start 2]
        1
        [end 2: 3]
        [start 4]
        last
        [end 4: 0]
        exit 3
        ");
        let again = attempt.finish(&world.executor().await).await.story();
        assert_eq!(again, story);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_not_in_the_containers_configuration() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["test \"$TOKEN\" = s3cr3t-value"])
            .with_env(&[("TOKEN", "s3cr3t-value")]);
        assert_eq!(attempt.run(&executor).await.exit.code, 0);
        let container = container_of(attempt.name(), "0");
        assert!(!docker(&["inspect", &container]).contains("s3cr3t"));
    })
    .await;
}

#[tokio::test]
async fn a_container_without_memory_is_told_so() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["head -c 300000000 /dev/zero | tail"]);
        attempt.prepare.memory_bytes = Some(32 * 1024 * 1024);
        let outcome = attempt.run(&world.executor().await).await;
        assert!(outcome.exit.out_of_memory, "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn an_image_that_may_not_be_pulled_is_missing() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        attempt.prepare.image = "trunkline.invalid/none:1".to_owned();
        attempt.prepare.pull = Pull::Never;
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::ImagePull);
        assert!(error.to_string().contains("`pull: never` forbids it"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_image_of_a_registry_that_is_not_there_is_missing() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        attempt.prepare.image = "127.0.0.1:9/none:1".to_owned();
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::ImagePull);
        assert!(error.to_string().contains("reaches the registry"), "{error}");
    })
    .await;
}

/// An image with one file and nothing else, removed at its end.
struct Image(String);

impl Image {
    fn of(world: &DockerWorld, file: &str, changes: &[&str]) -> Self {
        let name = format!("trunkline.invalid/{}:1", world.place().instance);
        let folder = world.place().folder().join("image");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), file).unwrap();
        let tar = world.place().folder().join("image.tar");
        let archive = std::process::Command::new("tar")
            .args(["-C", folder.to_str().unwrap(), "-cf", tar.to_str().unwrap(), "."])
            .status();
        assert!(archive.unwrap().success());
        let mut words = vec!["import"];
        for change in changes {
            words.extend(["--change", change]);
        }
        words.extend([tar.to_str().unwrap(), &name]);
        docker(&words);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test]
async fn an_image_without_a_shell_is_refused_with_a_way_out() {
    run::<DockerWorld>(async |world| {
        let image = Image::of(world, "", &[]);
        let mut attempt = Attempt::new(world, &["true"]);
        attempt.prepare.image.clone_from(&image.0);
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Rejected(_)), "{error}");
        assert!(error.to_string().contains("Use `command:`"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn users_are_honoured() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        for (user, wanted) in [("4711", "4711:0"), ("12:34", "12:34"), ("daemon", "1:1")] {
            let mut attempt = Attempt::new(
                world,
                &[
                    "echo $(id -u):$(id -g); echo x > made; cat made in/file",
                    "mkdir -p \"$HOME/.cache\"",
                ],
            );
            attempt.prepare.image = DEBIAN.to_owned();
            attempt.prepare.user = Some(user.to_owned());
            attempt.prepare(&executor).await.unwrap();
            let files = crate::attempt::archive(&[("file", 0o600, "mine\n")]);
            executor.upload(attempt.name(), "in", files).await.unwrap();
            executor.begin(attempt.name(), &attempt.begin).await.unwrap();
            let outcome = attempt.finish(&executor).await;
            assert_eq!(outcome.text(), format!("{wanted}\nx\nmine\n"), "{outcome:?}");
            assert_eq!(outcome.exit.code, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_user_is_refused() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        attempt.prepare.user = Some("nobdy".to_owned());
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::User);
        assert!(error.to_string().contains("no user `nobdy`"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_read_only_root_leaves_workspace_and_tmp() {
    run::<DockerWorld>(async |world| {
        let steps = ["echo a > file; echo b > /tmp/b; cat file /tmp/b", "echo x > /etc/x"];
        let mut attempt = Attempt::new(world, &steps);
        attempt.prepare.read_only = true;
        let outcome = attempt.run(&world.executor().await).await;
        assert!(outcome.text().starts_with("a\nb\n"), "{}", outcome.text());
        assert!(outcome.text().contains("Read-only file system"), "{}", outcome.text());
    })
    .await;
}

#[tokio::test]
async fn without_a_network_there_is_only_the_loopback() {
    run::<DockerWorld>(async |world| {
        let attempt = Attempt::new(world, &["ls /sys/class/net"]);
        assert_eq!(attempt.run(&world.executor().await).await.text(), "lo\n");
    })
    .await;
}

fn build_spec(attempt: &Attempt, tags: &[&str]) -> BuildSpec {
    BuildSpec {
        name: attempt.name().clone(),
        context: "app".to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        tags: tags.iter().map(|it| (*it).to_owned()).collect(),
        args: vec![("WORD".to_owned(), "built".to_owned())],
        target: None,
        push: false,
    }
}

/// An attempt that only builds, with this Dockerfile.
async fn build_of(world: &DockerWorld, dockerfile: &str) -> Attempt {
    let checkout = world.place().folder().join("checkout");
    std::fs::create_dir_all(checkout.join("app/target")).unwrap();
    let app = checkout.join("app");
    std::fs::write(app.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(app.join(".dockerignore"), "target\n").unwrap();
    std::fs::write(app.join("target/big"), "big").unwrap();
    let mut attempt = Attempt::new(world, &[]).with_checkout(&checkout);
    attempt.prepare.program = ProgramSpec::Nothing;
    let executor = world.executor().await;
    attempt.prepare(&executor).await.unwrap();
    let files = crate::attempt::archive(&[("from-a-need", 0o644, "artifact")]);
    executor.upload(attempt.name(), "app", files).await.unwrap();
    attempt
}

const DOCKERFILE: &str =
    "FROM busybox:stable\nARG WORD\nCOPY . /app\nRUN echo $WORD; ls /app > /list\n";

#[tokio::test]
async fn an_image_is_built_from_the_workspace_and_runs() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = build_of(world, DOCKERFILE).await;
        let lines = std::sync::Mutex::new(Vec::new());
        let spec = build_spec(&attempt, &[]);
        let progress = |line: String| lines.lock().unwrap().push(line);
        let built = executor.build(&spec, &progress).await.unwrap();
        let _image = Image(built.reference.clone());
        assert!(built.digest.starts_with("sha256:"), "{built:?}");
        assert_eq!(executor.image_digest(&built.reference).await.unwrap(), Some(built.digest));
        assert!(lines.lock().unwrap().contains(&"built".to_owned()), "{lines:?}");
        let mut user = Attempt::new(world, &["cat /list"]);
        user.prepare.image = built.reference;
        user.prepare.pull = Pull::Never;
        assert_eq!(user.run(&executor).await.text(), "Dockerfile\nfrom-a-need\n");
        executor.remove(user.name()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_build_that_fails_shows_the_line() {
    run::<DockerWorld>(async |world| {
        let attempt = build_of(world, "FROM busybox:stable\nRUN echo so far; exit 9\n").await;
        let executor = world.executor().await;
        let error = executor.build(&build_spec(&attempt, &[]), &|_| ()).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::User);
        let text = error.to_string();
        assert!(text.contains("exit 9") && text.contains("so far"), "{text}");
    })
    .await;
}

/// Debian's registry, on a port of its own.
struct Registry {
    process: std::process::Child,
    address: String,
}

impl Registry {
    async fn start(folder: &std::path::Path) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: \"{}/registry\" }} }}\nhttp: {{ addr: \"{address}\" }}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let started = std::process::Command::new("docker-registry")
            .args(["serve", config.to_str().unwrap()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        let Ok(process) = started else {
            crate::world::skip("docker-registry");
            return None;
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Some(Self { process, address })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn a_built_image_is_pushed_and_can_be_pulled() {
    run::<DockerWorld>(async |world| {
        let Some(registry) = Registry::start(world.place().folder()).await else {
            return;
        };
        let executor = world.executor().await;
        let attempt = build_of(world, DOCKERFILE).await;
        let tag = format!("{}/team/app:1", registry.address);
        let spec = BuildSpec { push: true, ..build_spec(&attempt, &[&tag]) };
        let built = executor.build(&spec, &|_| ()).await.unwrap();
        drop((Image(built.reference), Image(tag.clone())));
        assert_eq!(executor.image_digest(&tag).await.unwrap(), None);
        let mut user = Attempt::new(world, &["cat /list"]);
        user.prepare.image = format!("{}/team/app@{}", registry.address, built.digest);
        let lines = std::sync::Mutex::new(Vec::new());
        let progress = |line: String| lines.lock().unwrap().push(line);
        let facts = executor.image_user(&user.prepare.image, Pull::IfMissing, None, &progress);
        assert_eq!(facts.await.unwrap(), (0, 0));
        let _image = Image(user.prepare.image.clone());
        assert!(lines.lock().unwrap().len() > 1, "{lines:?}");
        assert_eq!(user.run(&executor).await.text(), "Dockerfile\nfrom-a-need\n");
        executor.remove(user.name()).await.unwrap();
    })
    .await;
}

fn service(command: &str, ready: ProbeSpec, limit: u64) -> ServiceSpec {
    ServiceSpec {
        name: "web".to_owned(),
        image: "busybox:stable".to_owned(),
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        command: vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()],
        ready: Some((ready, Milliseconds(limit))),
    }
}

#[tokio::test]
async fn a_service_is_ready_before_the_steps_and_has_a_name() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let serve =
            "sleep 1; mkdir /w; echo $GREETING > /w/index.html; exec httpd -f -p 8080 -h /w";
        let probe = ProbeSpec::Http { port: 8080, path: "/index.html".to_owned() };
        for network in [NetworkSpec::None, NetworkSpec::Full] {
            let mut attempt = Attempt::new(world, &["wget -qO- http://web:8080/"]);
            attempt.prepare.network = network;
            attempt.prepare.services = vec![service(serve, probe.clone(), 20_000)];
            assert_eq!(attempt.run(&executor).await.text(), "hello\n");
            executor.remove(attempt.name()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_service_that_never_gets_ready_shows_its_log() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        let probe = ProbeSpec::Tcp(5432);
        attempt.prepare.services = vec![service("echo looking for it; sleep 60", probe, 1500)];
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::User);
        let text = error.to_string();
        assert!(text.contains("for 1.5 s (asked TCP port 5432)"), "{text}");
        assert!(text.contains("looking for it"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_ends_is_not_waited_for() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        let probe = ProbeSpec::Tcp(1);
        attempt.prepare.services = vec![service("echo no such table; exit 7", probe, 60_000)];
        let error = attempt.prepare(&world.executor().await).await.unwrap_err().to_string();
        assert!(error.contains("exit code 7"), "{error}");
        assert!(error.contains("no such table"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_service_is_asked_by_a_command() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["echo go"]);
        let words = ["test", "-e", "/ready"].map(str::to_owned).to_vec();
        let serve = "sleep 1; touch /ready; sleep 60";
        attempt.prepare.services = vec![service(serve, ProbeSpec::Exec(words), 20_000)];
        assert_eq!(attempt.run(&world.executor().await).await.text(), "go\n");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_removed_is_lost() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["echo up; sleep 60"]);
        attempt.start(&executor).await;
        crate::attempt::until(&executor, attempt.name(), "up\n").await;
        docker(&["rm", "-f", &container_of(attempt.name(), "0")]);
        let error = executor.wait(attempt.name()).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Gone(_)), "{error}");
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Lost);
        let error = attempt.prepare(&executor).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Gone(_)), "it must not run a second time: {error}");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_killed_is_the_machines_failure() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["echo up; sleep 60"]);
        attempt.start(&executor).await;
        crate::attempt::until(&executor, attempt.name(), "up\n").await;
        docker(&["kill", &container_of(attempt.name(), "0")]);
        let error = executor.wait(attempt.name()).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Infra);
        assert!(error.to_string().contains("killed from outside"), "{error}");
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Lost);
    })
    .await;
}

#[tokio::test]
async fn a_step_that_kills_itself_is_the_users_failure() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["echo partial; kill -9 $$", "true"]);
        let outcome = attempt.run(&executor).await;
        assert_eq!(outcome.exit.code, 137, "{outcome:?}");
        let exit = outcome.exit;
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Exited(exit));
    })
    .await;
}

#[tokio::test]
async fn a_waiting_container_that_somebody_removed_is_made_again() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["echo here"]);
        attempt.prepare(&executor).await.unwrap();
        let container = container_of(attempt.name(), "0");
        docker(&["rm", "-f", &container]);
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Absent);
        assert_eq!(attempt.run(&executor).await.text(), "here\n");
        docker(&["rm", "-f", &container]);
        let second = Attempt::new(world, &["echo here"]);
        second.prepare(&executor).await.unwrap();
        docker(&["kill", &container_of(second.name(), "0")]);
        assert_eq!(executor.state(second.name()).await.unwrap(), AttemptState::Absent);
        assert_eq!(second.run(&executor).await.text(), "here\n");
    })
    .await;
}

#[tokio::test]
async fn processes_that_prepare_an_attempt_at_the_same_time_get_in_nobodys_way() {
    run::<DockerWorld>(async |world| {
        let attempt = Attempt::new(world, &["echo once"]);
        let executors = [world.executor().await, world.executor().await, world.executor().await];
        let [first, second, third] = executors.each_ref().map(|it| Box::pin(attempt.prepare(it)));
        tokio::try_join!(first, second, third).unwrap();
        assert_eq!(attempt.run(&executors[0]).await.text(), "once\n");
    })
    .await;
}

#[tokio::test]
async fn root_may_do_what_builds_need_and_no_more() {
    run::<DockerWorld>(async |world| {
        let text = "touch f; chown 7:8 f; chmod 600 f; stat -c %u:%g f; su daemon -s /bin/sh -c 'id -un'\n\
                    mount -t tmpfs none /mnt && echo mounted || echo refused";
        let mut attempt = Attempt::new(world, &[text]);
        attempt.prepare.image = DEBIAN.to_owned();
        let outcome = attempt.run(&world.executor().await).await;
        assert!(outcome.text().starts_with("7:8\ndaemon\n"), "{}", outcome.text());
        assert!(outcome.text().ends_with("refused\n"), "{}", outcome.text());
    })
    .await;
}

#[tokio::test]
async fn big_workspaces_cost_nothing_until_they_change() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let checkout = world.place().folder().join("checkout");
        std::fs::create_dir_all(checkout.join("deep/er")).unwrap();
        std::fs::write(checkout.join("deep/er/file"), "old\n").unwrap();
        let attempt =
            Attempt::new(world, &["rm -r deep/er; mkdir deep/er; echo new > deep/er/other"])
                .with_checkout(&checkout);
        assert_eq!(attempt.run(&executor).await.exit.code, 0);
        let got = downloaded(&executor, attempt.name(), "deep/**").await;
        assert_eq!(got, ["deep/er/other 644 new"]);
    })
    .await;
}

#[tokio::test]
async fn only_a_definite_no_is_final() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let error_of = async |image: &str, pull| {
            let mut attempt = Attempt::new(world, &["true"]);
            (attempt.prepare.image, attempt.prepare.pull) = (image.to_owned(), pull);
            attempt.prepare(&executor).await.unwrap_err()
        };
        assert!(error_of("trunkline.invalid/none:1", Pull::Never).await.is_final());
        assert!(!error_of("127.0.0.1:9/none:1", Pull::IfMissing).await.is_final());
        let Some(registry) = Registry::start(world.place().folder()).await else {
            return;
        };
        let error = error_of(&format!("{}/none:1", registry.address), Pull::IfMissing).await;
        assert_eq!(error.class(), FailureClass::ImagePull);
        assert!(error.is_final(), "{error}");
    })
    .await;
}

#[tokio::test]
async fn the_log_of_a_service_is_told_once() {
    run::<DockerWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        let probe = ProbeSpec::Tcp(1);
        attempt.prepare.services = vec![service("echo no such table; exit 7", probe, 60_000)];
        let lines = std::sync::Mutex::new(Vec::new());
        let progress = |line: String| lines.lock().unwrap().push(line);
        let prepared = world.executor().await.prepare(&attempt.prepare, &progress).await;
        let error = prepared.unwrap_err();
        assert_eq!(error.class(), FailureClass::User);
        assert_eq!(error.to_string().matches("no such table").count(), 1, "{error}");
        let lines = lines.into_inner().unwrap().join("\n");
        assert!(!lines.contains("no such table"), "{lines}");
    })
    .await;
}

#[tokio::test]
async fn an_attempt_knows_when_it_ended() {
    run::<DockerWorld>(async |world| {
        let outcome = Attempt::new(world, &["echo a"]).run(&world.executor().await).await;
        let last = outcome.log.iter().filter_map(|item| {
            if let LogItem::Output { at, .. } = item { Some(*at) } else { None }
        });
        let (printed, ended) = (last.last().unwrap(), outcome.exit.ended_at.unwrap());
        assert!(ended >= printed && ended.since(printed).0 < 60_000, "{ended:?} {printed:?}");
    })
    .await;
}

#[tokio::test]
async fn what_a_state_folder_that_is_gone_has_left_is_removed() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let gone = world.place().folder().join("gone");
        let mut attempt = Attempt::program(world, &["true"]);
        attempt.prepare.network = NetworkSpec::Gateway;
        attempt.prepare.gateway = trunkline::executor::GatewaySpec::Named;
        let settings = trunkline::executor::DockerSettings {
            overlays: false,
            ..trunkline::executor::DockerSettings::new(gone.clone(), world.place().instance.clone())
        };
        let other = trunkline::executor::DockerExecutor::connect(settings).await.unwrap();
        attempt.prepare(&other).await.unwrap();
        let future = trunkline::model::Timestamp(i64::MAX);
        let find = || {
            let name = format!("label=trunkline.attempt={}", attempt.name().slug());
            let containers = docker(&["ps", "-aq", "--filter", &name]);
            let volumes = docker(&["volume", "ls", "-q", "--filter", &name]);
            containers + &volumes + &docker(&["network", "ls", "-q", "--filter", &name])
        };
        executor.remove_orphans(future).await.unwrap();
        assert_eq!(find().lines().count(), 3, "its state folder is there");
        std::fs::remove_dir_all(&gone).unwrap();
        executor.remove_orphans(trunkline::model::Timestamp(0)).await.unwrap();
        assert_eq!(find().lines().count(), 3, "it is too young");
        executor.remove_orphans(future).await.unwrap();
        assert_eq!(find(), "");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_looked_into_an_image_for_a_killed_process_is_removed() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        Attempt::new(world, &["true"]).prepare(&executor).await.unwrap();
        let label = format!("trunkline.probe={}", world.place().state_folder().display());
        docker(&["create", "--label", &label, "busybox:stable", "true"]);
        let find = || docker(&["ps", "-aq", "--filter", &format!("label={label}")]);
        assert_eq!(find().lines().count(), 1);
        executor.tidy().await.unwrap();
        assert_eq!(find(), "");
    })
    .await;
}
