//! The loops of a graph.

use crate::machine::Graph;
use std::collections::{BTreeMap, BTreeSet};

impl Graph {
    /// Every elementary cycle: no state stands on it twice. Each begins with the state that stands first in
    /// the document, and the list is in that order too.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let positions: BTreeMap<&str, usize> =
            self.states.iter().enumerate().map(|(index, state)| (state.name.as_str(), index)).collect();
        let next: Vec<BTreeSet<usize>> = self
            .states
            .iter()
            .map(|state| {
                let edges = state.edges();
                edges.iter().filter_map(|edge| positions.get(edge.to.as_str()).copied()).collect()
            })
            .collect();
        let mut found = Vec::new();
        for start in 0..next.len() {
            // States before the start have had their turn.
            let returning = returning(&next, start);
            let mut open = vec![vec![start]];
            while let Some(way) = open.pop() {
                let Some(last) = way.last() else { continue };
                // In reverse, for the last that is pushed is looked at first.
                for to in next.get(*last).into_iter().flatten().rev() {
                    if *to == start {
                        found.push(way.clone());
                    } else if returning.contains(to) && !way.contains(to) {
                        open.push(way.iter().copied().chain([*to]).collect());
                    }
                }
            }
        }
        let name = |index: usize| self.states.get(index).map(|state| state.name.clone()).unwrap_or_default();
        found.into_iter().map(|way| way.into_iter().map(name).collect()).collect()
    }
}

/// States not before the start from which the start is reached through such states.
fn returning(next: &[BTreeSet<usize>], start: usize) -> BTreeSet<usize> {
    let mut returning = BTreeSet::from([start]);
    loop {
        let more: Vec<usize> = (start..next.len())
            .filter(|from| !returning.contains(from))
            .filter(|from| next.get(*from).is_some_and(|to| !to.is_disjoint(&returning)))
            .collect();
        if more.is_empty() {
            return returning;
        }
        returning.extend(more);
    }
}
