//! The protobuf reader against an encoder that knows nothing of it: structs after
//! opentelemetry-proto `trace/v1`, written by prost. What both encodings say must mean the same.

use super::*;
use prost::Message;
use serde_json::json;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Wired>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Wired {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Happened>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Happened {
    #[prost(fixed64, tag = "1")]
    at: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(Values),
    #[prost(message, tag = "6")]
    List(Pairs),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Pairs {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

fn of(value: &Value) -> AnyValue {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let any = if let Some(text) = text("stringValue") {
        Any::String(text)
    } else if let Some(int) = value["intValue"].as_i64() {
        Any::Int(int)
    } else if let Some(int) = text("intValue") {
        Any::Int(int.parse().unwrap())
    } else if let Some(double) = value["doubleValue"].as_f64() {
        Any::Double(double)
    } else if let Some(bool) = value["boolValue"].as_bool() {
        Any::Bool(bool)
    } else if let Some(all) = value["arrayValue"]["values"].as_array() {
        Any::Array(Values { values: all.iter().map(of).collect() })
    } else if let Some(all) = value["kvlistValue"]["values"].as_array() {
        Any::List(Pairs { values: all.iter().map(pair).collect() })
    } else {
        return AnyValue { value: None };
    };
    AnyValue { value: Some(any) }
}

fn pair(pair: &Value) -> KeyValue {
    KeyValue { key: pair["key"].as_str().unwrap().into(), value: Some(of(&pair["value"])) }
}

fn pairs(raw: &Value) -> Vec<KeyValue> {
    raw.as_array().map(|all| all.iter().map(pair).collect()).unwrap_or_default()
}

fn wired(span: &Value) -> Wired {
    let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let id = |name: &str| const_hex::decode(text(name)).unwrap();
    let nanos = |name: &str| {
        span[name].as_u64().or_else(|| span[name].as_str()?.parse().ok()).unwrap_or_default()
    };
    let event = |event: &Value| Happened {
        at: 1,
        name: event["name"].as_str().unwrap().into(),
        attributes: pairs(&event["attributes"]),
    };
    Wired {
        trace_id: id("traceId"),
        span_id: id("spanId"),
        trace_state: "x=y".into(),
        parent_span_id: id("parentSpanId"),
        name: text("name"),
        kind: span["kind"].as_i64().unwrap_or_default() as i32,
        start: nanos("startTimeUnixNano"),
        end: nanos("endTimeUnixNano"),
        attributes: pairs(&span["attributes"]),
        events: span["events"].as_array().into_iter().flatten().map(event).collect(),
        status: Some(Status {
            message: span["status"]["message"].as_str().unwrap_or_default().into(),
            code: span["status"]["code"].as_i64().unwrap_or_default() as i32,
        }),
        flags: 257,
    }
}

/// A JSON body as protobuf.
fn protobuf(body: &Value) -> Vec<u8> {
    let scope = |of: &Value| ScopeSpans {
        scope: Some(Scope { name: of["scope"]["name"].as_str().unwrap().into() }),
        spans: of["spans"].as_array().unwrap().iter().map(wired).collect(),
    };
    let resource = |of: &Value| ResourceSpans {
        resource: Some(Resource { attributes: pairs(&of["resource"]["attributes"]) }),
        scope_spans: of["scopeSpans"].as_array().unwrap().iter().map(scope).collect(),
        schema_url: "https://opentelemetry.io/schemas/1.42.0".into(),
    };
    let all = body["resourceSpans"].as_array().unwrap();
    Request { resource_spans: all.iter().map(resource).collect() }.encode_to_vec()
}

fn same_meaning(body: &Value) {
    let plain = |all: Vec<Meant>| -> Vec<Value> {
        let each = |meant: Meant| match meant {
            Meant::Record(capture, raw) => {
                json!([capture.name(), serde_json::from_slice::<Value>(&raw).unwrap()])
            }
            other => format!("{other:?}").into(),
        };
        all.into_iter().map(each).collect()
    };
    let by_json = judged(body.to_string().as_bytes(), Encoding::Json).unwrap();
    let by_wire = judged(&protobuf(body), Encoding::Protobuf).unwrap();
    assert_eq!(plain(by_json), plain(by_wire));
}

#[test]
fn both_encodings_mean_the_same() {
    let mut failed = root();
    failed["status"] = json!({"code": 2, "message": "Provider returned error"});
    failed["events"] = json!([{"name": "exception", "attributes": [text("exception.type", "E")]}]);
    same_meaning(&delivery(&[root(), attempt(), failed]));
    same_meaning(&application(call(&[
        text("gen_ai.request.model", "a \"quoted\"\n\u{2028}model"),
        json!({"key": "gen_ai.request.stream", "value": {"boolValue": true}}),
        int("gen_ai.request.seed", -5),
        double("gen_ai.request.temperature", 0.000_014_8),
        json!({"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": [
            {"kvlistValue": {"values": [text("role", "user"), int("n", i64::MIN)]}},
            {"arrayValue": {"values": []}}, {}
        ]}}}),
    ])));
}

#[test]
fn bytes_and_what_json_has_no_number_for_are_texts() {
    let with = |key: &str, value: Any| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
    };
    let span = Wired {
        attributes: vec![
            with("gen_ai.request.model", Any::String("m".into())),
            with("gen_ai.request.seed", Any::Bytes(vec![0xff, 0])),
            with("gen_ai.request.temperature", Any::Double(f64::NAN)),
            with("gen_ai.request.top_p", Any::Double(1e-300)),
        ],
        ..Wired::default()
    };
    let scope_spans = vec![ScopeSpans { scope: None, spans: vec![span] }];
    let of_resource = ResourceSpans { scope_spans, ..ResourceSpans::default() };
    let body = Request { resource_spans: vec![of_resource] }.encode_to_vec();
    let found = judged(&body, Encoding::Protobuf).unwrap();
    let [Meant::Record(Capture::Otlp, raw)] = found.as_slice() else { panic!("{found:?}") };
    let record: Value = serde_json::from_slice(raw).unwrap();
    assert_eq!(record["metadata"]["gen_ai.request.seed"], "/wA=");
    assert_eq!(record["metadata"]["gen_ai.request.temperature"], "NaN");
    assert_eq!(record["metadata"]["gen_ai.request.top_p"], 1e-300);
    // Without ids of its own it gets one of ours.
    assert_eq!(record["id"], Value::Null);
}

#[test]
fn a_body_of_nothing_but_empty_spans_costs_nothing() {
    // Two bytes a span: structs for all of them at once would take gigabytes.
    let spans = [0x12, 0x00].repeat(1 << 20);
    let mut scope = vec![0x12];
    prost::encoding::encode_varint(spans.len() as u64, &mut scope);
    scope.extend(spans);
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(scope.len() as u64, &mut body);
    body.extend(scope);
    let mut count = 0;
    read(&body, Encoding::Protobuf, &mut |span| {
        assert_eq!(judge(span), Meant::Nothing);
        count += 1;
        true
    })
    .unwrap();
    assert_eq!(count, 1 << 20);
}

#[test]
fn values_nested_too_deep_are_left_out() {
    let mut value = AnyValue { value: Some(Any::Int(1)) };
    for _ in 0..40 {
        value = AnyValue { value: Some(Any::Array(Values { values: vec![value] })) };
    }
    let mut json = json!({"intValue": 1});
    for _ in 0..40 {
        json = json!({"arrayValue": {"values": [json]}});
    }
    let key = "gen_ai.request.seed";
    let body =
        application(call(&[text("gen_ai.request.model", "m"), json!({"key": key, "value": json})]));
    same_meaning(&body);
    let record = &records(&body)[0].1;
    let depth = record["metadata"][key].to_string().matches('[').count();
    assert_eq!(depth, MAX_DEPTH);
}

proptest! {
    #[test]
    fn a_message_cut_short_is_refused_or_means_less(cut in 1usize..300) {
        let body = protobuf(&delivery(&[root()]));
        prop_assert!(judged(&body[..body.len() - cut.min(body.len() - 1)], Encoding::Protobuf)
            .is_err());
    }

    #[test]
    fn any_damage_is_borne(at in 0usize..2000, byte in any::<u8>()) {
        let mut body = protobuf(&delivery(&[root(), attempt()]));
        let at = at % body.len();
        body[at] = byte;
        let _ = judged(&body, Encoding::Protobuf);
    }
}
