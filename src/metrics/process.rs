//! What the process uses, as Linux tells (`man 5 proc`).

use std::fs;

/// Ticks of a second in `/proc`: what `sysconf(_SC_CLK_TCK)` says on every Linux.
const TICKS: f64 = 100.0;

/// What the process uses now; what is not known is 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessUse {
    /// Memory that is in RAM.
    pub resident_bytes: i64,
    /// Memory that is mapped.
    pub virtual_bytes: i64,
    /// Open files and sockets.
    pub open_files: i64,
    /// The most of them.
    pub max_files: i64,
    /// CPU time since it began.
    pub cpu_seconds: f64,
    /// When it began, in seconds since 1970-01-01 UTC.
    pub start_seconds: f64,
}

impl ProcessUse {
    /// Reads it.
    #[must_use]
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/self/stat");
        // The name in parentheses may have spaces; the third field comes after it.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|it| it.parse().ok());
        let ticks = |number: usize| field(number).unwrap_or(0.0) / TICKS;
        let bytes = |text: &str, name: &str| 1024 * number_after(text, name);
        let status = read("/proc/self/status");
        let boot = number_after(&read("/proc/stat"), "btime ");
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let boot = boot as f64;
        Self {
            resident_bytes: bytes(&status, "VmRSS:"),
            virtual_bytes: bytes(&status, "VmSize:"),
            open_files: fs::read_dir("/proc/self/fd")
                .map_or(0, |it| i64::try_from(it.count()).unwrap_or(i64::MAX)),
            max_files: number_after(&read("/proc/self/limits"), "Max open files"),
            cpu_seconds: ticks(14) + ticks(15),
            start_seconds: boot + ticks(22),
        }
    }
}

/// The number that comes first after a name at the beginning of a line.
fn number_after(text: &str, name: &str) -> i64 {
    let line = text.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let now = ProcessUse::now();
        assert!(now.resident_bytes > 1 << 20 && now.virtual_bytes > now.resident_bytes, "{now:?}");
        assert!(now.open_files > 2 && now.max_files >= now.open_files, "{now:?}");
        assert!(now.start_seconds > 1.6e9, "{now:?}");
    }
}
