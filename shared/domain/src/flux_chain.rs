//! What of Flux stands between the branch and a cluster's files: the Kustomizations that apply them, those they wait for, and
//! the repositories all of these follow. Who made a Kustomization is not asked: it goes on without. What else Flux does in the
//! cluster is none of GUARD's business.

use crate::{KustomizationFacts, SourceFacts, SourceKind, SourceRef};

/// The objects of one cluster's chain.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    /// Kustomizations whose path holds the cluster's files.
    pub applying: Vec<&'a KustomizationFacts>,
    /// These, and what they depend on.
    pub kustomizations: Vec<&'a KustomizationFacts>,
    /// The repositories they follow.
    pub repositories: Vec<&'a SourceFacts>,
    /// Repositories that they name and that are not there.
    pub missing: Vec<&'a SourceRef>,
}

impl<'a> Chain<'a> {
    /// The chain of the files at `flux_path`.
    pub fn of(
        kustomizations: &'a [KustomizationFacts],
        repositories: &'a [SourceFacts],
        flux_path: &str,
    ) -> Self {
        let applying: Vec<&KustomizationFacts> =
            kustomizations.iter().filter(|one| covers(&one.path, flux_path)).collect();
        let mut found = applying.clone();
        let mut at = 0;
        // Every name is followed once, so a circle of dependencies ends.
        while let Some(one) = found.get(at).copied() {
            at += 1;
            for name in &one.depends_on {
                let other = kustomizations.iter().find(|other| other.name == *name);
                found.extend(other.filter(|other| !found.iter().any(|known| known.name == other.name)));
            }
        }
        let mut named: Vec<&SourceRef> = found.iter().filter_map(|one| one.source.as_ref()).collect();
        named.retain(|source| source.kind == SourceKind::GitRepository);
        named.sort();
        named.dedup();
        let is_there = |source: &&SourceRef| repositories.iter().any(|one| one.source == **source);
        let missing = named.iter().filter(|source| !is_there(source)).copied().collect();
        let repositories = repositories.iter().filter(|one| named.contains(&&one.source)).collect();
        Self { applying, kustomizations: found, repositories, missing }
    }

    /// What of it is suspended, by kind and name.
    pub fn suspended(&self) -> impl Iterator<Item = String> {
        let repositories = self.repositories.iter().filter(|one| one.is_suspended);
        let kustomizations = self.kustomizations.iter().filter(|one| one.is_suspended);
        repositories
            .map(|one| one.source.to_string())
            .chain(kustomizations.map(|one| format!("Kustomization {}", one.name)))
    }
}

/// True when a Kustomization's path holds the file or folder the cluster's Istio lives in.
fn covers(kustomization: &str, flux_path: &str) -> bool {
    let base = kustomization.trim_start_matches("./").trim_matches('/');
    let files = flux_path.trim_start_matches("./").trim_end_matches('/');
    base.is_empty()
        || base == "."
        || files == base
        || files.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::fixtures;

    fn git(name: &str) -> SourceRef {
        SourceRef { kind: SourceKind::GitRepository, name: name.into() }
    }

    fn kustomization(name: &str, path: &str, source: &str, after: &[&str]) -> KustomizationFacts {
        let flux = fixtures::healthy(&"1.29.3".parse().unwrap()).flux.unwrap();
        KustomizationFacts {
            name: name.into(),
            path: path.into(),
            source: Some(git(source)),
            depends_on: after.iter().map(|name| (*name).to_owned()).collect(),
            ..flux.kustomizations[0].clone()
        }
    }

    fn names<'a>(found: &[&'a KustomizationFacts]) -> Vec<&'a str> {
        found.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn it_holds_what_the_files_need_and_nothing_else() {
        let kustomizations = [
            kustomization("root", "clusters/c10", "fleet", &[]),
            kustomization("istio", "clusters/c1/istio", "fleet", &["crds"]),
            kustomization("crds", "crds", "shared", &["istio", "certs"]),
            kustomization("certs", "certs", "fleet", &[]),
            kustomization("shop", "apps/shop", "shop", &["istio"]),
            kustomization("similar", "clusters/c1/ist", "other", &[]),
        ];
        let repositories = ["fleet", "shop", "other"].map(|name| fixtures::source(git(name), "u"));
        let chain = Chain::of(&kustomizations, &repositories, "clusters/c1/istio/istiod.yaml");
        assert_eq!(names(&chain.applying), ["istio"]);
        assert_eq!(names(&chain.kustomizations), ["istio", "crds", "certs"]);
        let of = |one: &&SourceFacts| one.source.name.clone();
        assert_eq!(chain.repositories.iter().map(of).collect::<Vec<_>>(), ["fleet"]);
        assert_eq!(chain.missing, [&git("shared")]);
    }

    #[test]
    fn a_path_is_above_the_files_or_none_of_theirs() {
        for path in ["", ".", "./", "clusters", "./clusters/c1", "clusters/c1/"] {
            assert!(covers(path, "./clusters/c1/"), "{path}");
        }
        for path in ["clusters/c10", "clusters/c", "clusters/c1/other", "apps"] {
            assert!(!covers(path, "clusters/c1"), "{path}");
        }
    }
}
