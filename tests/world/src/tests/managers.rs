//! Server-side apply: who owns which annotation, and since when.

use serde_json::{Value, json};

use super::{get, patch, wait, world};
use crate::World;

const CART: &str = "/apis/apps/v1/namespaces/shop/deployments/cart";

fn apply(world: &World, query: &str, own: &Value, template: &Value) -> (u16, Value) {
    let sent = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "cart", "annotations": own },
        "spec": { "template": { "metadata": { "annotations": template } } },
    });
    patch(world, &format!("{CART}?{query}"), "application/apply-patch+yaml", &sent)
}

fn managers(world: &World) -> Vec<Value> {
    get(world, CART).1["metadata"]["managedFields"].as_array().unwrap().clone()
}

#[test]
fn a_manager_is_told_with_its_fields_and_its_time() {
    let world = world();
    apply(&world, "fieldManager=guard", &json!({ "note": "x" }), &json!({ "mark": "1" }));
    let [first] = managers(&world).try_into().unwrap();
    assert_eq!(
        (&first["manager"], &first["operation"], &first["apiVersion"], &first["fieldsType"]),
        (&json!("guard"), &json!("Apply"), &json!("apps/v1"), &json!("FieldsV1"))
    );
    assert_eq!(
        first["fieldsV1"],
        json!({ "f:metadata": { "f:annotations": { "f:note": {} } },
            "f:spec": { "f:template": { "f:metadata": { "f:annotations": { "f:mark": {} } } } } })
    );
    wait(&world, 100);
    apply(&world, "fieldManager=guard", &json!({ "note": "x" }), &json!({ "mark": "1" }));
    assert_eq!(managers(&world), std::slice::from_ref(&first), "nothing changed, not even the time");
    apply(&world, "fieldManager=guard", &json!({ "note": "x" }), &json!({ "mark": "2" }));
    let [second] = managers(&world).try_into().unwrap();
    assert_ne!(first["time"], second["time"]);
    apply(&world, "fieldManager=guard", &json!({}), &json!({ "mark": "2" }));
    let (_, cart) = get(&world, CART);
    assert_eq!(
        (cart["metadata"]["annotations"].get("note"), cart["metadata"]["generation"].as_u64()),
        (None, Some(3))
    );
}

#[test]
fn what_another_owns_is_taken_by_force_alone() {
    let world = world();
    apply(&world, "fieldManager=guard", &json!({}), &json!({ "mark": "1" }));
    let (status, refused) = apply(&world, "fieldManager=other", &json!({}), &json!({ "mark": "2" }));
    assert_eq!((status, &refused["reason"]), (409, &json!("Conflict")));
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"guard\" using apps/v1: .spec.template.metadata.annotations.mark"
    );
    assert_eq!(refused["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(
        apply(&world, "fieldManager=other", &json!({}), &json!({ "mark": "1" })).0,
        200,
        "the same value is shared"
    );
    assert_eq!(managers(&world).len(), 2);
    // Both must leave it out before it is gone.
    apply(&world, "fieldManager=other", &json!({}), &json!({}));
    assert_eq!(get(&world, CART).1["spec"]["template"]["metadata"]["annotations"]["mark"], "1");
    assert_eq!(apply(&world, "fieldManager=other&force=true", &json!({}), &json!({ "mark": "3" })).0, 200);
    let names: Vec<Value> = managers(&world).into_iter().map(|mut one| one["manager"].take()).collect();
    assert_eq!(names, ["other"]);
}

#[test]
fn a_merge_updates_and_takes_over() {
    let world = world();
    apply(&world, "fieldManager=guard", &json!({}), &json!({ "mark": "1" }));
    let sent = json!({ "spec": { "template": { "metadata": { "annotations": { "mark": "2" } } } } });
    patch(&world, &format!("{CART}?fieldManager=kubectl-rollout"), "application/merge-patch+json", &sent);
    let [one] = managers(&world).try_into().unwrap();
    assert_eq!((&one["manager"], &one["operation"]), (&json!("kubectl-rollout"), &json!("Update")));
    let sent = json!({ "spec": { "template": { "metadata": { "annotations": { "mark": null } } } } });
    patch(&world, CART, "application/merge-patch+json", &sent);
    assert_eq!(managers(&world), Vec::<Value>::new());
}
