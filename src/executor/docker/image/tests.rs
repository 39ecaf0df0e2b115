use super::*;

fn facts(config_user: &str) -> ImageFacts {
    ImageFacts {
        config_user: config_user.to_owned(),
        contents: Contents {
            has_shell: true,
            passwd: "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n".to_owned(),
            group: "root:x:0:\nstaff:x:50:app\n".to_owned(),
        },
    }
}

#[test]
fn users_are_found_as_docker_finds_them() {
    let user = |config: &str, user: Option<&str>| facts(config).user("i", user).unwrap();
    assert_eq!(user("", None), (0, 0));
    assert_eq!(user("app", None), (1000, 1001));
    assert_eq!(user("app", Some("0")), (0, 0));
    assert_eq!(user("", Some("1000")), (1000, 1001));
    assert_eq!(user("", Some("1000:7")), (1000, 7));
    assert_eq!(user("", Some("app:staff")), (1000, 50));
    assert_eq!(user("", Some("4711")), (4711, 0));
}

#[test]
fn an_unknown_name_is_the_users_mistake_and_says_what_to_do() {
    insta::assert_snapshot!(
        facts("").user("busybox", Some("nobdy")).unwrap_err(),
        @r#"image `busybox` has no user `nobdy` in its `/etc/passwd`. Use a number (`user: "1000:1000"`) or a name that is there"#
    );
}
