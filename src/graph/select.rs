//! Minimal version selection over requirements as they become known.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use crate::formats::module::ModuleVersion;
use crate::formats::{gover, semver};

/// The version that Go gives a module it has not selected; lower than all others.
const NONE: &str = "none";

/// Numbers for module versions and for their paths, so that graphs hold no text.
#[derive(Default)]
pub(super) struct Names {
    modules: Vec<(ModuleVersion, usize)>,
    ids: HashMap<ModuleVersion, usize>,
    paths: HashMap<String, usize>,
}

impl Names {
    pub(super) fn id(&mut self, module: &ModuleVersion) -> usize {
        if let Some(&id) = self.ids.get(module) {
            return id;
        }
        let next_path = self.paths.len();
        let path = *self.paths.entry(module.path.clone()).or_insert(next_path);
        let id = self.modules.len();
        self.modules.push((module.clone(), path));
        self.ids.insert(module.clone(), id);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.modules.len()
    }

    pub(super) fn module(&self, id: usize) -> Option<&ModuleVersion> {
        self.modules.get(id).map(|(module, _)| module)
    }

    /// The number of a module's path.
    pub(super) fn path(&self, id: usize) -> usize {
        self.modules
            .get(id)
            .map(|&(_, path)| path)
            .unwrap_or(usize::MAX)
    }

    /// Sorts by path, then by version.
    pub(super) fn sort(&self, ids: &mut [usize]) {
        ids.sort_by(|&a, &b| match (self.module(a), self.module(b)) {
            (Some(a), Some(b)) => a
                .path
                .cmp(&b.path)
                .then_with(|| compare(&a.path, &a.version, &b.version))
                .then_with(|| a.version.cmp(&b.version)),
            _ => a.cmp(&b),
        });
    }
}

/// Orders two versions of one module. The empty version of a main module is above all others.
fn compare(path: &str, a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (false, false) => {}
        (a, b) => return a.cmp(&b),
    }
    match path {
        "go" => gover::compare(a, b),
        "toolchain" => gover::compare_toolchains(a, b),
        _ => semver::compare(a, b),
    }
}

/// A requirement graph in the making, and what it selects so far.
#[derive(Default)]
pub(super) struct Selection {
    requires: HashMap<usize, Rc<[usize]>>,
    /// By path.
    selected: HashMap<usize, usize>,
}

impl Selection {
    pub(super) fn add_root(&mut self, names: &Names, id: usize) {
        let Some(module) = names.module(id) else {
            return;
        };
        let current = self
            .selected
            .get(&names.path(id))
            .and_then(|&id| names.module(id));
        let current = current.map_or(NONE, |module| module.version.as_str());
        if compare(&module.path, current, &module.version).is_lt() {
            self.selected.insert(names.path(id), id);
        }
    }

    pub(super) fn require(&mut self, names: &Names, id: usize, requires: Rc<[usize]>) {
        for &required in requires.iter() {
            self.add_root(names, required);
        }
        self.requires.insert(id, requires);
    }

    /// What a module requires; `None` if that is pruned out or not known yet.
    pub(super) fn required_by(&self, id: usize) -> Option<&Rc<[usize]>> {
        self.requires.get(&id)
    }

    /// The selected version of a module's path.
    pub(super) fn selected(&self, path: usize) -> Option<usize> {
        self.selected.get(&path).copied()
    }

    /// All selected versions, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        self.selected.values().copied()
    }
}

/// Whether the first version of two of one path is the higher one.
pub(super) fn is_higher(names: &Names, a: usize, b: usize) -> bool {
    match (names.module(a), names.module(b)) {
        (Some(a), Some(b)) => compare(&a.path, &a.version, &b.version).is_gt(),
        _ => false,
    }
}
