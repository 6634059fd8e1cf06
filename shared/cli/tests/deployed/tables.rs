//! Three tables of DynamoDB: rows by key, and conditions as far as GUARD writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::aws::refusal;
use crate::server::Answer;

const KEYS: [(&str, &[&str]); 3] = [
    ("guard-cluster-registry", &["cluster_id"]),
    ("guard-runs", &["run_id", "entry"]),
    ("guard-locks", &["resource"]),
];

/// Rows by table and key, in DynamoDB's own JSON.
#[derive(Default)]
pub(crate) struct Tables {
    rows: BTreeMap<String, BTreeMap<String, Value>>,
    /// A table that is not there.
    pub(crate) missing: Option<String>,
}

impl Tables {
    /// A row, written as plain JSON.
    pub(crate) fn put(&mut self, table: &str, row: &Value) {
        let row = Value::Object(members(row, attribute));
        self.rows.entry(table.to_owned()).or_default().insert(key(table, &row), row);
    }

    /// A row, read as plain JSON.
    pub(crate) fn get(&self, table: &str, id: &str) -> Option<Value> {
        self.rows.get(table)?.get(id).map(|row| Value::Object(members(row, value)))
    }

    /// A cluster as it is after it was added to the registry.
    pub(crate) fn cluster(&mut self, id: &str, batch: &str, status: &str) {
        self.put("guard-cluster-registry", &row(id, batch, status));
    }

    /// An entry of a run's record.
    pub(crate) fn entry(&mut self, run: &str, name: &str, value: &Value) {
        let mut sorted = value.clone();
        sorted.sort_all_objects();
        self.put("guard-runs", &json!({"run_id": run, "entry": name, "value": sorted.to_string()}));
    }

    /// A line of a run's audit log.
    pub(crate) fn audit(&mut self, run: &str, at: &str, who: &str, what: &str) {
        let entry = format!("audit#{what}");
        self.put("guard-runs", &json!({"run_id": run, "entry": entry, "at": at, "who": who, "what": what}));
    }

    /// A lock that an execution holds.
    pub(crate) fn lock(&mut self, resource: &str, run: &str, arn: &str) {
        let holder = json!({"run_id": run, "execution_arn": arn, "since": "2026-11-23T08:00:00Z"});
        self.put("guard-locks", &json!({"resource": resource, "fence": 3, "holder": holder}));
    }

    pub(crate) fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        let table = body["TableName"].as_str().unwrap_or_default().to_owned();
        if self.missing.as_ref() == Some(&table) {
            return refusal("ResourceNotFoundException");
        }
        match operation {
            "DescribeTable" => (200, json!({"Table": description(&table)})),
            "Scan" => (200, json!({"Items": self.table(&table).values().collect::<Vec<_>>()})),
            "GetItem" => {
                let found = self.table(&table).get(&key(&table, &body["Key"]));
                (200, found.map_or_else(|| json!({}), |row| json!({"Item": row})))
            }
            "Query" => (200, json!({"Items": self.query(&table, body)})),
            "BatchGetItem" => {
                let mut answers = Map::new();
                for (table, asked) in body["RequestItems"].as_object().unwrap() {
                    let keys = asked["Keys"].as_array().unwrap();
                    let there = self.table(table);
                    let rows = keys.iter().filter_map(|wanted| there.get(&key(table, wanted)));
                    answers.insert(table.clone(), rows.cloned().collect());
                }
                (200, json!({"Responses": answers, "UnprocessedKeys": {}}))
            }
            "TransactWriteItems" => self.transact(body["TransactItems"].as_array().unwrap()),
            other => panic!("nobody answers {other}"),
        }
    }

    fn table(&mut self, table: &str) -> &mut BTreeMap<String, Value> {
        self.rows.entry(table.to_owned()).or_default()
    }

    fn query(&mut self, table: &str, body: &Value) -> Vec<Value> {
        let condition = body["KeyConditionExpression"].as_str().unwrap().to_owned();
        self.table(table).values().filter(|row| holds(&condition, row, body)).cloned().collect()
    }

    /// All or none, each with its condition.
    fn transact(&mut self, actions: &[Value]) -> Answer {
        let mut reasons = Vec::new();
        for action in actions {
            let (kind, action) = action.as_object().unwrap().iter().next().unwrap();
            let table = action["TableName"].as_str().unwrap();
            let wanted = if kind == "Put" { &action["Item"] } else { &action["Key"] };
            let row = self.table(table).get(&key(table, wanted)).cloned().unwrap_or_else(|| json!({}));
            let fits = action["ConditionExpression"].as_str().is_none_or(|all| holds(all, &row, action));
            reasons.push(json!({"Code": if fits { "None" } else { "ConditionalCheckFailed" }, "Item": row}));
        }
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            let code = "com.amazonaws#TransactionCanceledException";
            return (400, json!({"__type": code, "message": "because", "CancellationReasons": reasons}));
        }
        for action in actions {
            let (kind, action) = action.as_object().unwrap().iter().next().unwrap();
            let table = action["TableName"].as_str().unwrap().to_owned();
            match kind.as_str() {
                "ConditionCheck" => {}
                "Put" => {
                    let row = action["Item"].clone();
                    self.table(&table).insert(key(&table, &row), row);
                }
                "Delete" => {
                    self.table(&table).remove(&key(&table, &action["Key"]));
                }
                "Update" => {
                    let id = key(&table, &action["Key"]);
                    let row = self.table(&table).entry(id).or_insert_with(|| action["Key"].clone());
                    update(row, action);
                }
                other => panic!("nobody does {other}"),
            }
        }
        (200, json!({}))
    }
}

/// A sound row.
pub(crate) fn row(id: &str, batch: &str, status: &str) -> Value {
    json!({
        "cluster_id": id, "batch_id": batch, "environment": "test", "region": "eu-west-1", "gitlab_repo": "platform/fleet",
        "flux_config_path": format!("clusters/{id}/istio"), "aws_role_arn": "arn:aws:iam::111111111111:role/guard",
        "current_istio_version": "1.29.3", "datadog_tags": {"cluster": id, "service": "istio-system", "env": "test"},
        "owner_team": "mesh", "owner_handle": "mesh-team", "status": status,
        "last_updated": "2026-11-01T00:00:00Z", "upgrade_history": [], "metadata": {"multi_cluster": false}
    })
}

fn description(table: &str) -> Value {
    let schema = |keys: &[&str]| -> Value {
        let kinds = ["HASH", "RANGE"];
        keys.iter().zip(kinds).map(|(key, kind)| json!({"AttributeName": key, "KeyType": kind})).collect()
    };
    let (_, keys) = KEYS.iter().find(|(known, _)| *known == table).unwrap();
    let index = match table {
        "guard-cluster-registry" => Some(("batch-index", "batch_id")),
        "guard-runs" => Some(("open-tokens", "token_state")),
        _ => None,
    };
    let names = keys.iter().copied().chain(index.map(|(_, key)| key));
    let attributes: Value = names.map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect();
    let indexes: Value = index
        .iter()
        .map(|(name, key)| json!({"IndexName": name, "KeySchema": schema(&[key]), "IndexStatus": "ACTIVE"}))
        .collect();
    json!({
        "TableName": table, "TableStatus": "ACTIVE", "KeySchema": schema(keys),
        "AttributeDefinitions": attributes, "GlobalSecondaryIndexes": indexes
    })
}

fn key(table: &str, row: &Value) -> String {
    let (_, keys) = KEYS.iter().find(|(known, _)| *known == table).unwrap();
    keys.iter().map(|key| row[*key]["S"].as_str().unwrap()).collect::<Vec<_>>().join("/")
}

/// `#a = :v0 AND attribute_not_exists(#b)`, with one level of `( OR )`.
fn holds(expression: &str, row: &Value, action: &Value) -> bool {
    expression.split(" AND ").all(|all| {
        let inside = all.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(all);
        inside.split(" OR ").any(|one| term(one, row, action))
    })
}

fn term(term: &str, row: &Value, action: &Value) -> bool {
    let of = |function: &str| term.strip_prefix(function).and_then(|rest| rest.strip_suffix(')'));
    if let Some(path) = of("attribute_exists(") {
        return row.pointer(&pointer(path, action)).is_some();
    }
    if let Some(path) = of("attribute_not_exists(") {
        return row.pointer(&pointer(path, action)).is_none();
    }
    if let Some((path, value)) = of("begins_with(").and_then(|inner| inner.split_once(", ")) {
        let start = action["ExpressionAttributeValues"][value]["S"].as_str().unwrap();
        let found = row.pointer(&pointer(path, action)).and_then(|found| found["S"].as_str());
        return found.is_some_and(|found| found.starts_with(start));
    }
    let (path, value) = term.split_once(" = ").unwrap_or_else(|| panic!("nobody reads {term}"));
    row.pointer(&pointer(path, action)) == Some(&action["ExpressionAttributeValues"][value])
}

/// `#a.#b` as `/a/M/b`.
fn pointer(path: &str, action: &Value) -> String {
    let name = |alias: &str| {
        action["ExpressionAttributeNames"][alias].as_str().map_or_else(|| alias.to_owned(), str::to_owned)
    };
    format!("/{}", path.split('.').map(name).collect::<Vec<_>>().join("/M/"))
}

/// `SET #a = :v0, #b.#c = :v1 REMOVE #d`.
fn update(row: &mut Value, action: &Value) {
    let expression = action["UpdateExpression"].as_str().unwrap();
    let (sets, removes) = expression.split_once("REMOVE ").unwrap_or((expression, ""));
    let sets = sets.trim().strip_prefix("SET ").unwrap_or_default().to_owned();
    for set in sets.split(", ").filter(|set| !set.is_empty()) {
        let (path, value) = set.split_once(" = ").unwrap();
        let value = action["ExpressionAttributeValues"][value].clone();
        let pointer = pointer(path, action);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        row.pointer_mut(parent).unwrap()[name] = value;
    }
    for path in removes.split(", ").filter(|path| !path.is_empty()) {
        let pointer = pointer(path, action);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        row.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    }
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
