//! What surrounds the commands of a stage: resources, services, caches and artifacts.

use std::collections::BTreeMap;

use super::super::fields::{Fields, Read, choice, items, mapping, wrong_type};
use super::super::image::ImageName;
use super::super::measure::{Anywhere, Bytes, Cpu, Inside, Positive};
use super::super::scalar::{Plain, check_name, environment, text, whole};
use super::step::read_command;
use crate::model::Milliseconds;
use crate::pipeline::Template;
use crate::pipeline::plan::{
    Artifacts, Cache, Network, Probe, PullPolicy, Readiness, ReportKind, Resources, Service,
};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};

pub(crate) const RESOURCE_KEYS: &[&str] = &["cpu", "memory", "pids"];
pub(crate) const SERVICE_KEYS: &[&str] = &["image", "env", "command", "ready"];
pub(crate) const READY_KEYS: &[&str] = &["tcp", "http", "exec", "timeout"];
pub(crate) const HTTP_KEYS: &[&str] = &["port", "path"];
pub(crate) const CACHE_KEYS: &[&str] = &["key", "fallback", "paths"];
pub(crate) const ARTIFACT_KEYS: &[&str] = &["paths", "expire", "reports", "on_failure"];
pub(crate) const REPORT_KEYS: &[&str] = &["junit", "sarif", "cobertura"];

/// A service gets this long to become ready unless it says otherwise.
const READY_TIMEOUT: Milliseconds = Milliseconds::from_seconds(60);

const PATHS_HELP: &str = "name the files to hand on, such as `paths: [out/]`";

/// Artifacts are kept this long unless they say otherwise: 30 days.
const EXPIRE: Milliseconds = Milliseconds::from_seconds(30 * 86_400);

impl Read for Resources {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, RESOURCE_KEYS, reading)?;
        let pids = fields.find("pids").and_then(|it| whole(it, "`pids`", 1..=1_000_000, reading));
        let memory = fields.read::<Bytes>("memory").map(|it| it.0);
        if let (Some(bytes), Some(node)) = (memory, fields.find("memory"))
            && bytes < 6 << 20
        {
            let message = "no container starts with less than 6 MiB of memory";
            reading.error("pipeline/memory", node.place, message, "give it more, such as `64Mi`");
        }
        Some(Self {
            cpu_millis: fields.read::<Cpu>("cpu").map(|it| it.0),
            memory_bytes: memory,
            pids: pids.and_then(|it| u32::try_from(it).ok()),
        })
    }
}

impl Read for PullPolicy {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const WORDS: &[(&str, PullPolicy)] = &[
            ("if_missing", PullPolicy::IfMissing),
            ("always", PullPolicy::Always),
            ("never", PullPolicy::Never),
        ];
        choice(node, label, WORDS, reading)
    }
}

impl Read for Network {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const WORDS: &[(&str, Network)] =
            &[("full", Network::Full), ("gateway", Network::Gateway), ("none", Network::None)];
        choice(node, label, WORDS, reading)
    }
}

/// Reads `services`: containers by their host name.
pub(crate) fn read_services(node: &Node, reading: &Reading) -> Option<BTreeMap<String, Service>> {
    const MOST: usize = 20;
    let entries = mapping(
        node,
        "`services`",
        "give each a host name: `services: { db: { image: \"postgres:16\" } }`",
        reading,
    )?;
    if entries.len() > MOST {
        let message = format!("a stage has {} services; the limit is {MOST}", entries.len());
        reading.error("pipeline/limit", node.place, message, "split the stage");
    }
    let mut services = BTreeMap::new();
    for entry in entries {
        let label = format!("service `{}`", entry.key);
        check_name(&entry.key, "service", entry.key_place, reading);
        if entry.key == "localhost" {
            let message = "a service cannot be called `localhost`, which is the stage itself";
            let help = "give it another host name, such as `db`";
            reading.error("pipeline/name", entry.key_place, message, help);
        }
        if let Some(service) = read_service(&entry.value, &label, reading) {
            services.insert(entry.key.clone(), service);
        }
    }
    Some(services)
}

fn read_service(node: &Node, label: &str, reading: &Reading) -> Option<Service> {
    if let Value::Scalar(_) = &node.value {
        let image = ImageName::read(node, label, reading)?.0;
        return Some(Service { image, env: BTreeMap::new(), command: Vec::new(), ready: None });
    }
    let fields = Fields::of(node, label, SERVICE_KEYS, reading)?;
    let env = fields.find("env").and_then(|it| environment(it, "`env`", reading));
    let command = fields.find("command").and_then(|it| read_command(it, reading));
    let ready = fields.find("ready").and_then(|it| read_ready(it, reading));
    Some(Service {
        image: fields.require::<ImageName>("image", "postgres:16")?.0,
        env: env.unwrap_or_default(),
        command: command.unwrap_or_default(),
        ready,
    })
}

fn read_ready(node: &Node, reading: &Reading) -> Option<Readiness> {
    let fields = Fields::of(node, "`ready`", READY_KEYS, reading)?;
    let timeout = fields.read::<Positive>("timeout").map_or(READY_TIMEOUT, |it| it.0);
    let given: Vec<&str> =
        ["tcp", "http", "exec"].into_iter().filter(|key| fields.find(key).is_some()).collect();
    let probe = match given.as_slice() {
        ["tcp"] => Probe::Tcp(read_port(fields.find("tcp")?, "`tcp`", reading)?),
        ["http"] => read_http(fields.find("http")?, reading)?,
        ["exec"] => {
            let words = fields.read_filled::<Plain>("exec", "name the program")?;
            Probe::Exec(words.into_iter().map(|it| it.0).collect())
        }
        _ => {
            let message = "`ready` needs exactly one of `tcp`, `http` and `exec`";
            let help = "such as `ready: { tcp: 5432, timeout: 30s }`";
            reading.error("pipeline/ready", node.place, message, help);
            return None;
        }
    };
    Some(Readiness { probe, timeout })
}

fn read_port(node: &Node, label: &str, reading: &Reading) -> Option<u16> {
    whole(node, label, 1..=65_535, reading).and_then(|it| u16::try_from(it).ok())
}

fn read_http(node: &Node, reading: &Reading) -> Option<Probe> {
    let fields = Fields::of(node, "`http`", HTTP_KEYS, reading)?;
    let path = fields.read_or("path", Plain("/".to_owned())).0;
    if !path.starts_with('/') {
        let place = fields.find("path").map_or(node.place, |it| it.place);
        let message = format!("`path` must start with `/`, found `{path}`");
        reading.error("pipeline/ready", place, message, format!("write `/{path}`"));
    }
    let Some(port) = fields.find("port") else {
        let message = "`http` has no `port`";
        reading.error("pipeline/missing-key", node.place, message, "add it, such as `port: 8080`");
        return None;
    };
    Some(Probe::Http { port: read_port(port, "`port`", reading)?, path })
}

impl Read for Cache {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, CACHE_KEYS, reading)?;
        let key = fields.require::<Template>("key", "\"pip-${{ hash('requirements.lock') }}\"");
        let fallback = fields.read_or("fallback", Vec::<Template>::new());
        fields.require::<Vec<Anywhere>>("paths", "[.cache/pip]")?;
        let paths = fields.read_filled::<Anywhere>("paths", "name the folders to keep")?;
        Some(Self { key: key?, fallback, paths: paths.into_iter().map(|it| it.0).collect() })
    }
}

impl Read for Artifacts {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            if items(node).is_empty() {
                let message = format!("{label} is an empty list");
                reading.error("pipeline/empty-list", node.place, message, PATHS_HELP);
            }
            let paths = insides(Vec::<Inside>::read(node, label, reading)?);
            let reports = BTreeMap::new();
            return Some(Self { paths, expire: EXPIRE, reports, on_failure: true });
        }
        let fields = Fields::of(node, label, ARTIFACT_KEYS, reading)?;
        let reports = fields.find("reports").and_then(|it| read_reports(it, reading));
        if fields.find("paths").is_none() && fields.find("reports").is_none() {
            let message = format!("{label} names no files");
            let help = "add `paths: [out/]` or `reports: { junit: out/junit.xml }`";
            reading.error("pipeline/missing-key", node.place, message, help);
        }
        Some(Self {
            paths: insides(fields.read_filled("paths", PATHS_HELP).unwrap_or_default()),
            expire: fields.read::<Positive>("expire").map_or(EXPIRE, |it| it.0),
            reports: reports.unwrap_or_default(),
            on_failure: fields.read_or("on_failure", true),
        })
    }
}

fn insides(list: Vec<Inside>) -> Vec<String> {
    list.into_iter().map(|it| it.0).collect()
}

fn read_reports(node: &Node, reading: &Reading) -> Option<BTreeMap<ReportKind, Vec<String>>> {
    const KINDS: [(&str, ReportKind); 3] = [
        ("junit", ReportKind::Junit),
        ("sarif", ReportKind::Sarif),
        ("cobertura", ReportKind::Cobertura),
    ];
    let fields = Fields::of(node, "`reports`", REPORT_KEYS, reading)?;
    let read = |(key, kind): (&str, ReportKind)| {
        let paths = fields.read_filled::<Inside>(key, "name the files of the report")?;
        Some((kind, insides(paths)))
    };
    Some(KINDS.into_iter().filter_map(read).collect())
}

/// `uid[:gid]` or a name.
pub(crate) fn read_user(node: &Node, reading: &Reading) -> Option<String> {
    let word = Plain::read(node, "`user`", reading)?.0;
    let is_part = |it: &str| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let is_user = word.splitn(2, ':').all(is_part);
    if !is_user {
        let help = if text(node).is_some() {
            "a name or number, and perhaps `:` and a group"
        } else {
            "quote it"
        };
        wrong_type(node, "`user`", "a user such as `\"1000:1000\"` or `app`", reading, help);
    }
    is_user.then_some(word)
}
