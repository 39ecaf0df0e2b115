use super::*;

#[test]
fn values_survive_a_shell() {
    let value = "a 'b' \"c\" $HOME `id` \\ \n\t é";
    let text = exports(&[("NAME".to_owned(), value.to_owned())]).unwrap();
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("{text} printf %s \"$NAME\"")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
}

#[test]
fn a_name_that_a_shell_cannot_hold_is_refused() {
    let error = exports(&[("a-b".to_owned(), String::new())]).unwrap_err();
    insta::assert_snapshot!(error, @"environment variable `a-b` cannot be set: a shell knows only names of letters, digits and `_`");
}

#[test]
fn a_value_with_a_zero_byte_is_refused() {
    assert!(exports(&[("A".to_owned(), "a\0b".to_owned())]).is_err());
}
