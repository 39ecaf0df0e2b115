//! Where another repository is: a URL, or `owner/name` on the host of the own one's `origin`.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a repository can be fetched from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    url: String,
}

/// Why something is no address, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAddress(String);

impl Address {
    /// What `from` means in a repository whose `origin` is this. Paths of this machine are only taken
    /// where `origin` is one as well, or there is none: a pipeline that comes from elsewhere must not
    /// read what else lies here.
    pub fn resolve(from: &str, origin: Option<&str>) -> Result<Self, NoAddress> {
        if from.chars().any(|it| it.is_whitespace() || it.is_control()) || from.starts_with('-') {
            return Err(NoAddress(format!("`{from}` is no address of a repository")));
        }
        if let Some(path) = local_path(from) {
            return of_path(from, path, origin);
        }
        if from.contains("://") {
            return of_url(from);
        }
        if let Some((host, path)) = from.split_once(':') {
            return of_scp(from, host, path);
        }
        if is_short(from) {
            return beside(from, origin);
        }
        Err(NoAddress(format!("`{from}` is neither the URL of a repository nor `owner/name`")))
    }

    /// For `git`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn local_path(from: &str) -> Option<&str> {
    from.strip_prefix("file://").or(Some(from)).filter(|it| it.starts_with('/'))
}

fn of_path(from: &str, path: &str, origin: Option<&str>) -> Result<Address, NoAddress> {
    if origin.is_none_or(|it| local_path(it).is_some()) {
        return Ok(Address { url: path.to_owned() });
    }
    Err(NoAddress(format!(
        "`{from}` is a path of this machine, and `origin` of the repository is not; write a URL"
    )))
}

fn of_url(from: &str) -> Result<Address, NoAddress> {
    let refused = |why: &str| Err(NoAddress(format!("`{}` {why}", without_password(from))));
    let rest = match from.split_once("://") {
        Some(("https" | "ssh", rest)) => rest,
        Some((protocol, _)) => {
            return refused(&format!("uses `{protocol}`; write `https://…` or `ssh://…`"));
        }
        None => return refused("is no URL"),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return refused("holds a password; leave it out, and let git's credential helper give it");
    }
    if host.is_empty() || host.starts_with('-') || path.is_empty() {
        return refused("is no URL of a repository; write `https://host/owner/name`");
    }
    Ok(Address { url: from.to_owned() })
}

fn without_password(url: &str) -> String {
    match url.split_once("://").and_then(|(before, rest)| Some((before, rest.rsplit_once('@')?.1)))
    {
        Some((before, after)) => format!("{before}://…@{after}"),
        None => url.to_owned(),
    }
}

/// `git@host:owner/name`, as `ssh` takes it.
fn of_scp(from: &str, host: &str, path: &str) -> Result<Address, NoAddress> {
    let is_host = |it: &str| {
        !it.is_empty()
            && !it.starts_with('-')
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let has_host = match host.split_once('@') {
        Some((user, host)) => is_host(user) && is_host(host),
        None => is_host(host),
    };
    if has_host && !path.is_empty() && !path.starts_with(['-', ':']) {
        return Ok(Address { url: from.to_owned() });
    }
    Err(NoAddress(format!(
        "`{from}` is no address of a repository; write `https://host/owner/name`"
    )))
}

/// `owner/name`, or more levels as GitLab has them.
fn is_short(from: &str) -> bool {
    let is_part = |it: &str| {
        !it.is_empty()
            && !it.starts_with(['-', '.'])
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    from.contains('/') && from.split('/').all(is_part)
}

fn beside(from: &str, origin: Option<&str>) -> Result<Address, NoAddress> {
    let Some(origin) = origin else {
        return Err(NoAddress(format!(
            "`{from}` is short for a repository on the host of `origin`, and this repository has no \
             `origin`; write the whole URL"
        )));
    };
    if let Some(path) = local_path(origin) {
        return beside_path(from, Path::new(path));
    }
    let has_suffix = origin.trim_end_matches('/').strip_suffix(".git").is_some();
    let bare = from.trim_end_matches(".git");
    let name = if has_suffix { format!("{bare}.git") } else { bare.to_owned() };
    if let Some((protocol, rest)) = origin.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        return of_url(&format!("{protocol}://{}/{name}", without_secret(protocol, authority)));
    }
    match origin.split_once(':') {
        Some((host, path)) => {
            let root = if path.starts_with('/') { "/" } else { "" };
            of_scp(from, host, &format!("{root}{name}"))
                .map(|_| Address { url: format!("{host}:{root}{name}") })
        }
        None => Err(NoAddress(format!("`origin` is `{origin}`, which has no host for `{from}`"))),
    }
}

/// The user of `ssh` is part of the address; one of `https` is a secret, or goes with one.
fn without_secret(protocol: &str, authority: &str) -> String {
    match authority.rsplit_once('@') {
        Some((user, host)) if protocol == "ssh" => {
            format!("{}@{host}", user.split(':').next().unwrap_or_default())
        }
        Some((_, host)) => host.to_owned(),
        None => authority.to_owned(),
    }
}

/// Beside the owner's folder of `origin`, else beside `origin` itself.
fn beside_path(from: &str, origin: &Path) -> Result<Address, NoAddress> {
    let mut names = [from.to_owned(), format!("{from}.git")];
    if origin.extension().is_some_and(|it| it == "git") {
        names.reverse();
    }
    let folders: Vec<&Path> = origin.ancestors().skip(1).take(2).collect();
    let named = |folder: &&Path| names.each_ref().map(|name| folder.join(name));
    let candidates: Vec<PathBuf> = folders.iter().rev().flat_map(named).collect();
    // Where none is there now, the first is what was there before, or what is told to be missing.
    let found = candidates.iter().find(|it| it.is_dir()).or(candidates.first());
    let path = found
        .ok_or_else(|| NoAddress(format!("there is nothing beside `{}`", origin.display())))?;
    Ok(Address { url: path.display().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: &str, origin: Option<&str>) -> String {
        Address::resolve(from, origin).map_or_else(|it| it.to_string(), |it| it.url)
    }

    #[test]
    fn a_short_name_is_on_the_host_of_origin() {
        let short = "platform/ci";
        for (origin, url) in [
            ("https://git.example/acme/app.git", "https://git.example/platform/ci.git"),
            ("https://git.example/acme/app", "https://git.example/platform/ci"),
            ("https://bot:token@git.example:8443/a/b", "https://git.example:8443/platform/ci"),
            ("ssh://git@git.example:2222/a/b.git", "ssh://git@git.example:2222/platform/ci.git"),
            ("git@git.example:acme/app.git", "git@git.example:platform/ci.git"),
            ("git.example:/srv/app", "git.example:/platform/ci"),
        ] {
            assert_eq!(told(short, Some(origin)), url);
        }
        insta::assert_snapshot!(told(short, None), @"`platform/ci` is short for a repository on the host of `origin`, and this repository has no `origin`; write the whole URL");
    }

    #[test]
    fn a_local_origin_has_its_neighbours_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("platform/ci.git")).unwrap();
        let expected = folder.path().join("platform/ci.git").display().to_string();
        for origin in ["acme/app.git", "app.git"] {
            let origin = folder.path().join(origin).display().to_string();
            assert_eq!(told("platform/ci", Some(&origin)), expected);
        }
    }

    #[test]
    fn whole_addresses_are_taken_as_they_are() {
        for url in [
            "https://git.example/platform/ci",
            "ssh://git@git.example/platform/ci.git",
            "git@git.example:platform/ci.git",
        ] {
            assert_eq!(told(url, None), url);
        }
        assert_eq!(told("file:///srv/ci.git", None), "/srv/ci.git");
        assert_eq!(told("/srv/ci.git", Some("/srv/app.git")), "/srv/ci.git");
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        let refused = [
            "ext::sh -c true",
            "ext::true",
            "--upload-pack=true",
            "http://git.example/a/b",
            "https://ada:secret@git.example/a/b",
            "ssh://-oProxyCommand=true/a",
            "-oProxyCommand=true:a",
            "a/../b",
            "name",
        ];
        let lines: Vec<_> = refused.iter().map(|it| told(it, None)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        `ext::sh -c true` is no address of a repository
        `ext::true` is no address of a repository; write `https://host/owner/name`
        `--upload-pack=true` is no address of a repository
        `http://git.example/a/b` uses `http`; write `https://…` or `ssh://…`
        `https://…@git.example/a/b` holds a password; leave it out, and let git's credential helper give it
        `ssh://-oProxyCommand=true/a` is no URL of a repository; write `https://host/owner/name`
        `-oProxyCommand=true:a` is no address of a repository
        `a/../b` is neither the URL of a repository nor `owner/name`
        `name` is neither the URL of a repository nor `owner/name`
        ");
        insta::assert_snapshot!(told("/etc", Some("https://git.example/a/b")), @"`/etc` is a path of this machine, and `origin` of the repository is not; write a URL");
    }
}
