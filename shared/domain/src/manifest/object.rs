//! Kubernetes objects in documents.

use crate::yaml::{Content, Node, Path, Step};

/// One object: a document, or an element of a `List`.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    /// Its document, from 0.
    pub(crate) document: usize,
    /// Where it starts inside the document.
    pub(crate) base: Path,
    /// Itself.
    pub(crate) node: &'a Node,
}

impl<'a> Object<'a> {
    /// Every object of a file's documents.
    pub(crate) fn all(documents: &'a [Node]) -> Vec<Self> {
        let mut objects = Vec::new();
        for (document, node) in documents.iter().enumerate() {
            let items = node.get("items").filter(|_| text(node, &["kind"]) == Some("List"));
            match items.map(|items| &items.content) {
                Some(Content::Seq(items)) => {
                    objects.extend(items.iter().enumerate().map(|(index, node)| Self {
                        document,
                        base: Path(vec![Step::Key("items".into()), Step::Index(index)]),
                        node,
                    }));
                }
                _ => objects.push(Self { document, base: Path::default(), node }),
            }
        }
        objects
    }

    pub(crate) fn kind(&self) -> &'a str {
        text(self.node, &["kind"]).unwrap_or("(no kind)")
    }

    pub(crate) fn name(&self) -> &'a str {
        text(self.node, &["metadata", "name"]).unwrap_or("(no name)")
    }

    pub(crate) fn namespace(&self) -> Option<&'a str> {
        text(self.node, &["metadata", "namespace"])
    }

    /// True for `group/any version`.
    pub(crate) fn is_of_group(&self, group: &str) -> bool {
        let version = text(self.node, &["apiVersion"]).unwrap_or_default();
        version.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))
    }

    /// `HelmRelease istio-system/istiod`.
    pub(crate) fn identity(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    /// A path of this object as a path of its document.
    pub(crate) fn path(&self, keys: &[&str]) -> Path {
        self.base.join(&Path::of_keys(keys))
    }
}

fn text<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a str> {
    node.at(keys).and_then(Node::as_str)
}
