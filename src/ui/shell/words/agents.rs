//! Names of browsers by what they send as `User-Agent`. Pure; for people only, as everybody may send anything.

/// What is in it, and what it is then called. Most say that they are others too: the first that fits is it.
const PROGRAMS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// `Firefox on Linux`; a program that is no browser by its own first word.
pub(super) fn browser(agent: &str) -> String {
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
    };
    let first = agent.split([' ', '/']).next().unwrap_or_default();
    let program = find(&PROGRAMS).unwrap_or(first);
    match find(&SYSTEMS) {
        _ if program.is_empty() => "unknown".to_owned(),
        Some(system) => format!("{program} on {system}"),
        None => program.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_only_they_say() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1";
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let edge = format!("{chrome} Edg/142.0.0.0");
        let names = [chrome, &edge, safari, firefox, "curl/8.10.1", ""].map(browser);
        let wanted = [
            "Chrome on Windows",
            "Edge on Windows",
            "Safari on iPhone",
            "Firefox on Linux",
            "curl",
            "unknown",
        ];
        assert_eq!(names, wanted);
    }
}
