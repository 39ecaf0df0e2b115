//! Times, and what the machine does besides.

use std::time::Duration;

/// Times of calls, sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many of a thousand did not exceed, in milliseconds.
    pub(crate) fn ms(&self, of_thousand: usize) -> f64 {
        let place = (self.0.len() * of_thousand / 1000).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(f64::NAN, |it| it.as_secs_f64() * 1000.0)
    }
}

/// The load of the last minutes.
pub(crate) fn load_of_machine() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// Resident memory of a process and its children, in MiB.
pub(crate) fn mebibytes(process: u32) -> f64 {
    let own = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    };
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    own(process) + children.map(mebibytes).sum::<f64>()
}
