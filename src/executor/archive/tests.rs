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
    let moved = moved_to(tar, PathBuf::from("x/y"), (7, 8));
    assert_eq!(listing(moved).await, ["x 7 ", "x/y 7 ", "x/y/a 7 1", "x/y/dir/ü b 7 2"]);
}

#[tokio::test]
async fn long_paths_survive() {
    let long = "d/".repeat(150) + "file";
    let moved = moved_to(stream(archive_of(&[(&long, "1")])), PathBuf::from("x"), (0, 0));
    assert_eq!(listing(moved).await[1], format!("x/{long} 0 1"));
}

#[tokio::test]
async fn only_matching_entries_are_selected() {
    let tar = archive_of(&[("out/a.xml", "1"), ("out/b.txt", "2"), ("out/c/d.xml", "3")]);
    let pattern = Pattern::parse("out/**/*.xml").unwrap();
    let chosen = selected(stream(tar), PathBuf::from("out"), pattern).await.unwrap().unwrap();
    assert_eq!(listing(chosen).await, ["out/a.xml 0 1", "out/c/d.xml 0 3"]);
}

#[tokio::test]
async fn nothing_selected_is_no_archive() {
    let tar = archive_of(&[("out/a.xml", "1")]);
    let pattern = Pattern::parse("out/*.txt").unwrap();
    assert!(selected(stream(tar), PathBuf::from("out"), pattern).await.unwrap().is_none());
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
