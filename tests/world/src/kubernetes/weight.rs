//! What real objects weigh beside what GUARD looks at: who wrote which field, probes, mounts, tolerations, images, schemas.
//! Measured on a real API server: a pod of two containers with its init container is 10.2 kB, of which 45 % say who wrote
//! which field.

use serde_json::{Map, Value, json};

/// Adds to each object of a resource what a real one has beside.
pub(super) fn add(plural: &str, objects: &mut [Value]) {
    let (managers, leaves) = match plural {
        "pods" => (2, 90),
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" => (3, 60),
        "nodes" => (3, 70),
        "customresourcedefinitions" | "namespaces" => (2, 20),
        _ => (1, 30),
    };
    let managed_fields = managed_fields(managers, leaves / managers);
    for object in objects {
        match plural {
            "pods" => pod(&mut object["spec"]),
            "deployments" | "statefulsets" | "daemonsets" | "replicasets" => {
                pod(&mut object["spec"]["template"]["spec"]);
            }
            "nodes" => object["status"]["images"] = images(),
            "customresourcedefinitions" => {
                let Some(versions) = object["spec"]["versions"].as_array_mut() else { continue };
                for version in versions {
                    version["schema"] = schema();
                }
            }
            _ => {}
        }
        if object["metadata"]["managedFields"].as_array().is_none_or(Vec::is_empty) {
            object["metadata"]["managedFields"].clone_from(&managed_fields);
        }
    }
}

/// As the API server keeps them: a tree of the fields of each writer.
fn managed_fields(managers: usize, leaves: usize) -> Value {
    let tree = |manager: usize| {
        let mut fields = Map::new();
        for leaf in 0..leaves {
            let name = format!("f:someFieldOfTheSpec{manager}{leaf}");
            fields.insert(name, json!({ "f:name": {}, "f:value": {} }));
        }
        Value::Object(fields)
    };
    let one = |manager: usize| {
        json!({ "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
            "time": "2026-09-01T10:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": tree(manager) } })
    };
    (0..managers).map(one).collect()
}

/// Beside name and image of its containers.
fn pod(spec: &mut Value) {
    let env: Vec<Value> = (0..8)
        .map(|n| json!({ "name": format!("SETTING_NUMBER_{n}"), "value": "https://service.example.svc:8443/path" }))
        .collect();
    let probe = json!({ "httpGet": { "path": "/healthz/ready", "port": 15021, "scheme": "HTTP" },
        "initialDelaySeconds": 1, "timeoutSeconds": 3, "periodSeconds": 15, "successThreshold": 1, "failureThreshold": 4 });
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["env"] = json!(env);
            container["readinessProbe"].clone_from(&probe);
            container["resources"] = json!({ "limits": { "cpu": "2", "memory": "1Gi" }, "requests": { "cpu": "100m", "memory": "128Mi" } });
            container["volumeMounts"] = json!([{ "name": "kube-api-access", "readOnly": true,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }]);
            container["terminationMessagePath"] = json!("/dev/termination-log");
            container["imagePullPolicy"] = json!("IfNotPresent");
        }
    }
    spec["tolerations"] = json!([
        { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
        { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }
    ]);
    spec["dnsPolicy"] = json!("ClusterFirst");
    spec["schedulerName"] = json!("default-scheduler");
    spec["terminationGracePeriodSeconds"] = json!(30);
}

/// The kubelet tells of its fifty largest.
fn images() -> Value {
    let image = |n: u32| {
        json!({ "names": [format!("registry.example.com/team/application-{n}@sha256:{:064x}", n),
            format!("registry.example.com/team/application-{n}:2026.9.1")], "sizeBytes": 123_456_789 })
    };
    (0..50).map(image).collect()
}

/// Some 20 kB, as a middling resource's.
fn schema() -> Value {
    let property = |n: u32| {
        let text =
            "What this field is for, when it is looked at, and what comes of leaving it out. Optional.";
        (
            format!("fieldNumber{n}"),
            json!({ "type": "object", "description": text, "properties": {
            "value": { "type": "string", "description": text }, "count": { "type": "integer", "format": "int32" } } }),
        )
    };
    let properties: Map<String, Value> = (0..60).map(property).collect();
    json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": { "type": "object", "properties": properties } } } })
}
