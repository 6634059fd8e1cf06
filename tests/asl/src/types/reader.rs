//! Reading a state's paths: what each gives, and what is wrong with it.

use super::value::{Field, Object, Type};
use crate::lint::LintRule;
use crate::machine::{Filter, State};
use crate::path::{Path, PathStep, Root};
use crate::template::Template;
use std::collections::BTreeMap;

/// Something wrong in a state.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) rule: LintRule,
    pub(super) message: String,
    /// Way down in the state's raw input that is not there on every route.
    pub(super) way: Option<Vec<PathStep>>,
}

/// What a path starts from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'d> {
    pub(super) of: &'d Type,
    /// The way to it in the state's raw input; `None` when it comes from elsewhere.
    pub(super) base: Option<&'d [PathStep]>,
}

pub(super) struct Reader {
    pub(super) context: Type,
    pub(super) notes: Vec<Note>,
    /// Paths followed.
    pub(super) paths: usize,
}

impl Reader {
    pub(super) fn note(&mut self, rule: LintRule, message: String) {
        self.notes.push(Note { rule, message, way: None });
    }

    pub(super) fn read(&mut self, field: &str, path: &Path, data: Data<'_>) -> Type {
        self.paths += 1;
        let (of, missing) = match path.root {
            Root::Input => data.of.select(&path.steps),
            Root::Context => self.context.select(&path.steps),
        };
        if let Some(missing) = missing {
            let way = data
                .base
                .filter(|_| path.root == Root::Input)
                .map(|base| base.iter().chain(&path.steps).cloned().collect());
            let message = format!("{field} reads {path}: {missing}");
            self.notes.push(Note { rule: LintRule::PathProduced, message, way });
        }
        of
    }

    pub(super) fn fill(&mut self, field: &str, template: &Template, data: Data<'_>) -> Type {
        match template {
            Template::Literal(value) => Type::of(value),
            Template::Path(path) => self.read(field, path, data),
            Template::Object(fields) => {
                let mut filled = BTreeMap::new();
                for (name, template) in fields {
                    let of = self.fill(&format!("{field}.{name}"), template, data);
                    filled.insert(name.clone(), Field::new(of, true));
                }
                Type::from_object(Object { fields: filled, others: None })
            }
            Template::Array(items) => {
                let filled = items.iter().map(|item| self.fill(&format!("{field}[]"), item, data));
                Type::array(filled.fold(Type::nothing(), |all, item| all.join(&item)))
            }
        }
    }

    pub(super) fn filter(&mut self, field: &str, filter: &Filter, data: Data<'_>) -> Type {
        match filter {
            Filter::Nothing => Type::object([]),
            Filter::Path(path) if *path == Path::whole() => data.of.clone(),
            Filter::Path(path) => self.read(field, path, data),
        }
    }

    /// What a path reads must be this.
    pub(super) fn expect(&mut self, rule: LintRule, field: &str, path: &Path, data: Data<'_>, wanted: &Type) {
        let of = self.read(field, path, data);
        if !of.fits(wanted) {
            self.note(rule, format!("{field} reads {path}, which is {of}, and must be {wanted}"));
        }
    }
}

/// The way from a state's raw input to what its fields read, when `InputPath` is one.
pub(super) fn input_base(state: &State) -> Option<Vec<PathStep>> {
    match &state.input_path {
        Filter::Path(path) if path.root == Root::Input => Some(path.steps.clone()),
        Filter::Path(_) | Filter::Nothing => None,
    }
}
