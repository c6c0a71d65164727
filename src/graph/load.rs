//! Loading: which `go.mod` files are read and which requirements they add.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::project::{MainModules, is_pseudo};
use super::select::{Names, Selection, is_higher};
use super::{BrokenGoMod, GoModError, Graph, GraphError, ModFiles, Node, Selected};
use crate::formats::gomod::{self, GoMod, Replacement};
use crate::formats::gover;
use crate::formats::module::ModuleVersion;

/// The first version of Go whose `go.mod` files list all that their packages need.
const EXPLICIT_INDIRECT: &str = "1.17";
/// From this version on a `go` line is a requirement as any other.
const GO_STRICT: &str = "1.21";
/// What a `go.mod` without a `go` line, and a `go.work` without one, are taken for.
const DEFAULT_GO_MOD: &str = "1.16";
const DEFAULT_GO_WORK: &str = "1.18";

/// Module versions, and requirements, of one project. The largest public projects have some
/// thousands and some ten thousands.
const MAX_MODULES: usize = 200_000;
const MAX_REQUIREMENTS: usize = 4_000_000;

/// How often roots may be raised before their mutual requirements must be consistent.
const MAX_ROUNDS: usize = 100;

/// What of a module's requirements is followed (`modPruning` in Go).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Pruning {
    /// What a module requires, but not what that requires in turn, unless it is older than
    /// [`EXPLICIT_INDIRECT`].
    Pruned,
    /// Everything.
    Unpruned,
    /// The members of a workspace and what they require, each as far as its own `go` line says.
    Workspace,
}

impl Pruning {
    fn of_go(version: Option<&str>) -> Self {
        match gover::compare(version.unwrap_or(DEFAULT_GO_MOD), EXPLICIT_INDIRECT).is_lt() {
            true => Pruning::Unpruned,
            false => Pruning::Pruned,
        }
    }
}

/// What the graph needs to know of one `go.mod`.
struct Summary {
    pruning: Pruning,
    requires: Rc<[usize]>,
}

/// Loads the module graph of a project.
///
/// Files that are missing or broken do not stop it: they are listed in the graph.
pub fn load(project: &MainModules, files: &dyn ModFiles) -> Result<Graph, GraphError> {
    let mut loader = Loader {
        project,
        files,
        names: Names::default(),
        summaries: HashMap::new(),
        requirements: 0,
        needed: BTreeSet::new(),
        missing: BTreeSet::new(),
        broken: Vec::new(),
    };
    match project.work() {
        Some(_) => loader.workspace(),
        None => loader.single(),
    }
}

struct Loader<'a> {
    project: &'a MainModules,
    files: &'a dyn ModFiles,
    names: Names,
    summaries: HashMap<usize, Rc<Summary>>,
    requirements: usize,
    needed: BTreeSet<ModuleVersion>,
    missing: BTreeSet<ModuleVersion>,
    broken: Vec<BrokenGoMod>,
}

impl Loader<'_> {
    /// `readModGraph` and `expandGraph` of a module on its own.
    fn single(&mut self) -> Result<Graph, GraphError> {
        let Some(main) = self.project.mains().first() else {
            return Ok(self.finish(&Selection::default(), &[], Vec::new()));
        };
        let file = &main.file;
        let pruning = Pruning::of_go(file.go.as_deref());
        let id = self.main(&main.path);
        let mut roots = self.requires(file);
        let mut direct: HashSet<usize> = HashSet::new();
        for require in file.require.iter().filter(|require| !require.indirect) {
            let id = self.names.id(&require.module);
            direct.insert(self.names.path(id));
        }
        let go = self.pseudo("go", file.go.as_deref().unwrap_or(DEFAULT_GO_MOD));
        direct.insert(self.names.path(go));
        roots.push(go);
        roots.extend(
            file.toolchain
                .as_deref()
                .map(|name| self.pseudo("toolchain", name)),
        );
        self.names.sort(&mut roots);
        let stated = roots.clone();

        let mut selection = Selection::default();
        let mut loaded = false;
        if self.is_redundant(id, &roots) {
            (roots, selection) = self.consistent(id, &roots, None, pruning, &direct)?;
            loaded = true;
        }
        if !loaded {
            selection = self.round(&[id], Some(&roots), pruning)?;
        }
        let selected = |id: usize| selection.selected(self.names.path(id));
        if roots.iter().any(|&root| selected(root) != Some(root)) {
            (roots, selection) = self.consistent(id, &roots, Some(selection), pruning, &direct)?;
        }

        let now = self.by_path(&roots);
        let raised = stated.iter().filter_map(|&root| {
            let now = *now.get(&self.names.path(root))?;
            (now != root).then_some((root, now))
        });
        let raised = raised.collect();
        Ok(self.finish(&selection, &[id], raised))
    }

    /// `readModGraph` of a workspace. Its members are the roots, and what they require is looked at
    /// again at the version that is selected in the end.
    fn workspace(&mut self) -> Result<Graph, GraphError> {
        let work = self.project.work();
        let mut roots: Vec<usize> = Vec::new();
        for main in self.project.mains() {
            roots.push(self.main(&main.path));
        }
        let go = work
            .and_then(|work| work.go.as_deref())
            .unwrap_or(DEFAULT_GO_WORK);
        roots.push(self.pseudo("go", go));
        let toolchain = work.and_then(|work| work.toolchain.as_deref());
        roots.extend(toolchain.map(|name| self.pseudo("toolchain", name)));
        self.names.sort(&mut roots);
        let selection = self.round(&roots, None, Pruning::Workspace)?;
        Ok(self.finish(&selection, &roots, Vec::new()))
    }

    fn main(&mut self, path: &str) -> usize {
        self.pseudo(path, "")
    }

    fn pseudo(&mut self, path: &str, version: &str) -> usize {
        self.names.id(&ModuleVersion::new(path, version))
    }

    /// What a file requires, but for what the project excludes.
    fn requires(&mut self, file: &GoMod) -> Vec<usize> {
        let kept = file
            .require
            .iter()
            .filter(|require| !self.project.excludes(&require.module));
        kept.map(|require| self.names.id(&require.module)).collect()
    }

    /// Whether the roots name a module twice, or the main module itself.
    fn is_redundant(&self, main: usize, roots: &[usize]) -> bool {
        let mut seen = HashSet::from([self.names.path(main)]);
        !roots.iter().all(|&root| seen.insert(self.names.path(root)))
    }

    /// The last, so in a sorted list the highest, version of each path.
    fn by_path(&self, modules: &[usize]) -> HashMap<usize, usize> {
        modules
            .iter()
            .map(|&module| (self.names.path(module), module))
            .collect()
    }

    /// Reads the graph once, from these roots.
    ///
    /// `direct` are the requirements of a single main module, which is then the only root.
    fn round(
        &mut self,
        roots: &[usize],
        direct: Option<&[usize]>,
        pruning: Pruning,
    ) -> Result<Selection, GraphError> {
        let mut round = Round::default();
        for &root in roots {
            round.selection.add_root(&self.names, root);
        }
        if let (Some(direct), [main]) = (direct, roots) {
            round.selection.require(&self.names, *main, direct.into());
        }
        for &module in direct.unwrap_or(roots) {
            round.enqueue(module, pruning);
        }
        self.drain(&mut round)?;
        if pruning == Pruning::Workspace {
            self.reload_raised(&mut round, roots)?;
        }
        Ok(round.selection)
    }

    fn drain(&mut self, round: &mut Round) -> Result<(), GraphError> {
        while let Some((module, pruning)) = round.queue.pop_front() {
            let summary = self.summary(module)?;
            if round.selection.required_by(module).is_none() {
                round
                    .selection
                    .require(&self.names, module, summary.requires.clone());
            }
            let next = match pruning {
                Pruning::Unpruned => Pruning::Unpruned,
                _ => summary.pruning,
            };
            if pruning != Pruning::Pruned || summary.pruning == Pruning::Unpruned {
                for &required in summary.requires.iter() {
                    round.enqueue(required, next);
                }
            }
        }
        Ok(())
    }

    /// What the members require may have been raised by others: those higher versions then count as
    /// if the members required them.
    fn reload_raised(&mut self, round: &mut Round, roots: &[usize]) -> Result<(), GraphError> {
        let mut followed: HashSet<usize> = roots.iter().map(|&id| self.names.path(id)).collect();
        let mut seen = HashSet::new();
        loop {
            let mut raised = BTreeSet::new();
            for &path in &followed {
                let Some(module) = round.selection.selected(path) else {
                    continue;
                };
                if !seen.contains(&module) {
                    raised.insert(module);
                    continue;
                }
                let required = round.selection.required_by(module).cloned();
                for &required in required.as_deref().unwrap_or_default() {
                    let now = round.selection.selected(self.names.path(required));
                    let higher = now.filter(|&now| is_higher(&self.names, now, required));
                    raised.extend(higher.filter(|now| !seen.contains(now)));
                }
            }
            if raised.is_empty() {
                return Ok(());
            }
            for module in raised {
                round.enqueue(module, Pruning::Workspace);
                seen.insert(module);
                followed.insert(self.names.path(module));
            }
            self.drain(round)?;
        }
    }

    /// Roots in which every module stands once and at its selected version, and their graph
    /// (`updatePrunedRoots`, `updateUnprunedRoots`).
    fn consistent(
        &mut self,
        main: usize,
        roots: &[usize],
        selection: Option<Selection>,
        pruning: Pruning,
        direct: &HashSet<usize>,
    ) -> Result<(Vec<usize>, Selection), GraphError> {
        if pruning == Pruning::Unpruned {
            let selection = match selection {
                Some(selection) => selection,
                None => self.round(&[main], Some(roots), pruning)?,
            };
            let roots = self.minimal_roots(main, roots, &selection, direct)?;
            let selection = self.round(&[main], Some(&roots), pruning)?;
            return Ok((roots, selection));
        }
        let (mut roots, mut selection) = (roots.to_vec(), selection);
        for _ in 0..MAX_ROUNDS {
            let highest = self.by_path(&roots);
            let mut seen = HashSet::from([self.names.path(main)]);
            let mut next = Vec::with_capacity(roots.len());
            for path in roots.iter().map(|&root| self.names.path(root)) {
                if seen.insert(path) {
                    next.extend(match &selection {
                        Some(selection) => selection.selected(path),
                        None => highest.get(&path).copied(),
                    });
                }
            }
            let stable = next == roots;
            roots = next;
            if let (true, Some(selection)) = (stable, selection.take()) {
                return Ok((roots, selection));
            }
            selection = Some(self.round(&[main], Some(&roots), pruning)?);
        }
        Err(GraphError::Unsettled(MAX_ROUNDS))
    }

    /// The fewest roots that select the same versions as before and name every direct requirement
    /// and every root that is at its selected version (`mvs.Req`).
    fn minimal_roots(
        &mut self,
        main: usize,
        roots: &[usize],
        selection: &Selection,
        direct: &HashSet<usize>,
    ) -> Result<Vec<usize>, GraphError> {
        let mut list: Vec<usize> = selection.all().filter(|&id| id != main).collect();
        self.names.sort(&mut list);
        let is_selected = |id: &usize| selection.selected(self.names.path(*id)) == Some(*id);
        let kept = roots.iter().copied().filter(is_selected);
        let direct = list
            .iter()
            .copied()
            .filter(|&id| direct.contains(&self.names.path(id)));
        let base: Vec<usize> = kept.chain(direct).filter(|&id| id != main).collect();

        let mut order = Vec::new();
        let mut entered = HashSet::from([main]);
        for &module in &list {
            self.postorder(module, &mut entered, &mut order)?;
        }
        let mut minimal = Vec::new();
        let mut named = HashSet::new();
        let mut implied = HashSet::from([main]);
        for &module in &base {
            if named.insert(module) {
                minimal.push(module);
                self.postorder(module, &mut implied, &mut Vec::new())?;
            }
        }
        for module in order.into_iter().rev() {
            let wanted = selection.selected(self.names.path(module)) == Some(module);
            if wanted && !implied.contains(&module) {
                minimal.push(module);
                self.postorder(module, &mut implied, &mut Vec::new())?;
            }
        }
        self.names.sort(&mut minimal);
        Ok(minimal)
    }

    /// Walks everything that `module` requires, directly or not, and has not been entered yet.
    fn postorder(
        &mut self,
        module: usize,
        entered: &mut HashSet<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), GraphError> {
        if !entered.insert(module) {
            return Ok(());
        }
        let mut stack = vec![(module, self.summary(module)?, 0)];
        while let Some((module, summary, next)) = stack.last_mut() {
            match summary.requires.get(*next).copied() {
                None => {
                    order.push(*module);
                    stack.pop();
                }
                Some(required) => {
                    *next += 1;
                    if entered.insert(required) {
                        stack.push((required, self.summary(required)?, 0));
                    }
                }
            }
        }
        Ok(())
    }

    /// What a module version requires, read at most once (`goModSummary`).
    fn summary(&mut self, id: usize) -> Result<Rc<Summary>, GraphError> {
        if let Some(summary) = self.summaries.get(&id) {
            return Ok(summary.clone());
        }
        let summary = Rc::new(self.read_summary(id));
        self.requirements += summary.requires.len();
        if self.names.len() > MAX_MODULES {
            return Err(GraphError::TooLarge(MAX_MODULES));
        }
        if self.requirements > MAX_REQUIREMENTS {
            return Err(GraphError::TooLarge(MAX_REQUIREMENTS));
        }
        self.summaries.insert(id, summary.clone());
        Ok(summary)
    }

    fn read_summary(&mut self, id: usize) -> Summary {
        let Some(module) = self.names.module(id).cloned() else {
            return Summary {
                pruning: Pruning::Pruned,
                requires: Rc::new([]),
            };
        };
        if is_pseudo(&module.path) {
            let strict = module.path == "go" && is_strict(&module.version);
            let toolchain =
                strict.then(|| self.pseudo("toolchain", &format!("go{}", module.version)));
            return Summary {
                pruning: Pruning::Pruned,
                requires: toolchain.into_iter().collect(),
            };
        }
        let project = self.project;
        let read;
        let file = match project
            .mains()
            .iter()
            .find(|m| module.version.is_empty() && m.path == module.path)
        {
            Some(main) => &main.file,
            None => match self.read_file(&module) {
                Ok(Some(file)) => {
                    read = file;
                    &read
                }
                Ok(None) => {
                    return Summary {
                        pruning: Pruning::Unpruned,
                        requires: Rc::new([]),
                    };
                }
                Err(error) => {
                    self.broken.push(BrokenGoMod { module, error });
                    return Summary {
                        pruning: Pruning::Unpruned,
                        requires: Rc::new([]),
                    };
                }
            },
        };
        let mut requires = self.requires(file);
        let strict = file.go.as_deref().filter(|go| is_strict(go));
        requires.extend(strict.map(|go| self.pseudo("go", go)));
        Summary {
            pruning: Pruning::of_go(file.go.as_deref()),
            requires: requires.into(),
        }
    }

    /// The `go.mod` of a dependency or of what replaces it; `None` if it is missing and listed so.
    fn read_file(&mut self, module: &ModuleVersion) -> Result<Option<GoMod>, GoModError> {
        let substitute = self.project.substitute(module);
        if let Some(dir) = substitute.and_then(|substitute| substitute.dir.as_deref()) {
            let data = self.files.local_go_mod(dir)?;
            let data = data.ok_or_else(|| GoModError::NoReplacement(dir.to_owned()))?;
            return Ok(Some(gomod::parse_dependency(&data)?));
        }
        let actual = match substitute.map(|substitute| &substitute.with) {
            Some(Replacement::Module(with)) => with,
            _ => module,
        };
        self.needed.insert(actual.clone());
        let Some(data) = self.files.go_mod(actual)? else {
            self.missing.insert(actual.clone());
            return Ok(None);
        };
        let file = gomod::parse_dependency(&data)?;
        match &file.module {
            None => Err(GoModError::Unnamed),
            Some(path) if *path != module.path && *path != actual.path => {
                Err(GoModError::OtherModule(path.clone()))
            }
            Some(_) => Ok(Some(file)),
        }
    }

    /// The graph without what only earlier rounds saw, in breadth-first order.
    fn finish(
        &mut self,
        selection: &Selection,
        roots: &[usize],
        raised: Vec<(usize, usize)>,
    ) -> Graph {
        let names = &self.names;
        let mut order: Vec<usize> = Vec::new();
        let mut place: HashMap<usize, usize> = HashMap::new();
        let mut enter = |id: usize, order: &mut Vec<usize>| {
            *place.entry(id).or_insert_with(|| {
                order.push(id);
                order.len() - 1
            })
        };
        let mut nodes: Vec<Node> = Vec::new();
        let graph_roots = roots.iter().map(|&id| enter(id, &mut order)).collect();
        while let Some(&id) = order.get(nodes.len()) {
            let required = selection.required_by(id).cloned();
            let required = required.as_deref().unwrap_or_default();
            let requires = required.iter().map(|&id| enter(id, &mut order)).collect();
            let Some(module) = names.module(id).cloned() else {
                break;
            };
            nodes.push(Node { module, requires });
        }
        let index = nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.module.clone(), at))
            .collect();

        let mut list: Vec<usize> = selection
            .all()
            .filter(|id| place.contains_key(id))
            .collect();
        names.sort(&mut list);
        let path_and_place = |id: &usize| Some((names.module(*id)?.path.clone(), *place.get(id)?));
        let selected = list.iter().filter_map(path_and_place).collect();
        let listed = list.iter().filter_map(|&id| names.module(id));
        let listed = listed
            .filter(|module| !is_pseudo(&module.path))
            .map(|module| Selected {
                module: module.clone(),
                replacement: self.project.replacement(module).cloned(),
            });
        let (mut build_list, rest): (Vec<_>, Vec<_>) = listed.partition(Selected::is_main);
        build_list.extend(rest);

        let module = |id| names.module(id).cloned();
        Graph {
            nodes,
            index,
            roots: graph_roots,
            selected,
            build_list,
            needed: std::mem::take(&mut self.needed),
            missing: std::mem::take(&mut self.missing),
            broken: std::mem::take(&mut self.broken),
            raised: raised
                .into_iter()
                .filter_map(|(from, to)| Some((module(from)?, module(to)?)))
                .collect(),
        }
    }
}

/// One reading of the graph.
#[derive(Default)]
struct Round {
    selection: Selection,
    queue: VecDeque<(usize, Pruning)>,
    queued: HashSet<(usize, Pruning)>,
}

impl Round {
    fn enqueue(&mut self, module: usize, pruning: Pruning) {
        if self.queued.insert((module, pruning)) {
            self.queue.push_back((module, pruning));
        }
    }
}

fn is_strict(go: &str) -> bool {
    gover::compare(go, GO_STRICT).is_ge()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::graph::Standing;

    /// `go.mod` files by `path@version`, those of folders by their path.
    struct Files(HashMap<String, String>);

    impl ModFiles for Files {
        fn go_mod(&self, module: &ModuleVersion) -> io::Result<Option<Vec<u8>>> {
            Ok(self
                .0
                .get(&module.to_string())
                .map(|text| text.clone().into_bytes()))
        }

        fn local_go_mod(&self, dir: &Path) -> io::Result<Option<Vec<u8>>> {
            let text = self.0.get(&dir.display().to_string());
            Ok(text.map(|text| text.clone().into_bytes()))
        }
    }

    /// Files of `name@version: requirements`, all of one Go version, in modules named by letters.
    fn files(go: &str, modules: &[(&str, &str)]) -> Files {
        let text = |(name, requires): &(&str, &str)| {
            let path = name.split('@').next().unwrap_or_default();
            let mut text = format!("module {path}\ngo {go}\n");
            for (path, version) in requires.split(' ').filter_map(|r| r.split_once('@')) {
                text += &format!("require {path} {version}\n");
            }
            ((*name).to_owned(), text)
        };
        Files(modules.iter().map(text).collect())
    }

    fn graph(go_mod: &str, files: &Files) -> Graph {
        let file = gomod::parse(go_mod.as_bytes()).unwrap();
        load(&MainModules::module("/p".into(), file).unwrap(), files).unwrap()
    }

    fn list(graph: &Graph) -> Vec<String> {
        let modules = graph.build_list().iter().map(|selected| &selected.module);
        modules
            .filter(|m| !m.version.is_empty())
            .map(ModuleVersion::to_string)
            .collect()
    }

    const CHAIN: &[(&str, &str)] = &[
        ("b@v1.0.0", "c@v1.0.0"),
        ("c@v1.0.0", "d@v1.0.0"),
        ("d@v1.0.0", "e@v1.0.0"),
        ("e@v1.0.0", ""),
    ];

    #[test]
    fn what_lies_behind_a_modern_requirement_is_pruned_out() {
        let main = "module m\ngo 1.17\nrequire b v1.0.0\n";
        let pruned = graph(main, &files("1.17", CHAIN));
        assert_eq!(list(&pruned), ["b@v1.0.0", "c@v1.0.0"]);
        assert_eq!(pruned.needed_go_mods().len(), 1);
        // An old requirement does not list what it needs: all of that is looked at.
        assert_eq!(list(&graph(main, &files("1.16", CHAIN))).len(), 4);
        let old = "module m\ngo 1.16\nrequire b v1.0.0\n";
        assert_eq!(list(&graph(old, &files("1.17", CHAIN))).len(), 4);
    }

    #[test]
    fn the_highest_required_version_is_selected_and_others_are_superseded() {
        let files = files(
            "1.16",
            &[
                ("b@v1.0.0", "d@v1.9.0"),
                ("c@v1.0.0", "d@v1.10.0-rc.1"),
                ("d@v1.9.0", "e@v1.0.0"),
                ("d@v1.10.0-rc.1", "b@v1.0.0"),
                ("e@v1.0.0", ""),
            ],
        );
        let graph = graph(
            "module m\ngo 1.16\nrequire b v1.0.0\nrequire c v1.0.0\n",
            &files,
        );
        assert_eq!(graph.selected("d"), Some("v1.10.0-rc.1"));
        let low = ModuleVersion::new("d", "v1.9.0");
        assert_eq!(
            graph.standing(&low),
            Standing::Superseded { by: "v1.10.0-rc.1" }
        );
        assert_eq!(
            graph.standing(&ModuleVersion::new("d", "v1.10.0-rc.1")),
            Standing::Selected
        );
        assert_eq!(graph.standing(&ModuleVersion::new("m", "")), Standing::Main);
        assert_eq!(
            graph.standing(&ModuleVersion::new("d", "v1.0.0")),
            Standing::Absent
        );

        let path = |path, version| {
            let path = graph.why(path, version)?;
            Some(path.iter().map(|m| m.path.as_str()).collect::<String>())
        };
        assert_eq!(path("d", None).as_deref(), Some("mcd"));
        assert_eq!(path("d", Some("v1.9.0")).as_deref(), Some("mbd"));
        assert_eq!(path("e", None).as_deref(), Some("mbde"));
        assert_eq!(path("m", None).as_deref(), Some("m"));
        assert_eq!(path("x", None), None);
        assert_eq!(path("d", Some("v3.0.0")), None);
    }

    #[test]
    fn go_lines_are_requirements_from_1_21_on() {
        let files = files("1.22.1", &[("b@v1.0.0", "")]);
        let graph = graph("module m\ngo 1.21\nrequire b v1.0.0\n", &files);
        assert_eq!(graph.selected("go"), Some("1.22.1"));
        assert_eq!(graph.selected("toolchain"), Some("go1.22.1"));
        let raised = [(
            ModuleVersion::new("go", "1.21"),
            ModuleVersion::new("go", "1.22.1"),
        )];
        assert_eq!(graph.raised(), raised);
        assert_eq!(list(&graph), ["b@v1.0.0"]);
    }

    #[test]
    fn what_cannot_be_used_is_listed_and_the_rest_goes_on() {
        let mut files = files("1.17", &[("b@v1.0.0", "x@v1.0.0"), ("other@v1.0.0", "")]);
        files
            .0
            .insert("c@v1.0.0".into(), "module c\nrequire broken\n".into());
        files
            .0
            .insert("d@v1.0.0".into(), "module elsewhere\n".into());
        files.0.insert("e@v1.0.0".into(), "go 1.20\n".into());
        let graph = graph(
            "module m\ngo 1.17\nrequire (\nb v1.0.0\nc v1.0.0\nd v1.0.0\ne v1.0.0\nf v1.0.0\n\
             g v1.0.0\nh v1.0.0\n)\nreplace g => ../g\nreplace h => other v1.0.0\n",
            &files,
        );
        let broken: Vec<_> = graph
            .broken()
            .iter()
            .map(|it| format!("{}: {}", it.module, it.error))
            .collect();
        assert_eq!(
            broken,
            [
                "c@v1.0.0: line 2: require takes a module path and a version",
                "d@v1.0.0: its go.mod is that of the module \"elsewhere\"",
                "e@v1.0.0: its go.mod has no module line",
                "g@v1.0.0: its replacement \"/g\" has no go.mod",
            ]
        );
        assert_eq!(
            graph.missing_go_mods(),
            &BTreeSet::from([ModuleVersion::new("f", "v1.0.0")])
        );
        assert_eq!(list(&graph).len(), 8);
        assert!(!graph.is_complete());
    }

    #[test]
    fn roots_that_name_the_main_module_or_one_module_twice_are_put_in_order() {
        let files = files(
            "1.17",
            &[("b@v1.0.0", "c@v1.5.0"), ("b@v1.1.0", ""), ("c@v1.0.0", "")],
        );
        let main = "module m\ngo 1.17\nrequire (\nm v1.0.0\nb v1.1.0\nb v1.0.0\nc v1.0.0\n)\n";
        // The lower version of b goes, and with it what only that required.
        assert_eq!(list(&graph(main, &files)), ["b@v1.1.0", "c@v1.0.0"]);
    }

    #[test]
    fn long_chains_and_cycles_end() {
        let length = 20_000;
        let modules: Vec<_> = (0..length)
            .map(|i| {
                (
                    format!("n{i}@v1.0.0"),
                    format!("n{}@v1.0.0", (i + 1) % length),
                )
            })
            .collect();
        let modules: Vec<_> = modules
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let files = files("1.16", &modules);
        let main = "module m\ngo 1.16\nrequire n0 v1.0.0\nrequire n1 v0.9.0\n";
        let graph = graph(main, &files);
        assert_eq!(graph.build_list().len(), length + 1);
        // By way of n1, which the raised roots still name.
        assert_eq!(graph.why("n19999", None).unwrap().len(), length);
    }
}
