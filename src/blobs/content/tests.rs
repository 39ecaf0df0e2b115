use std::collections::BTreeSet;
use std::time::SystemTime;

use tokio::task::JoinSet;

use super::*;

fn open() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    (folder, blobs)
}

async fn read(blobs: &Blobs, digest: &Digest) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    blobs.get(digest).await.unwrap().read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Bytes that no part of repeats.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..size).map(|_| random.u8(..)).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn what_is_put_can_be_read() {
    let (_folder, blobs) = open();
    for size in [0, 1, PART_BYTES, PART_BYTES + 7] {
        let bytes = noise(size, 1);
        let blob = blobs.put(bytes.as_slice(), u64::MAX).await.unwrap();

        assert_eq!(blob.digest, Digest::of(&bytes));
        assert_eq!(blob.size_bytes, size as u64);
        assert!(blobs.contains(&blob.digest).await.unwrap());
        assert!(read(&blobs, &blob.digest).await.unwrap() == bytes, "{size} bytes");
    }
}

#[tokio::test]
async fn bytes_that_come_in_drops_are_one_blob() {
    let (_folder, blobs) = open();
    let (mut writer, reader) = tokio::io::duplex(7);
    let bytes = noise(10_000, 2);
    let digest = Digest::of(&bytes);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await.unwrap();
    });

    assert_eq!(blobs.put(reader, 10_000).await.unwrap().digest, digest);
}

#[tokio::test]
async fn what_is_larger_than_the_limit_leaves_nothing_behind() {
    let (folder, blobs) = open();
    for (size, limit) in [(5, 4), (PART_BYTES + 9, PART_BYTES as u64 + 8)] {
        let error = blobs.put(noise(size, 3).as_slice(), limit).await.unwrap_err();
        let expected = format!("the file is larger than the limit of {limit} bytes");
        assert_eq!(error.to_string(), expected);
    }
    assert!(blobs.put([1; 4].as_slice(), 4).await.is_ok());
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_reader_that_fails_leaves_nothing_behind() {
    let (folder, blobs) = open();
    let broken = torn_reader();
    let error = blobs.put(broken, u64::MAX).await.unwrap_err();
    assert_eq!(error.to_string(), "reading what to store failed");
    assert!(files_below(folder.path()).is_empty());
}

/// Gives some bytes, then an error.
fn torn_reader() -> impl AsyncRead + Send + Unpin {
    let pieces = [Ok(bytes::Bytes::from_static(b"half")), Err(std::io::Error::other("torn"))];
    StreamReader::new(futures_util::stream::iter(pieces))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_from_many_at_once_are_stored_once() {
    let (folder, blobs) = open();
    let bytes = noise(100_000, 4);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (blobs, bytes) = (blobs.clone(), bytes.clone());
        tasks.spawn(async move {
            let blob = blobs.put(bytes.as_slice(), u64::MAX).await.unwrap();
            assert!(read(&blobs, &blob.digest).await.unwrap() == bytes);
        });
    }
    tasks.join_all().await;

    let files = files_below(folder.path());
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(blobs.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn bytes_that_changed_on_disk_are_noticed_and_healed() {
    let (folder, blobs) = open();
    for damage in [b"hellO".as_slice(), b"hell", b"hello!", b""] {
        let blob = blobs.put(b"hello".as_slice(), 5).await.unwrap();
        let file = files_below(folder.path()).remove(0);
        std::fs::write(file, damage).unwrap();

        let error = read(&blobs, &blob.digest).await.unwrap_err();

        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let digest = Digest::of(b"hello");
        let expected = format!("`{digest}` does not have the content its name says");
        assert_eq!(error.to_string(), expected);
    }
    let blob = blobs.put(b"hello".as_slice(), 5).await.unwrap();
    assert_eq!(read(&blobs, &blob.digest).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_deleted_blob_is_not_found_and_can_be_deleted_again() {
    let (_folder, blobs) = open();
    let blob = blobs.put(b"hello".as_slice(), 5).await.unwrap();

    blobs.delete(&blob.digest).await.unwrap();
    blobs.delete(&blob.digest).await.unwrap();

    assert!(!blobs.contains(&blob.digest).await.unwrap());
    let Err(error) = blobs.get(&blob.digest).await else { panic!("it is gone") };
    assert_eq!(error.to_string(), format!("`{}` is not stored", blob.digest));
    assert!(blobs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_blob_is_listed_and_nothing_else() {
    let (folder, blobs) = open();
    assert!(blobs.list().await.unwrap().is_empty());
    let mut expected = BTreeSet::new();
    for n in 0..20_u8 {
        let blob = blobs.put([n; 3].as_slice(), 3).await.unwrap();
        expected.insert((blob.digest, blob.size_bytes));
    }
    std::fs::write(folder.path().join("blobs/sha256/README"), "not ours").unwrap();
    std::fs::create_dir_all(folder.path().join("blobs/tmp")).unwrap();
    std::fs::write(folder.path().join("blobs/tmp/half"), "").unwrap();

    let listed = blobs.list().await.unwrap();

    let listed: BTreeSet<_> =
        listed.into_iter().map(|(it, _)| (it.digest, it.size_bytes)).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn garbage_that_was_stored_again_is_kept() {
    let (folder, blobs) = open();
    let blob = blobs.put(b"hello".as_slice(), 5).await.unwrap();
    let file = files_below(folder.path()).remove(0);
    let long_ago = UNIX_EPOCH + std::time::Duration::from_secs(1);
    std::fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    let (_, stored_at) = blobs.find(&blob.digest).await.unwrap().unwrap();
    assert_eq!(stored_at, Timestamp(1000));

    blobs.put(b"hello".as_slice(), 5).await.unwrap();
    assert!(!blobs.delete_garbage(&blob.digest, Timestamp(2000)).await.unwrap());
    assert!(blobs.contains(&blob.digest).await.unwrap());

    assert!(blobs.delete_garbage(&blob.digest, Timestamp(i64::MAX)).await.unwrap());
    assert!(!blobs.delete_garbage(&blob.digest, Timestamp(i64::MAX)).await.unwrap());
}

#[tokio::test]
async fn only_old_leftovers_of_crashes_are_swept() {
    let (folder, blobs) = open();
    assert_eq!(blobs.sweep_temporary(Timestamp(i64::MAX)).await.unwrap(), 0);
    let stored = blobs.put(b"hello".as_slice(), 5).await.unwrap();
    // A process that is killed leaves just what is there while an upload runs.
    let mut upload = blobs.objects.put_multipart(&Location::from("tmp/torn")).await.unwrap();
    upload.put_part(b"half".as_slice().into()).await.unwrap();
    std::mem::forget(upload);
    assert_eq!(files_below(folder.path()).len(), 2);
    let modified = files_below(&folder.path().join("blobs/tmp"))[0].metadata().unwrap();
    let written: SystemTime = modified.modified().unwrap();
    let written = written.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let written = Timestamp(i64::try_from(written).unwrap());

    assert_eq!(blobs.sweep_temporary(written).await.unwrap(), 0);
    assert_eq!(blobs.sweep_temporary(Timestamp(written.0 + 1)).await.unwrap(), 1);
    assert_eq!(files_below(folder.path()).len(), 1);
    assert!(blobs.contains(&stored.digest).await.unwrap());
}
