//! Where Flux finds the value of a variable.

use super::flux::{Flux, Lookup, Object};
use crate::yaml::{Content, Node};

/// Where the value of a variable lives, as far as the files tell. Values of Secrets are never told.
pub(crate) fn home(flux: &Flux<'_>, name: &str) -> String {
    let objects = flux.objects();
    let mut homes = Vec::new();
    for object in objects.iter().filter(|object| is_kustomization(object)) {
        if let Lookup::Found(spot) = object.look(&["spec", "postBuild", "substitute", name]) {
            homes.push(seen(object, &spot.path.to_string(), spot.node));
        }
        for from in object.list(&["spec", "postBuild", "substituteFrom"]) {
            let text = |key: &str| from.get(key).and_then(Node::as_str);
            if text("kind") == Some("Secret") {
                homes.push(format!("Secret {} may hold it", text("name").unwrap_or("(no name)")));
            }
        }
    }
    for object in objects.iter().filter(|object| object.kind() == "ConfigMap") {
        if let Lookup::Found(spot) = object.look(&["data", name]) {
            homes.push(seen(object, &spot.path.to_string(), spot.node));
        }
    }
    if homes.is_empty() {
        "the value is not among the files of this cluster: look at postBuild of the Kustomization that applies this file"
            .to_owned()
    } else {
        format!("the value lives here: {}", homes.join(", "))
    }
}

fn seen(object: &Object<'_>, path: &str, node: &Node) -> String {
    let value = match &node.content {
        Content::Scalar { value, .. } => value.as_str(),
        _ => "(no scalar)",
    };
    format!("{}:{} {} {path} is {value}", object.file_path, node.line, object.identity())
}

/// A Kustomization of Flux, not of Kustomize.
pub(crate) fn is_kustomization(object: &Object<'_>) -> bool {
    object.is("kustomize.toolkit.fluxcd.io", "Kustomization")
}
