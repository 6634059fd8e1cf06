//! The files of one cluster as Kubernetes objects. An edit is judged over all of them: a release is in one file, its
//! repository in another.

use super::read;
use crate::yaml::{Content, Node, Path, Step};
use crate::{FileContent, Finding};

/// One file, read.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    /// The file.
    pub(crate) file: &'a FileContent,
    /// Its documents.
    pub(crate) documents: Vec<Node>,
}

/// The files of one cluster, read.
#[derive(Debug)]
pub(crate) struct Flux<'a> {
    /// In the order they came.
    pub(crate) files: Vec<Document<'a>>,
}

/// One object: a document, or an element of a `List`.
#[derive(Debug, Clone)]
pub(crate) struct Object<'f> {
    /// Its file, by position.
    pub(crate) file: usize,
    /// Path of its file.
    pub(crate) file_path: &'f str,
    /// Its document inside the file, from 0.
    pub(crate) document: usize,
    /// The whole document.
    pub(crate) root: &'f Node,
    /// Where it starts inside the document.
    pub(crate) base: Path,
    /// Itself.
    pub(crate) node: &'f Node,
}

/// What a path of keys leads to.
#[derive(Debug, Clone)]
pub(crate) enum Lookup<'f> {
    /// Nothing.
    Absent,
    /// Nothing but what a merge key (`<<`) may bring, at this line.
    Merged(usize),
    /// A node.
    Found(Spot<'f>),
}

/// A node, and the ways to it.
#[derive(Debug, Clone)]
pub(crate) struct Spot<'f> {
    /// The node itself, never an alias.
    pub(crate) node: &'f Node,
    /// Where it is written.
    pub(crate) path: Path,
    /// Where it is read: the same, unless an alias leads to it.
    pub(crate) read_at: Path,
}

impl Lookup<'_> {
    pub(crate) fn is_found(&self) -> bool {
        matches!(self, Self::Found(_))
    }
}

impl<'a> Flux<'a> {
    /// Reads the files; the findings name those that are no YAML.
    pub(crate) fn read(files: &'a [FileContent]) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut read_files = Vec::new();
        for file in files {
            match read(file) {
                Ok(documents) => read_files.push(Document { file, documents }),
                Err(finding) => findings.push(finding),
            }
        }
        if findings.is_empty() { Ok(Self { files: read_files }) } else { Err(findings) }
    }

    /// Every object.
    pub(crate) fn objects(&self) -> Vec<Object<'_>> {
        self.files
            .iter()
            .enumerate()
            .flat_map(|(at, one)| Object::all(at, &one.file.path, &one.documents))
            .collect()
    }
}

impl<'f> Object<'f> {
    /// Every object of a file's documents.
    pub(crate) fn all(file: usize, file_path: &'f str, documents: &'f [Node]) -> Vec<Self> {
        let mut objects = Vec::new();
        for (document, root) in documents.iter().enumerate() {
            let one = |base, node| Self { file, file_path, document, root, base, node };
            let items = root.get("items").filter(|_| text(root, &["kind"]) == Some("List"));
            match items.map(|items| &items.content) {
                Some(Content::Seq(items)) => objects.extend(items.iter().enumerate().map(|(index, node)| {
                    one(Path(vec![Step::Key("items".into()), Step::Index(index)]), node)
                })),
                _ => objects.push(one(Path::default(), root)),
            }
        }
        objects
    }

    pub(crate) fn kind(&self) -> &'f str {
        text(self.node, &["kind"]).unwrap_or("(no kind)")
    }

    pub(crate) fn name(&self) -> &'f str {
        text(self.node, &["metadata", "name"]).unwrap_or("(no name)")
    }

    pub(crate) fn namespace(&self) -> Option<&'f str> {
        text(self.node, &["metadata", "namespace"])
    }

    /// True for a kind of an API group, in any version.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        let version = text(self.node, &["apiVersion"]).unwrap_or_default();
        self.kind() == kind && version.split_once('/').map_or("", |(of, _)| of) == group
    }

    /// `HelmRelease istio-system/istiod`.
    pub(crate) fn identity(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    /// What a finding about a path of this object is about.
    pub(crate) fn place(&self, line: usize, path: &Path) -> String {
        format!("{}:{line}: {} {path}", self.file_path, self.identity())
    }

    /// What a finding about this object as a whole is about.
    pub(crate) fn whole(&self) -> String {
        format!("{}:{}: {}", self.file_path, self.node.line, self.identity())
    }

    /// A path of keys of this object as a path of its document.
    pub(crate) fn path(&self, keys: &[&str]) -> Path {
        self.base.join(&Path::of_keys(keys))
    }

    /// What is at a path of keys. Aliases are followed to where the value is written.
    pub(crate) fn look(&self, keys: &[&str]) -> Lookup<'f> {
        self.look_at(&Path::of_keys(keys))
    }

    /// The same for a path with elements of lists.
    pub(crate) fn look_at(&self, below: &Path) -> Lookup<'f> {
        let mut spot = Spot { node: self.node, path: self.base.clone(), read_at: self.base.clone() };
        for step in &below.0 {
            let (step, next) = match (&spot.node.content, step) {
                (Content::Map(_), Step::Key(key)) => match spot.node.get(key) {
                    Some(next) => (step.clone(), next),
                    None => match spot.node.get("<<") {
                        Some(merge) if brings(self.root, merge, key) => return Lookup::Merged(merge.line),
                        _ => return Lookup::Absent,
                    },
                },
                (Content::Seq(items), Step::Index(_) | Step::Where { .. }) => {
                    let Some(index) = spot.node.position(step) else { return Lookup::Absent };
                    let Some(next) = items.get(index) else { return Lookup::Absent };
                    (Step::Index(index), next)
                }
                _ => return Lookup::Absent,
            };
            let path = spot.path.then(step.clone());
            let read_at = spot.read_at.then(step);
            spot = match next.content {
                Content::Alias(anchor) => match anchored(self.root, anchor) {
                    Some((path, node)) => Spot { node, path, read_at },
                    None => return Lookup::Absent,
                },
                _ => Spot { node: next, path, read_at },
            };
        }
        Lookup::Found(spot)
    }

    /// The text of a scalar; none for what is no scalar, or not there.
    pub(crate) fn text(&self, keys: &[&str]) -> Option<&'f str> {
        match self.look(keys) {
            Lookup::Found(spot) => spot.node.as_str(),
            Lookup::Absent | Lookup::Merged(_) => None,
        }
    }

    /// Elements of a list.
    pub(crate) fn list(&self, keys: &[&str]) -> &'f [Node] {
        match self.look(keys) {
            Lookup::Found(Spot { node: Node { content: Content::Seq(items), .. }, .. }) => items,
            _ => &[],
        }
    }
}

fn text<'f>(node: &'f Node, keys: &[&str]) -> Option<&'f str> {
    node.at(keys).and_then(Node::as_str)
}

/// True when what a merge key names holds this key.
fn brings(root: &Node, merge: &Node, key: &str) -> bool {
    match &merge.content {
        Content::Alias(anchor) => anchored(root, *anchor).is_some_and(|(_, node)| brings(root, node, key)),
        Content::Seq(items) => items.iter().any(|item| brings(root, item, key)),
        Content::Map(_) => {
            merge.get(key).is_some() || merge.get("<<").is_some_and(|merge| brings(root, merge, key))
        }
        Content::Scalar { .. } => false,
    }
}

/// Where an anchor is. An alias cannot stand inside of what it names, so this ends.
fn anchored(root: &Node, anchor: usize) -> Option<(Path, &Node)> {
    fn search<'f>(node: &'f Node, anchor: usize, at: &mut Vec<Step>) -> Option<&'f Node> {
        if node.anchor == anchor {
            return Some(node);
        }
        for (step, child) in node.children() {
            at.push(step);
            if let Some(found) = search(child, anchor, at) {
                return Some(found);
            }
            at.pop();
        }
        None
    }
    let mut at = Vec::new();
    let node = search(root, anchor, &mut at)?;
    Some((Path(at), node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &str, path: &str) -> Option<(String, String, String)> {
        let files = [FileContent { path: "f".into(), content: text.into() }];
        let flux = Flux::read(&files).unwrap();
        match flux.objects()[0].look_at(&Path::parse(path).unwrap()) {
            Lookup::Found(spot) => Some((
                spot.node.as_str().unwrap_or("(collection)").to_owned(),
                spot.path.to_string(),
                spot.read_at.to_string(),
            )),
            Lookup::Merged(line) => Some((format!("merged at {line}"), String::new(), String::new())),
            Lookup::Absent => None,
        }
    }

    fn found(value: &str, path: &str, read_at: &str) -> (String, String, String) {
        (value.into(), path.into(), read_at.into())
    }

    #[test]
    fn aliases_are_followed_to_where_the_value_is_written() {
        let text = "a: &x {b: 1, c: [&y 2, {n: p, v: 3}]}\nd: *x\ne: {f: *y, <<: *x}\ng: *y\n";
        assert_eq!(lookup(text, "a.b"), Some(found("1", "a.b", "a.b")));
        assert_eq!(lookup(text, "d.b"), Some(found("1", "a.b", "d.b")));
        assert_eq!(lookup(text, "d.c[0]"), Some(found("2", "a.c[0]", "d.c[0]")));
        assert_eq!(lookup(text, "d.c[n=p].v"), Some(found("3", "a.c[1].v", "d.c[1].v")));
        assert_eq!(lookup(text, "e.f"), Some(found("2", "a.c[0]", "e.f")));
        assert_eq!(lookup(text, "e.b"), Some(found("merged at 3", "", "")));
        assert_eq!(lookup(text, "e.z"), None);
        assert_eq!(lookup(text, "a.z"), None);
        assert_eq!(lookup(text, "g.z"), None);
        assert_eq!(lookup(text, "a.c[7]"), None);
        assert_eq!(lookup(text, "a.c[n=q]"), None);
    }

    #[test]
    fn elements_of_a_list_are_objects() {
        let text = "kind: List\napiVersion: v1\nitems:\n- kind: A\n  metadata: {name: a, namespace: n}\n- kind: B\n---\nkind: C\n";
        let files = [FileContent { path: "f".into(), content: text.into() }];
        let flux = Flux::read(&files).unwrap();
        let objects = flux.objects();
        let named: Vec<String> = objects.iter().map(Object::identity).collect();
        assert_eq!(named, ["A n/a", "B (no name)", "C (no name)"]);
        assert_eq!(objects[1].path(&["spec"]).to_string(), "items[1].spec");
        assert_eq!((objects[2].document, objects[2].node.line), (1, 8));
    }
}
