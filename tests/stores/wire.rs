//! DynamoDB's own protocol, spoken by hand: to make tables, and to see and write what the adapter does not.

use std::time::Duration;

use bytes::Bytes;
use guard_http::{Call, ReqwestTransport, System, Transport as _};
use serde_json::{Map, Value, json};

/// Letters and digits only, or DynamoDB Local refuses it; twelve digits are ministack's account.
pub(crate) const ACCESS_KEY: &str = "123456789012";

pub(crate) struct Wire {
    endpoint: String,
    transport: ReqwestTransport,
}

impl Wire {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), transport: ReqwestTransport::new() }
    }

    /// One operation that has to succeed.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> Value {
        // Local servers read the key and the region, and do not check the signature.
        let scope = format!("{ACCESS_KEY}/20261123/eu-west-1/dynamodb/aws4_request");
        let request = http::Request::post(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20261123T080000Z")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
            )
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let answer = self.transport.send(Call::new(System::DynamoDb, request, Duration::from_mins(1))).await;
        let answer = answer.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(answer.status().is_success(), "{operation}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// A row as DynamoDB's JSON spells it.
pub(crate) fn item(row: &Value) -> Value {
    Value::Object(members(row, attribute))
}

/// A row of DynamoDB's JSON as plain JSON.
pub(crate) fn plain(item: &Value) -> Value {
    Value::Object(members(item, value))
}

fn members(object: &Value, convert: fn(&Value) -> Value) -> Map<String, Value> {
    object.as_object().unwrap().iter().map(|(name, value)| (name.clone(), convert(value))).collect()
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(truth) => json!({"BOOL": truth}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(list) => json!({"L": list.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(_) => json!({"M": members(value, attribute)}),
    }
}

fn value(attribute: &Value) -> Value {
    let (kind, inner) = attribute.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "S" | "BOOL" => inner.clone(),
        "N" => serde_json::from_str(inner.as_str().unwrap()).unwrap(),
        "NULL" => Value::Null,
        "L" => inner.as_array().unwrap().iter().map(value).collect(),
        "M" => Value::Object(members(inner, value)),
        other => panic!("no attribute of ours is {other}"),
    }
}
