//! Names in a zip that some file system takes for one.

use std::collections::HashMap;

use super::ZipProblem;

/// The names seen, as a tree of path elements: long names that share their
/// beginnings cost no more memory than the zip's own list of names.
#[derive(Debug, Default)]
pub(super) struct Collisions {
    /// By the node of the folder (0 is the root) and the folded element.
    elements: HashMap<(usize, String), Element>,
}

#[derive(Debug)]
struct Element {
    node: usize,
    /// As first seen, unfolded.
    name: String,
    is_folder: bool,
}

impl Collisions {
    /// Takes up a name, and the folders it lies in.
    pub(super) fn add(&mut self, path: &str, is_folder: bool) -> Result<(), ZipProblem> {
        let mut folder = 0;
        let mut rest = Some(path);
        while let Some(path) = rest {
            let (name, below) = match path.split_once('/') {
                Some((name, below)) => (name, Some(below)),
                None => (path, None),
            };
            rest = below;
            let is_folder = is_folder || below.is_some();
            let node = self.elements.len() + 1;
            let known = self
                .elements
                .entry((folder, fold(name)))
                .or_insert_with(|| Element {
                    node,
                    name: name.to_owned(),
                    is_folder,
                });
            if known.name != name {
                return Err(ZipProblem::CaseCollision(known.name.clone()));
            }
            if known.is_folder != is_folder {
                return Err(ZipProblem::FileAndFolder);
            }
            if !is_folder && known.node != node {
                return Err(ZipProblem::Duplicate);
            }
            folder = known.node;
        }
        Ok(())
    }
}

/// Two texts fold to the same one if they are equal under simple Unicode case
/// folding, as Go's `strings.EqualFold` has it.
pub(super) fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

/// Upper case and back joins what simple folding joins, as far as each is a
/// single character. The dotless i is the one exception. Compared with Go's
/// tables over all of Unicode, the only other differences are letters that
/// are newer than those tables.
fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if c == 'ı' {
        return c;
    }
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let only = chars.next()?;
    chars.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_as_in_go() {
        for (a, b) in [
            ("GO.mod", "go.MOD"),
            ("K", "\u{212a}"),
            ("s", "ſ"),
            ("ß", "ẞ"),
            ("Σ", "ς"),
            ("É", "é"),
            ("ǅ", "ǆ"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} and {b}");
        }
        for (a, b) in [
            ("i", "ı"),
            ("İ", "i"),
            ("ß", "ss"),
            ("e", "é"),
            ("é", "e\u{301}"),
        ] {
            assert_ne!(fold(a), fold(b), "{a} and {b}");
        }
    }
}
