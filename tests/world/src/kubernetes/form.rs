//! The forms in which a client may ask for objects: whole, or their metadata alone.

use serde_json::{Value, json};

use super::resources::{self, Resource};
use crate::call::Call;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Everything.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

impl Form {
    /// What a list's `Accept` asks for first, of what is served here.
    pub(super) fn of_list(call: &Call) -> Self {
        Self::of(call, "PartialObjectMetadataList")
    }

    /// The same of one object.
    pub(super) fn of_object(call: &Call) -> Self {
        Self::of(call, "PartialObjectMetadata")
    }

    fn of(call: &Call, kind: &str) -> Self {
        let wanted = format!("as={kind}");
        let accept = call.header("accept").unwrap_or_default();
        let is_metadata = |range: &str| {
            let has = |wanted: &str| range.split(';').any(|part| part.trim() == wanted);
            has(&wanted) && has("g=meta.k8s.io")
        };
        let is_whole = |range: &str| matches!(range.trim(), "application/json" | "*/*" | "application/*");
        match accept.split(',').find(|range| is_metadata(range) || is_whole(range)) {
            Some(range) if is_metadata(range) => Self::Metadata,
            _ => Self::Whole,
        }
    }

    /// Kind and API version of a list.
    pub(super) fn list_type(self, resource: &Resource) -> (String, String) {
        match self {
            Self::Whole => (format!("{}List", resource.kind), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        }
    }

    /// An item of a list. Built-in ones come without their kind; custom resources keep theirs, as from a real server.
    pub(super) fn item(self, resource: &Resource, object: Value) -> Value {
        match self {
            Self::Whole if resource.group.ends_with(".fluxcd.io") => resources::typed(resource, object),
            Self::Whole => object,
            Self::Metadata => partial(object),
        }
    }

    /// One object.
    pub(super) fn object(self, resource: &Resource, object: Value) -> Value {
        match self {
            Self::Whole => resources::typed(resource, object),
            Self::Metadata => partial(object),
        }
    }
}

fn partial(mut object: Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"].take() })
}
