//! Logs and artifacts as files.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::deliveries::Scene;
use crate::manual::driven;
use crate::support::Answer;

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  make:
    image: none
    run: |
      mkdir -p 'dist/a b' && echo hello >dist/index.html && printf '\\000\\001' >'dist/a b/x.bin'
      ln -s /etc/passwd dist/evil && ln -s index.html dist/link
      echo '<ok/>' >report.xml
      printf 'a line that is long enough to be packed\\none\\ntwo\\nthree\\n'
    artifacts: [dist/, report.xml]
";

async fn get(scene: &Scene, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = scene.server.request(Method::GET, path).bearer_auth(&scene.token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_archives_of_artifacts_are_downloaded() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let base = format!("/api/v1/runs/{id}/artifacts");
    let list = get(&scene, &base, &[]).await.json();
    let [dist, report] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&dist["path"], &dist["stage_key"]), (&json!("dist/"), &json!("make")));
    assert_eq!(report["files"], 1);

    let index = get(&scene, &format!("{base}/make/dist/index.html"), &[]).await;
    assert_eq!((index.status, index.text.as_str()), (StatusCode::OK, "hello\n"));
    assert_eq!(index.header("content-type"), "application/octet-stream");
    assert_eq!(index.header("content-length"), "6");
    let wanted = "attachment; filename=\"index.html\"; filename*=UTF-8''index.html";
    assert_eq!(index.header("content-disposition"), wanted);
    let digest = dist["digest"].as_str().unwrap().trim_start_matches("sha256:");
    assert_eq!(index.header("etag"), format!("\"{digest}\""));
    let known = [("if-none-match", index.header("etag"))];
    let again = get(&scene, &format!("{base}/make/dist/index.html"), &known).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let binary = get(&scene, &format!("{base}/make/dist/a%20b/x.bin"), &[]).await;
    assert_eq!(binary.text.as_bytes(), [0, 1]);
    assert_eq!(get(&scene, &format!("{base}/make/report.xml"), &[]).await.text, "<ok/>\n");

    for path in ["make/dist/", "make/dist/?format=tar", "make/report.xml?format=tar"] {
        let request = scene.server.request(Method::GET, &format!("{base}/{path}"));
        let response = request.bearer_auth(&scene.token).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-tar", "{path}");
        let bytes = response.bytes().await.unwrap();
        let mut archive = tar::Archive::new(bytes.as_ref());
        let names =
            archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().display().to_string());
        let names: Vec<_> = names.collect();
        let wanted = if path.contains("dist") { "dist/index.html" } else { "report.xml" };
        assert!(names.iter().any(|it| it == wanted), "{path}: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_leads_out_of_an_artifact() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let state = scene.server.folder.path().join("secret.keys");
    let absolute = state.display().to_string();
    let doubled = absolute.replace('/', "%252f");
    let encoded = absolute.replace('/', "%2f");
    for path in [
        "dist/../report.xml",
        "dist/%2e%2e/report.xml",
        "dist/..%2freport.xml",
        "dist%2f..%2f..%2f..%2fsecret.keys",
        "%2e%2e%2f%2e%2e%2fsecret.keys",
        "%252e%252e%252fsecret.keys",
        "..%5c..%5csecret.keys",
        "dist/index.html%00.png",
        "dist/./index.html",
        "/dist/index.html",
        "%2f",
        "..",
        &absolute,
        &encoded,
        &doubled,
    ] {
        // By hand: a client would tidy the path up.
        let answer = raw(&scene, &format!("/api/v1/runs/{id}/artifacts/make/{path}")).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(["400", "404"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("hello") && !answer.contains("<ok/>"), "{path}: {answer}");
    }
    let path = |link| format!("/api/v1/runs/{id}/artifacts/make/dist/{link}");
    let inside = get(&scene, &path("link"), &[]).await;
    assert_eq!(
        inside.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "links are not followed: {inside:?}"
    );
    let outside = get(&scene, &path("evil"), &[]).await;
    assert!([404, 422].contains(&outside.status.as_u16()), "{outside:?}");
    assert!(!outside.text.contains("root:"), "{outside:?}");
}

async fn raw(scene: &Scene, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = scene.server.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        scene.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_downloaded_as_it_was_printed_and_in_ranges() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let path = format!("/api/v1/runs/{id}/stages/make/log?format=text");
    let all = get(&scene, &path, &[]).await;
    assert!(all.text.ends_with("one\ntwo\nthree\n"), "{all:?}");
    assert_eq!(all.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(all.header("accept-ranges"), "bytes");
    let size = all.text.len();
    let end = get(&scene, &path, &[("range", "bytes=-6")]).await;
    assert_eq!((end.status, end.text.as_str()), (StatusCode::PARTIAL_CONTENT, "three\n"));
    assert_eq!(end.header("content-range"), format!("bytes {}-{}/{size}", size - 6, size - 1));
    let packed = get(&scene, &path, &[("range", "bytes=0-0"), ("accept-encoding", "gzip")]).await;
    assert_eq!((packed.header("content-encoding"), packed.text.len()), ("", 1));
    let packed = scene.server.request(Method::GET, &path).bearer_auth(&scene.token);
    let packed = packed.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let outside = get(&scene, &path, &[("range", "bytes=99999-")]).await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
    let bad = get(&scene, &path.replace("=text", "=html"), &[]).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}
