use tokio::io::AsyncReadExt as _;

use super::*;

fn archive_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(0);
        header.set_size(text.len() as u64);
        out.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    out.into_inner().unwrap()
}

fn stream(bytes: Vec<u8>) -> TarStream {
    Box::pin(io::Cursor::new(bytes))
}

fn target(directory: &str, owner: (u32, u32)) -> Target {
    Target { directory: PathBuf::from(directory), owner, closes_links: false }
}

fn nothing() -> Fetch {
    Box::new(|_| Ok(None))
}

async fn listing(mut tar: TarStream) -> Vec<String> {
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes).await.unwrap();
    let mut archive = Archive::new(bytes.as_slice());
    let tell = |entry: io::Result<Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let (path, uid) = (entry.path().unwrap().into_owned(), entry.header().uid().unwrap());
        format!("{} {uid} {text}", path.display())
    };
    archive.entries().unwrap().map(tell).collect()
}

#[tokio::test]
async fn a_moved_archive_has_new_paths_and_owners() {
    let tar = stream(archive_of(&[("a", "1"), ("dir/ü b", "2")]));
    let moved = moved_to(tar, target("x/y", (7, 8)));
    assert_eq!(listing(moved).await, ["x 7 ", "x/y 7 ", "x/y/a 7 1", "x/y/dir/ü b 7 2"]);
}

#[tokio::test]
async fn long_paths_survive() {
    let long = "d/".repeat(150) + "file";
    let moved = moved_to(stream(archive_of(&[(&long, "1")])), target("x", (0, 0)));
    assert_eq!(listing(moved).await[1], format!("x/{long} 0 1"));
}

#[tokio::test]
async fn only_matching_entries_are_selected() {
    let tar = archive_of(&[("out/a.xml", "1"), ("out/b.txt", "2"), ("out/c/d.xml", "3")]);
    let pattern = Pattern::parse("out/**/*.xml").unwrap();
    let chosen =
        selected(stream(tar), PathBuf::from("out"), (pattern, nothing())).await.unwrap().unwrap();
    assert_eq!(listing(chosen).await, ["out/a.xml 0 1", "out/c/d.xml 0 3"]);
}

#[tokio::test]
async fn nothing_selected_is_no_archive() {
    let tar = archive_of(&[("out/a.xml", "1")]);
    let pattern = Pattern::parse("out/*.txt").unwrap();
    assert!(
        selected(stream(tar), PathBuf::from("out"), (pattern, nothing())).await.unwrap().is_none()
    );
}

#[tokio::test]
async fn a_symlink_of_a_folder_is_packed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    std::fs::write(folder.path().join("out/a"), "1").unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("out/link")).unwrap();
    let pack =
        |pattern: &str| pack_folder(folder.path().to_owned(), Pattern::parse(pattern).unwrap());
    let names = listing(pack("out").await.unwrap().unwrap()).await;
    let names: Vec<_> = names.iter().filter_map(|it| it.split(' ').next()).collect();
    assert_eq!(names, ["out", "out/a", "out/link"]);
    assert!(pack("out/link/passwd").await.unwrap().is_none());
}

#[tokio::test]
async fn folders_that_are_not_in_the_archive_are_made_real() {
    let tar = stream(archive_of(&[("a/b/c", "1"), ("a/d", "2"), ("e", "3")]));
    let moved = moved_to(tar, Target { closes_links: true, ..target("", (7, 8)) });
    assert_eq!(listing(moved).await, ["a 7 ", "a/b 7 ", "a/b/c 7 1", "a/d 7 2", "e 7 3"]);
}

#[tokio::test]
async fn a_hard_link_to_what_is_not_selected_becomes_a_file() {
    let mut out = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_uid(0);
    out.append_data(&mut header.clone(), "out/a.txt", "1".as_bytes()).unwrap();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    for name in ["out/b.xml", "out/c.txt"] {
        out.append_link(&mut header.clone(), name, "out/a.txt").unwrap();
    }
    let tar = out.into_inner().unwrap();
    let chosen = async |pattern: &str| {
        let fetch: Fetch = Box::new(|path| {
            assert_eq!(path, Path::new("deep/out/b.xml"));
            Ok(Some(stream(archive_of(&[("b.xml", "fetched")]))))
        });
        let parts = (Pattern::parse(pattern).unwrap(), fetch);
        let tar = selected(stream(tar.clone()), PathBuf::from("deep/out"), parts).await;
        listing(tar.unwrap().unwrap()).await
    };
    assert_eq!(chosen("deep/out/*.xml").await, ["deep/out/b.xml 0 fetched"]);
    assert_eq!(chosen("deep/out/*.txt").await, ["deep/out/a.txt 0 1", "deep/out/c.txt 0 "]);
}

#[tokio::test]
async fn an_archive_is_not_unpacked_through_a_link() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = folder.path().join("out");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let tar = stream(archive_of(&[("out/a", "1")]));
    unpack(tar, folder.path().to_owned()).await.unwrap();
    assert_eq!(std::fs::read_to_string(link.join("a")).unwrap(), "1");
    assert!(!link.is_symlink());
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_absolute_link_is_handed_on_as_a_link_and_leads_nobody_out_of_the_folder() {
    let [from, to, outside] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    std::fs::create_dir(from.path().join("out")).unwrap();
    std::fs::write(outside.path().join("secret"), "a secret of the machine").unwrap();
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, from.path().join("out").join(name)).unwrap();
    };
    link(outside.path(), "folder");
    link(&outside.path().join("secret"), "file");
    let pattern = Pattern::parse("out").unwrap();
    let mut packed = pack_folder(from.path().to_owned(), pattern).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    packed.read_to_end(&mut bytes).await.unwrap();
    // What the links lead to is not in the archive.
    assert!(!String::from_utf8_lossy(&bytes).contains("a secret of the machine"));
    unpack(stream(bytes), to.path().to_owned()).await.unwrap();
    let unpacked = |name: &str| to.path().join("out").join(name);
    assert_eq!(std::fs::read_link(unpacked("folder")).unwrap(), outside.path());
    assert_eq!(std::fs::read_link(unpacked("file")).unwrap(), outside.path().join("secret"));

    // What comes after them, of another stage, replaces them: nothing is written where they lead.
    let later =
        archive_of(&[("out/folder/evil", "1"), ("out/file", "2"), ("out/folder/secret", "3")]);
    unpack(stream(later), to.path().to_owned()).await.unwrap();
    let names: Vec<_> =
        std::fs::read_dir(outside.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"]);
    let secret = std::fs::read_to_string(outside.path().join("secret")).unwrap();
    assert_eq!(secret, "a secret of the machine");
    assert_eq!(std::fs::read_to_string(unpacked("file")).unwrap(), "2");
    assert_eq!(std::fs::read_to_string(unpacked("folder/secret")).unwrap(), "3");
}
