//! The graph as a picture: Mermaid for job summaries, DOT for Graphviz.
//!
//! Names come from `go.mod` files that anyone may have written, so every character that could mean
//! something to the language, to a browser or to a terminal is replaced.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use bytesize::ByteSize;

use super::project::is_pseudo;
use super::{Graph, Standing};
use crate::formats::module::ModuleVersion;

/// The language of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A Mermaid `flowchart`, as GitHub and GitLab draw it.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// What a picture shows.
pub struct View<'a> {
    /// How many bytes a module version takes in the cache; `None` if it is not there. Asked with the
    /// version as it is required, not with its replacement.
    pub bytes: &'a dyn Fn(&ModuleVersion) -> Option<u64>,
    /// How many nodes at most, the one that sums up the rest not counted.
    pub max_nodes: usize,
    /// Whether versions that are required but not selected are shown, too.
    pub superseded: bool,
}

/// Mermaid refuses flowcharts with more edges (`maxEdges`) and longer texts (`maxTextSize`).
const MERMAID_EDGES: usize = 500;
const MERMAID_TEXT: usize = 50_000;

/// A longer name is cut, in characters.
const LONGEST_NAME: usize = 120;

/// Draws a graph: the main modules and the largest others, the rest as one node.
///
/// A Mermaid chart has fewer nodes than allowed where it would otherwise be refused.
pub fn render(graph: &Graph, language: Language, view: &View<'_>) -> String {
    let mut nodes = view.max_nodes;
    loop {
        let picture = Picture::new(graph, view, nodes);
        let text = picture.text(language);
        let fits = picture.edges.len() <= MERMAID_EDGES && text.len() <= MERMAID_TEXT;
        if fits || language == Language::Dot || nodes == 0 {
            return text;
        }
        nodes = nodes.min(picture.shown.len()) * 3 / 4;
    }
}

struct Shown<'a> {
    module: &'a ModuleVersion,
    standing: Standing<'a>,
    bytes: Option<u64>,
}

struct Picture<'a> {
    shown: Vec<Shown<'a>>,
    /// How many modules the last node stands for, and their bytes.
    rest: (usize, u64),
    /// By place in `shown`; the place after the last is the rest.
    edges: BTreeSet<(usize, usize)>,
}

impl<'a> Picture<'a> {
    fn new(graph: &'a Graph, view: &View<'_>, max_nodes: usize) -> Self {
        let modules = graph.modules().filter(|module| !is_pseudo(&module.path));
        let mut shown: Vec<Shown<'_>> = modules
            .map(|module| Shown {
                module,
                standing: graph.standing(module),
                bytes: (view.bytes)(module),
            })
            .filter(|shown| view.superseded || !is_superseded(shown.standing))
            .collect();
        shown.sort_by_key(|shown| {
            let main = shown.standing == Standing::Main;
            (!main, std::cmp::Reverse(shown.bytes), shown.module)
        });
        let rest = shown.split_off(max_nodes.min(shown.len()));
        let rest_bytes = rest.iter().filter_map(|shown| shown.bytes);
        let rest = (rest.len(), rest_bytes.fold(0, u64::saturating_add));

        let places: HashMap<&ModuleVersion, usize> = shown
            .iter()
            .enumerate()
            .map(|(place, shown)| (shown.module, place))
            .collect();
        // What is not selected and not shown is drawn as the version that is selected instead.
        let place = |module: &ModuleVersion| match graph.standing(module) {
            Standing::Superseded { by } if !view.superseded => {
                let selected = ModuleVersion::new(module.path.as_str(), by);
                places.get(&selected).copied().unwrap_or(shown.len())
            }
            _ => places.get(module).copied().unwrap_or(shown.len()),
        };
        let drawn =
            |module: &ModuleVersion| view.superseded || !is_superseded(graph.standing(module));
        let edges = graph
            .edges()
            .filter(|(from, to)| drawn(from) && !is_pseudo(&from.path) && !is_pseudo(&to.path))
            .map(|(from, to)| (place(from), place(to)))
            .filter(|(from, to)| from != to)
            .collect();
        Self { shown, rest, edges }
    }

    fn text(&self, language: Language) -> String {
        let mut text = String::from(match language {
            Language::Mermaid => "flowchart LR\n",
            Language::Dot => "digraph modules {\n  rankdir=LR;\n  node [shape=box];\n",
        });
        for (place, shown) in self.shown.iter().enumerate() {
            let lines = [
                Some(cut(&shown.module.path)),
                (!shown.module.version.is_empty()).then(|| cut(&shown.module.version)),
                shown.bytes.map(size),
            ];
            let lines: Vec<String> = lines.into_iter().flatten().collect();
            node(
                &mut text,
                language,
                &format!("m{place}"),
                &lines,
                shown.standing,
            );
        }
        let (count, bytes) = self.rest;
        if count > 0 {
            let modules = if count == 1 { "module" } else { "modules" };
            let lines = [format!("{count} more {modules}"), size(bytes)];
            node(&mut text, language, "rest", &lines, Standing::Absent);
        }
        let name = |place: usize| match place < self.shown.len() {
            true => format!("m{place}"),
            false => "rest".to_owned(),
        };
        for &(from, to) in &self.edges {
            let (from, to) = (name(from), name(to));
            let _ = match language {
                Language::Mermaid => writeln!(text, "  {from} --> {to}"),
                Language::Dot => writeln!(text, "  {from} -> {to};"),
            };
        }
        match language {
            Language::Mermaid => text.push_str(
                "  classDef main stroke-width:3px\n  classDef dashed stroke-dasharray:4\n",
            ),
            Language::Dot => text.push_str("}\n"),
        }
        text
    }
}

fn is_superseded(standing: Standing<'_>) -> bool {
    matches!(standing, Standing::Superseded { .. })
}

fn node(text: &mut String, language: Language, name: &str, lines: &[String], of: Standing<'_>) {
    let _ = match language {
        Language::Mermaid => {
            let label: Vec<String> = lines.iter().map(|line| mermaid_label(line)).collect();
            let class = match of {
                Standing::Main => ":::main",
                Standing::Selected => "",
                Standing::Superseded { .. } | Standing::Absent => ":::dashed",
            };
            writeln!(text, "  {name}[\"{}\"]{class}", label.join("<br/>"))
        }
        Language::Dot => {
            let label: Vec<String> = lines.iter().map(|line| dot_label(line)).collect();
            let style = match of {
                Standing::Main => ", style=bold",
                Standing::Selected => "",
                Standing::Superseded { .. } | Standing::Absent => ", style=dashed",
            };
            writeln!(text, "  {name} [label=\"{}\"{style}];", label.join("\\n"))
        }
    };
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Characters that neither language nor browser gives a meaning to.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | '+' | '~' | ' ')
}

/// Mermaid's own character references for all but plain characters.
fn mermaid_label(line: &str) -> String {
    let mut label = String::with_capacity(line.len());
    for c in line.chars() {
        let _ = match c {
            c if is_plain(c) => write!(label, "{c}"),
            c if is_unprintable(c) => write!(label, "#65533;"),
            c => write!(label, "#{};", u32::from(c)),
        };
    }
    label
}

/// A backslash and a quote end a DOT string or start an escape; `&` starts an entity.
fn dot_label(line: &str) -> String {
    let mut label = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' => label.push_str("&quot;"),
            '&' => label.push_str("&amp;"),
            '<' => label.push_str("&lt;"),
            '>' => label.push_str("&gt;"),
            '\\' => label.push_str("&#92;"),
            c if is_unprintable(c) => label.push('\u{fffd}'),
            c => label.push(c),
        }
    }
    label
}

/// Control characters, and those that turn the direction of text or cannot be seen.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::formats::gomod;
    use crate::graph::{ModFiles, Project, load};
    use proptest::prelude::*;

    /// Every module requires `z.org/last`, at a version of its own number.
    struct Files;

    impl ModFiles for Files {
        fn go_mod(&self, module: &ModuleVersion) -> io::Result<Option<Vec<u8>>> {
            let path = format!("{:?}", module.path);
            let text = match module.path.as_str() {
                "z.org/last" => format!("module {path}\n"),
                _ => format!("module {path}\nrequire z.org/last {}\n", module.version),
            };
            Ok(Some(text.into_bytes()))
        }

        fn local_go_mod(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
            Ok(None)
        }
    }

    fn graph(requires: &[(String, String)]) -> Graph {
        let mut text = String::from("module m.org/main\ngo 1.21\n");
        for (path, version) in requires {
            let _ = writeln!(text, "require {path:?} {version}");
        }
        let file = gomod::parse(text.as_bytes()).unwrap();
        load(&Project::module("/p".into(), file).unwrap(), &Files).unwrap()
    }

    fn abc() -> Graph {
        let require = |path: &str, version: &str| (path.to_owned(), version.to_owned());
        graph(&[
            require("a.org/a", "v1.0.0"),
            require("b.org/b", "v1.2.0"),
            require("c.org/\"]<b>#quot;", "v1.1.0"),
        ])
    }

    fn bytes(module: &ModuleVersion) -> Option<u64> {
        match module.path.as_str() {
            "a.org/a" => Some(1_500_000),
            "b.org/b" => Some(2_500),
            "z.org/last" => Some(100),
            _ => None,
        }
    }

    fn view(max_nodes: usize, superseded: bool) -> View<'static> {
        View {
            bytes: &bytes,
            max_nodes,
            superseded,
        }
    }

    #[test]
    fn a_chart_of_the_build_list() {
        insta::assert_snapshot!(render(&abc(), Language::Mermaid, &view(10, false)), @r##"
        flowchart LR
          m0["m.org/main"]:::main
          m1["a.org/a<br/>v1.0.0<br/>1.5 MB"]
          m2["b.org/b<br/>v1.2.0<br/>2.5 kB"]
          m3["z.org/last<br/>v1.2.0<br/>100 B"]
          m4["c.org/#34;#93;#60;b#62;#35;quot#59;<br/>v1.1.0"]
          m0 --> m1
          m0 --> m2
          m0 --> m4
          m1 --> m3
          m2 --> m3
          m4 --> m3
          classDef main stroke-width:3px
          classDef dashed stroke-dasharray:4
        "##);
    }

    #[test]
    fn the_largest_stand_first_and_the_rest_is_summed_up() {
        insta::assert_snapshot!(render(&abc(), Language::Mermaid, &view(2, false)), @r##"
        flowchart LR
          m0["m.org/main"]:::main
          m1["a.org/a<br/>v1.0.0<br/>1.5 MB"]
          rest["3 more modules<br/>2.6 kB"]:::dashed
          m0 --> m1
          m0 --> rest
          m1 --> rest
          classDef main stroke-width:3px
          classDef dashed stroke-dasharray:4
        "##);
    }

    #[test]
    fn a_dot_graph_with_superseded_versions() {
        insta::assert_snapshot!(render(&abc(), Language::Dot, &view(10, true)), @r##"
        digraph modules {
          rankdir=LR;
          node [shape=box];
          m0 [label="m.org/main", style=bold];
          m1 [label="a.org/a\nv1.0.0\n1.5 MB"];
          m2 [label="b.org/b\nv1.2.0\n2.5 kB"];
          m3 [label="z.org/last\nv1.0.0\n100 B", style=dashed];
          m4 [label="z.org/last\nv1.1.0\n100 B", style=dashed];
          m5 [label="z.org/last\nv1.2.0\n100 B"];
          m6 [label="c.org/&quot;]&lt;b&gt;#quot;\nv1.1.0"];
          m0 -> m1;
          m0 -> m2;
          m0 -> m6;
          m1 -> m3;
          m2 -> m5;
          m6 -> m4;
        }
        "##);
    }

    #[test]
    fn a_chart_stays_within_what_mermaid_draws() {
        let many: Vec<_> = (0..2_000)
            .map(|i| (format!("m{i}.org/x"), format!("v1.{i}.0")))
            .collect();
        let graph = graph(&many);
        let chart = render(&graph, Language::Mermaid, &view(usize::MAX, true));
        assert!(chart.len() <= MERMAID_TEXT);
        assert!(chart.matches("-->").count() <= MERMAID_EDGES);
        assert!(chart.contains(" more modules"), "{chart}");
        let dot = render(&graph, Language::Dot, &view(usize::MAX, true));
        assert!(!dot.contains("more modules") && dot.matches("->").count() > 2_000);
    }

    proptest! {
        #[test]
        fn no_label_can_end_its_string(name in any::<String>()) {
            let label = mermaid_label(&name);
            let meaningful = ['"', '<', '>', '[', ']', '(', '`', '&', '%', '\\', '\n'];
            prop_assert!(!label.contains(meaningful));
            let label = dot_label(&name);
            prop_assert!(!label.contains(['"', '<', '>', '\\', '\n']));
        }
    }
}
