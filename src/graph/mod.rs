//! The module graph of a project, from `go.mod` files alone: what `go list -m all`, `go mod graph`
//! and a search for the reason of a requirement tell, without `go` and without the network.
//!
//! Versions are chosen by minimal version selection (the highest version that anything in the graph
//! requires), over a graph that is pruned as Go prunes it: a module whose `go.mod` says `go 1.17` or
//! later lists all that its packages need, so that what its requirements require in turn is left
//! out. Sources: `cmd/go/internal/modload/{buildlist,modfile,init}.go`, `cmd/go/internal/mvs`, and
//! <https://go.dev/ref/mod#minimal-version-selection>, `#graph-pruning`, `#workspaces`.
//!
//! Vendor folders play no part: the graph is the one that Go has with `-mod=mod`. Where a project's
//! `go.mod` is behind what its requirements ask for, Go refuses to build by default; here its roots
//! are raised as `go mod tidy` would, and [`Graph::raised`] tells.

mod cached;
mod load;
mod project;
mod select;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use crate::formats::gomod::{ParseError, Replacement};
use crate::formats::module::ModuleVersion;

pub use cached::CachedGoMods;
pub use load::load;
pub use project::{MainModules, ProjectError};

/// Where the bytes of `go.mod` files come from.
pub trait ModFiles {
    /// The `.mod` file of a module version as the module cache keeps it; `None` if it has none.
    ///
    /// The module is what a hostile `go.mod` may have named: not more than its version is checked.
    fn go_mod(&self, module: &ModuleVersion) -> io::Result<Option<Vec<u8>>>;

    /// The `go.mod` file in a folder that replaces a module; `None` if there is none.
    fn local_go_mod(&self, dir: &Path) -> io::Result<Option<Vec<u8>>>;
}

/// Why there is no graph at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// More modules or requirements than any real project has.
    #[error("the module graph is too large (over {0} module versions or requirements)")]
    TooLarge(usize),
    /// A `go.mod` whose requirements raise each other without end in sight.
    #[error("the project's requirements still raise each other after {0} rounds")]
    Unsettled(usize),
}

/// A `go.mod` file that the graph needs and that is there, but of no use.
#[derive(Debug)]
pub struct BrokenGoMod {
    /// The module as it is required; it counts as one without requirements.
    pub module: ModuleVersion,
    /// What is wrong with its file.
    pub error: GoModError,
}

/// Why a module's `go.mod` is of no use.
#[derive(Debug, thiserror::Error)]
pub enum GoModError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It names no module.
    #[error("its go.mod has no module line")]
    Unnamed,
    /// It names neither the module nor what replaces it.
    #[error("its go.mod is that of the module {0:?}")]
    OtherModule(String),
    /// The folder that replaces the module has none.
    #[error("its replacement {0:?} has no go.mod")]
    NoReplacement(PathBuf),
}

/// A module of the build list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The module; a main module has an empty version.
    pub module: ModuleVersion,
    /// What stands in for it.
    pub replacement: Option<Replacement>,
}

impl Selected {
    /// Whether this is a module of the project itself.
    pub fn is_main(&self) -> bool {
        self.module.version.is_empty()
    }

    /// The module version that a build takes from the module cache, if it does: the replacement
    /// where there is one, nothing for a main module or a folder.
    pub fn cached(&self) -> Option<&ModuleVersion> {
        match &self.replacement {
            Some(Replacement::Module(module)) => Some(module),
            Some(Replacement::Dir(_)) => None,
            None => (!self.is_main()).then_some(&self.module),
        }
    }
}

/// How a module version stands to a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// A module of the project itself.
    Main,
    /// In the build list.
    Selected,
    /// Required somewhere, but another version of it is selected: only its `.mod` file is read.
    Superseded {
        /// The selected version.
        by: &'a str,
    },
    /// Not in the graph.
    Absent,
}

/// A project's module graph and the build list that follows from it.
#[derive(Debug)]
pub struct Graph {
    /// In breadth-first order from the roots.
    nodes: Vec<Node>,
    index: HashMap<ModuleVersion, usize>,
    /// Where a walk starts: the main modules, in a workspace also `go` and `toolchain`.
    roots: Vec<usize>,
    selected: HashMap<String, usize>,
    build_list: Vec<Selected>,
    needed: BTreeSet<ModuleVersion>,
    missing: BTreeSet<ModuleVersion>,
    broken: Vec<BrokenGoMod>,
    raised: Vec<(ModuleVersion, ModuleVersion)>,
}

#[derive(Debug)]
struct Node {
    module: ModuleVersion,
    requires: Vec<usize>,
}

impl Graph {
    /// The selected version of every module: the main modules in the order of their paths, then the
    /// rest likewise. Exactly what `go list -m all` prints, so without `go` and `toolchain`.
    pub fn build_list(&self) -> &[Selected] {
        &self.build_list
    }

    /// Every requirement, as and in the order in which `go mod graph` prints them. The pseudo
    /// modules `go` and `toolchain` are among them; a main module has an empty version.
    pub fn edges(&self) -> impl Iterator<Item = (&ModuleVersion, &ModuleVersion)> {
        self.nodes.iter().flat_map(|node| {
            let required = node.requires.iter().filter_map(|&id| self.module(id));
            required.map(|required| (&node.module, required))
        })
    }

    /// Every module version in the graph, selected or not, pseudo modules and main modules included,
    /// in breadth-first order.
    pub fn modules(&self) -> impl Iterator<Item = &ModuleVersion> {
        self.nodes.iter().map(|node| &node.module)
    }

    /// The module versions whose `.mod` files loading this graph reads from the module cache, the
    /// missing ones included. For a replaced module it is the replacement.
    pub fn needed_go_mods(&self) -> &BTreeSet<ModuleVersion> {
        &self.needed
    }

    /// The needed `.mod` files that are not there. Unless this is empty the graph and the build list
    /// may lack modules and may select versions that are too low.
    pub fn missing_go_mods(&self) -> &BTreeSet<ModuleVersion> {
        &self.missing
    }

    /// The needed `go.mod` files that could not be used, with the same consequence.
    pub fn broken(&self) -> &[BrokenGoMod] {
        &self.broken
    }

    /// Whether all needed `go.mod` files were there and in order.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.broken.is_empty()
    }

    /// The requirements of the project's `go.mod` that are lower than what is selected, each with
    /// the selected version. Go wants them updated before it builds (`go mod tidy`).
    pub fn raised(&self) -> &[(ModuleVersion, ModuleVersion)] {
        &self.raised
    }

    /// The selected version of a module, also of `go` and `toolchain`; empty for a main module.
    pub fn selected(&self, path: &str) -> Option<&str> {
        let id = *self.selected.get(path)?;
        self.module(id).map(|module| module.version.as_str())
    }

    /// How a module version stands to the project.
    pub fn standing(&self, module: &ModuleVersion) -> Standing<'_> {
        if !self.index.contains_key(module) {
            return Standing::Absent;
        }
        match self.selected(&module.path) {
            Some("") if module.version.is_empty() => Standing::Main,
            Some(version) if version == module.version => Standing::Selected,
            Some(by) => Standing::Superseded { by },
            None => Standing::Absent,
        }
    }

    /// A shortest path of requirements from a main module to a module version, both ends included;
    /// without a version to the selected one. `None` if it is not in the graph.
    pub fn why(&self, path: &str, version: Option<&str>) -> Option<Vec<&ModuleVersion>> {
        let version = version.or_else(|| self.selected(path))?;
        let module = ModuleVersion::new(path, version);
        let target = *self.index.get(&module)?;
        let mains = self.roots.iter().copied().filter(|&id| {
            self.module(id)
                .is_some_and(|module| module.version.is_empty())
        });
        let mut from: HashMap<usize, Option<usize>> = mains.clone().map(|id| (id, None)).collect();
        let mut queue: VecDeque<usize> = mains.collect();
        while let Some(id) = queue.pop_front() {
            if id == target {
                let mut path: Vec<_> = std::iter::successors(Some(id), |id| *from.get(id)?)
                    .filter_map(|id| self.module(id))
                    .collect();
                path.reverse();
                return Some(path);
            }
            for &required in self
                .nodes
                .get(id)
                .map(|n| n.requires.as_slice())
                .unwrap_or_default()
            {
                from.entry(required).or_insert_with(|| {
                    queue.push_back(required);
                    Some(id)
                });
            }
        }
        None
    }

    fn module(&self, id: usize) -> Option<&ModuleVersion> {
        self.nodes.get(id).map(|node| &node.module)
    }
}
