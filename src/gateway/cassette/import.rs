//! Reads recordings that were made elsewhere: go-vcr, version 2, and vcr.py. Pure.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::entry::{Call, Content, Entry, Response};
use super::{redact, yaml};

/// The largest body that comes out of a compressed one.
const BODY_BYTES: u64 = 64 << 20;
/// What a body begins with that is compressed with gzip (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The calls of a recording, in its order.
pub fn vcr(text: &str) -> Result<Vec<Entry>, String> {
    let document = yaml::read(text)?;
    let list = document.get("interactions").and_then(Value::as_array);
    let list = list.ok_or("there is no list of `interactions`")?;
    let mut repeats: HashMap<String, u32> = HashMap::new();
    let mut entries = Vec::with_capacity(list.len());
    for (index, interaction) in list.iter().enumerate() {
        let call =
            call(interaction).ok_or_else(|| format!("interaction {index} has no request"))?;
        let response = response(interaction);
        let response = response.ok_or_else(|| format!("interaction {index} has no response"))?;
        let response = response.map_err(|it| format!("interaction {index}: {it}"))?;
        let repeat = repeats.entry(call.key.clone()).or_default();
        *repeat += 1;
        entries.push(call.entry(*repeat, response));
    }
    Ok(entries)
}

fn call(interaction: &Value) -> Option<Call> {
    let request = interaction.get("request")?;
    // go-vcr calls it `url`, vcr.py `uri`.
    let address = request.get("url").or_else(|| request.get("uri"))?.as_str()?;
    let after_host = address.split_once("://").map_or(address, |it| it.1);
    let path = after_host.find('/').and_then(|it| after_host.get(it..)).unwrap_or("/");
    let path = path.split('?').next().unwrap_or(path);
    let headers = headers(request);
    let pairs = headers.iter().map(|it| (it.0.as_str(), it.1.as_str()));
    let body = plain(&headers, body(request.get("body"))).ok()?;
    Some(Call::new(path, pairs, &body))
}

fn response(interaction: &Value) -> Option<Result<Response, String>> {
    let response = interaction.get("response")?;
    let status = response.get("code").or_else(|| response.get("status")?.get("code"))?;
    let headers = headers(response);
    let pairs = headers.iter().map(|it| (it.0.as_str(), it.1.as_str()));
    let chosen = redact::chosen_headers(pairs);
    let status: u16 = status.as_str()?.parse().ok()?;
    let body = match plain(&headers, body(response.get("body"))) {
        Ok(body) => body,
        Err(why) => return Some(Err(why)),
    };
    let is_stream =
        chosen.get("content-type").is_some_and(|it| it.starts_with("text/event-stream"));
    let content = if is_stream {
        Content::Stream(vec![(0, String::from_utf8_lossy(&body).into_owned())])
    } else {
        Content::of_body(&body)
    };
    Some(Ok(Response { status, headers: chosen, content }))
}

/// The first value of each header, by its name in lower case.
fn headers(message: &Value) -> Vec<(String, String)> {
    let members = message.get("headers").and_then(Value::as_object);
    let first = |it: &Value| {
        let value = it.as_array().and_then(|it| it.first()).unwrap_or(it);
        value.as_str().map(str::to_owned)
    };
    let headers = members.into_iter().flatten();
    headers.filter_map(|it| Some((it.0.to_ascii_lowercase(), first(it.1)?))).collect()
}

/// A body as it was before it was compressed; many recorders write down what they have taken apart with the header of
/// before.
fn plain(headers: &[(String, String)], body: Vec<u8>) -> Result<Vec<u8>, String> {
    let coding = headers.iter().find(|it| it.0 == "content-encoding").map(|it| it.1.trim());
    if body.starts_with(&GZIP) {
        return unpacked(&body, BODY_BYTES);
    }
    match coding.filter(|_| std::str::from_utf8(&body).is_err()) {
        Some(coding) => Err(format!(
            "its body is compressed with `{coding}`, which is not read here; record it without compression"
        )),
        None => Ok(body),
    }
}

/// What was compressed; none that is larger, of which a part would be taken for all.
pub(super) fn unpacked(body: &[u8], limit_bytes: u64) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(body).take(limit_bytes.saturating_add(1));
    let read = decoder.read_to_end(&mut plain);
    let read = read.map_err(|it| format!("its body cannot be unpacked: {it}"))?;
    if read as u64 > limit_bytes {
        return Err(format!("its body is larger than {limit_bytes} bytes"));
    }
    Ok(plain)
}

/// A text, or vcr.py's `string` or `base64_string`.
fn body(value: Option<&Value>) -> Vec<u8> {
    let Some(value) = value else { return Vec::new() };
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(string) = value.get("string") {
        return body(Some(string));
    }
    let coded = value.get("base64_string").and_then(Value::as_str).unwrap_or_default();
    let coded: String = coded.chars().filter(|it| !it.is_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(coded).unwrap_or_default()
}
