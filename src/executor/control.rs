//! The folder of an attempt on the engine's machine: scripts, marker of the go, published files. What it
//! says holds across restarts of the engine. Only the engine's user can reach it; a container sees
//! the parts that are mounted into it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, IFlags, Mode, OFlags};

use crate::executor::layout::Layout;
use crate::executor::script::{self, Places, Steps};
use crate::executor::{BeginSpec, CommandSpec, ExecutorError, GivenFile, Published};
use crate::model::AttemptName;

/// At most this much of a published file is read.
const PUBLISHED_LIMIT_BYTES: u64 = 1024 * 1024;

/// The folder of one attempt.
#[derive(Debug, Clone)]
pub(super) struct AttemptFolder {
    root: PathBuf,
    slug: String,
}

/// Folder of all attempts below a state folder.
pub(super) fn attempts_folder(state_folder: &Path) -> PathBuf {
    state_folder.join("attempts")
}

/// Makes the folder of all attempts, closed to other users of the machine.
pub(super) fn create_attempts_folder(state_folder: &Path) -> Result<(), ExecutorError> {
    let folder = attempts_folder(state_folder);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| failed("creating folder", &folder, &error))?;
    spread_folders_in(&folder);
    Ok(())
}

/// Makes ext4 put the folders in this one far from each other. Without a journal it is slow to make a
/// file near many that were removed in the last minute (`recently_deleted` in `fs/ext4/ialloc.c`), and
/// attempts come and go. Other filesystems know no such flag, and need none.
fn spread_folders_in(folder: &Path) {
    let spread = || -> io::Result<()> {
        let file = File::open(folder)?;
        let flags = rustix::fs::ioctl_getflags(&file)?;
        Ok(rustix::fs::ioctl_setflags(&file, flags | IFlags::TOPDIR)?)
    };
    if let Err(error) = spread() {
        tracing::debug!(folder = %folder.display(), %error, "the folders in it are not spread");
    }
}

/// An [`ExecutorError`] for a file of ours.
pub(super) fn failed(operation: &str, path: &Path, error: &io::Error) -> ExecutorError {
    ExecutorError::Infra {
        operation: format!("{operation} `{}`", path.display()),
        reason: error.to_string(),
    }
}

impl AttemptFolder {
    pub(super) fn new(state_folder: &Path, name: &AttemptName) -> Self {
        let slug = name.slug();
        Self { root: attempts_folder(state_folder).join(&slug), slug }
    }

    pub(super) fn slug(&self) -> &str {
        &self.slug
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// The folder that has the folders of all attempts.
    pub(super) fn state_folder(&self) -> &Path {
        self.root.ancestors().nth(2).unwrap_or(&self.root)
    }

    /// What a container sees as `/trunkline`: its scripts and the marker.
    pub(super) fn control(&self, segment: u32) -> PathBuf {
        self.root.join(format!("control-{segment}"))
    }

    /// File behind `$TRUNKLINE_METRICS`.
    pub(super) fn metrics(&self) -> PathBuf {
        self.root.join("metrics")
    }

    /// File behind `$TRUNKLINE_OUTPUTS`.
    pub(super) fn outputs(&self) -> PathBuf {
        self.root.join("outputs")
    }

    /// Makes the folder with one control folder for each container, or completes it.
    pub(super) fn create(&self, segments: u32) -> Result<(), ExecutorError> {
        self.try_create(segments).map_err(|error| failed("creating folder", &self.root, &error))
    }

    /// As [`Self::create`], for what runs without a container: nothing is mounted, and nothing waits.
    pub(super) fn create_with_control(&self) -> Result<(), ExecutorError> {
        let create = || self.try_create(0).and_then(|()| make_control(&self.control(0)));
        create().map_err(|error| failed("creating folder", &self.root, &error))
    }

    fn try_create(&self, segments: u32) -> io::Result<()> {
        make_folder(&self.root)?;
        for path in [self.metrics(), self.outputs()] {
            touch(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        for segment in 0..segments {
            let control = self.control(segment);
            make_control(&control)?;
            // Places on which the published files are mounted, as this folder is mounted read-only.
            touch(&control.join("metrics"))?;
            touch(&control.join("outputs"))?;
            make_fifo(&control.join("go"))?;
        }
        Ok(())
    }

    pub(super) fn write_layout(&self, layout: &Layout) -> Result<(), ExecutorError> {
        let path = self.root.join("layout.json");
        let text = serde_json::to_vec(layout).map_err(io::Error::from);
        text.and_then(|text| write_whole(&path, &text, 0o600))
            .map_err(|error| failed("writing", &path, &error))
    }

    /// What was written when the attempt was prepared; `None` if it was not, or only half.
    pub(super) fn read_layout(&self) -> Result<Option<Layout>, ExecutorError> {
        let path = self.root.join("layout.json");
        match fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &path, &error)),
        }
    }

    /// Writes what one container runs. Nothing reads it before [`Self::mark_begun`].
    pub(super) fn write_scripts(
        &self,
        segment: u32,
        scripts: &Scripts<'_>,
    ) -> Result<(), ExecutorError> {
        let control = self.control(segment);
        let mut files = vec![
            ("main.sh".to_owned(), scripts.main_text()),
            ("env.sh".to_owned(), script::exports(scripts.env)?),
        ];
        for (index, step) in (scripts.steps.first..).zip(scripts.steps.steps) {
            files.push((format!("step-{index}.sh"), step.run.clone()));
            if !step.env.is_empty() {
                files.push((format!("step-{index}.env"), script::exports(&step.env)?));
            }
        }
        for (file, text) in files {
            write_for(scripts.reader, &control.join(file), &text)?;
        }
        self.write_given(segment, scripts.given, scripts.reader)
    }

    /// Writes the files that the attempt is given.
    pub(super) fn write_given(
        &self,
        segment: u32,
        files: &[GivenFile],
        reader: Reader,
    ) -> Result<(), ExecutorError> {
        let mut named = files.iter().enumerate();
        named.try_for_each(|(place, file)| {
            write_for(reader, &self.given(segment, place), &file.content)
        })
    }

    /// Where a file is that the attempt is given.
    pub(super) fn given(&self, segment: u32, place: usize) -> PathBuf {
        self.control(segment).join(given_name(place))
    }

    pub(super) fn is_begun(&self, segment: u32) -> bool {
        self.control(segment).join("began").exists()
    }

    /// From here on the attempt has gone: whatever happens, it is not started a second time.
    pub(super) fn mark_begun(&self, segment: u32) -> Result<(), ExecutorError> {
        self.touch_control(segment, "began")
    }

    /// Remembers that no further step may start.
    pub(super) fn mark_stopped(&self, segments: u32) -> Result<(), ExecutorError> {
        (0..segments).try_for_each(|segment| self.touch_control(segment, "stopped"))
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.control(0).join("stopped").exists()
    }

    /// Tells the steps of a later container that one before has failed.
    pub(super) fn mark_failed(&self, segment: u32, code: i32) -> Result<(), ExecutorError> {
        let path = self.control(segment).join("failed");
        write_whole(&path, format!("{code}\n").as_bytes(), 0o644)
            .map_err(|error| failed("writing", &path, &error))
    }

    fn touch_control(&self, segment: u32, file: &str) -> Result<(), ExecutorError> {
        let path = self.control(segment).join(file);
        touch(&path).map_err(|error| failed("writing", &path, &error))
    }

    pub(super) fn published(&self) -> Result<Published, ExecutorError> {
        let read = |path: PathBuf| match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(PUBLISHED_LIMIT_BYTES)
                    .read_to_end(&mut bytes)
                    .map_err(|error| failed("reading", &path, &error))?;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("reading", &path, &error)),
        };
        Ok(Published { metrics: read(self.metrics())?, outputs: read(self.outputs())? })
    }

    /// Removes the folder and all below it.
    pub(super) fn remove(&self) -> Result<(), ExecutorError> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removing folder", &self.root, &error))
            }
            _ => Ok(()),
        }
    }
}

/// What one container runs, and who reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scripts<'a> {
    pub(super) places: Places<'a>,
    pub(super) nonce: &'a str,
    pub(super) steps: Steps<'a>,
    /// Instead of steps.
    pub(super) program: Option<&'a [String]>,
    pub(super) env: &'a [(String, String)],
    /// Files beside the workspace.
    pub(super) given: &'a [GivenFile],
    pub(super) reader: Reader,
}

/// Owner of the files where we may give them away; else everybody may read them, which is nobody
/// but us and the container, as the folder above is closed.
pub(super) type Reader = Option<(u32, u32)>;

impl Scripts<'_> {
    fn main_text(&self) -> String {
        match self.program {
            Some(words) => script::program_script(self.places, words),
            None => script::main_script(self.places, self.nonce, self.steps),
        }
    }
}

/// Writes a file that `reader` can read.
fn write_for(reader: Reader, path: &Path, text: &str) -> Result<(), ExecutorError> {
    let give = || match reader {
        Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        None => fs::set_permissions(path, fs::Permissions::from_mode(0o644)),
    };
    let written = write_whole(path, text.as_bytes(), 0o600).and_then(|()| give());
    written.map_err(|error| failed("writing", path, &error))
}

fn given_name(place: usize) -> String {
    format!("given-{place}")
}

/// The steps of a begin, or why there are none.
pub(super) fn steps_of(spec: &BeginSpec) -> Result<&[crate::executor::StepSpec], ExecutorError> {
    match &spec.command {
        CommandSpec::Steps(steps) => Ok(steps),
        CommandSpec::Program(_) => Err(ExecutorError::Infra {
            operation: "beginning an attempt".to_owned(),
            reason: "it was prepared for steps and is begun with a program".to_owned(),
        }),
    }
}

/// The go of waiting containers. A line in a FIFO is lost when nobody has the FIFO open, and a waiting
/// shell may be between its look for the marker and its `open`: so the writing end stays open here
/// until the container has ended. A new engine writes the line again.
#[derive(Debug, Default)]
pub(super) struct Pokes {
    held: Mutex<HashMap<(String, u32), File>>,
}

impl Pokes {
    /// Wakes a container that waits; changes nothing for one that has gone.
    pub(super) fn poke(&self, folder: &AttemptFolder, segment: u32) -> Result<(), ExecutorError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (folder.slug().to_owned(), segment);
        if held.contains_key(&key) {
            return Ok(());
        }
        let path = folder.control(segment).join("go");
        let file = open_fifo(&path).map_err(|error| failed("opening", &path, &error))?;
        held.insert(key, file);
        Ok(())
    }

    pub(super) fn forget(&self, folder: &AttemptFolder) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(slug, _), _| slug != folder.slug());
    }
}

/// Opened for both directions, a FIFO never blocks the one who opens it.
fn open_fifo(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.write_all(b"\n") {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(file),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn make_control(path: &Path) -> io::Result<()> {
    make_folder(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn make_fifo(path: &Path) -> io::Result<()> {
    match rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o644)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        }
        Err(error) => Err(error.into()),
    }
}

fn touch(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o644).open(path).map(drop)
}

/// Writes a file so that it is there as a whole or not at all, also when others write it at the same time.
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let (process, nth) = (std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{process}-{nth}.part"));
    let part = PathBuf::from(part);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&part)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    fs::rename(&part, path)
}

/// Slugs of all attempts that have a folder.
pub(super) fn slugs(state_folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(attempts_folder(state_folder)) else {
        return Vec::new();
    };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// The environment of an attempt with what every attempt has; `control` is where it sees its control
/// folder, `published` are the paths of the files for metrics and outputs.
pub(super) fn whole_env(
    spec: &BeginSpec,
    control: &str,
    (metrics, outputs): (String, String),
) -> Vec<(String, String)> {
    let own = |name: &str, value: String| (name.to_owned(), value);
    let mut whole = vec![own("CI", "true".to_owned())];
    whole.extend_from_slice(&spec.env);
    let given = spec.files.iter().enumerate();
    whole.extend(
        given.map(|(place, file)| {
            (file.variable.clone(), format!("{control}/{}", given_name(place)))
        }),
    );
    whole.push(own("TRUNKLINE_METRICS", metrics));
    whole.push(own("TRUNKLINE_OUTPUTS", outputs));
    whole
}
