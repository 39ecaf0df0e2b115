//! How much a request of metrics or logs holds, which are not taken in: its points and records are counted, and no
//! more of it is read. The numbers of fields are those of `opentelemetry/proto/metrics/v1` and `logs/v1`.

use prost::Message;
use serde_json::Value;

use super::Format;

/// `resource_metrics` or `resource_logs`.
#[derive(Clone, PartialEq, Message)]
struct Resources {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Scopes>,
}

#[derive(Clone, PartialEq, Message)]
struct Scopes {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Items>,
}

/// Records of a log, or metrics.
#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(bytes = "vec", repeated, tag = "2")]
    items: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, optional, tag = "5")]
    gauge: Option<Points>,
    #[prost(message, optional, tag = "7")]
    sum: Option<Points>,
    #[prost(message, optional, tag = "9")]
    histogram: Option<Points>,
    #[prost(message, optional, tag = "10")]
    exponential_histogram: Option<Points>,
    #[prost(message, optional, tag = "11")]
    summary: Option<Points>,
}

#[derive(Clone, PartialEq, Message)]
struct Points {
    #[prost(bytes = "vec", repeated, tag = "1")]
    points: Vec<Vec<u8>>,
}

/// Points of metrics.
pub(super) fn points(format: Format, body: &[u8]) -> Result<usize, String> {
    match format {
        Format::Json => {
            let metrics = in_json(body, ["resourceMetrics", "scopeMetrics", "metrics"])?;
            let points = |metric: &Value| -> usize {
                let kinds = metric.as_object().into_iter().flat_map(|it| it.values());
                let points = kinds.filter_map(|it| it.get("dataPoints")?.as_array());
                points.map(Vec::len).sum()
            };
            Ok(metrics.iter().map(points).sum())
        }
        Format::Protobuf => {
            let mut count = 0;
            for metric in in_protobuf(body)? {
                let it = Metric::decode(metric.as_slice()).map_err(|it| it.to_string())?;
                let kinds = [it.gauge, it.sum, it.histogram, it.exponential_histogram, it.summary];
                count += kinds.iter().flatten().map(|it| it.points.len()).sum::<usize>();
            }
            Ok(count)
        }
    }
}

/// Records of logs.
pub(super) fn records(format: Format, body: &[u8]) -> Result<usize, String> {
    match format {
        Format::Json => {
            let records = in_json(body, ["resourceLogs", "scopeLogs", "logRecords"])?;
            Ok(records.len())
        }
        Format::Protobuf => Ok(in_protobuf(body)?.len()),
    }
}

fn in_protobuf(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let read = Resources::decode(body).map_err(|it| it.to_string())?;
    let scopes = read.resources.into_iter().flat_map(|it| it.scopes);
    Ok(scopes.flat_map(|it| it.items).collect())
}

/// What is in lists in lists in lists.
fn in_json(body: &[u8], names: [&str; 3]) -> Result<Vec<Value>, String> {
    let mut level: Vec<Value> = vec![serde_json::from_slice(body).map_err(|it| it.to_string())?];
    for name in names {
        let lists = level.into_iter().filter_map(|mut it| match it.get_mut(name)?.take() {
            Value::Array(items) => Some(items),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => None,
        });
        level = lists.flatten().collect();
    }
    Ok(level)
}
