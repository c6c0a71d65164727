//! Names in a zip that some file system takes for one.

use super::ZipProblem;
use std::cmp::Ordering;

/// The entries of `named` that collide with one before them, each with why.
/// `path` gives an entry's path and whether it is a folder.
///
/// Folded and sorted element by element, names that share a folder stand
/// together, and what collides stands side by side. That takes no more memory
/// than the positions.
pub(super) fn all<'a>(
    mut named: Vec<u32>,
    path: impl Fn(u32) -> (&'a str, bool),
) -> Vec<(u32, ZipProblem)> {
    named.sort_by(|&a, &b| compare(path(a).0, path(b).0));
    let mut found = Vec::new();
    for pair in named.windows(2) {
        let [a, b] = [pair[0], pair[1]];
        if let Some(problem) = between(path(a.min(b)), path(a.max(b))) {
            found.push((a.max(b), problem));
        }
    }
    found
}

/// By folded elements: a folder's name comes right before what is in it.
fn compare(a: &str, b: &str) -> Ordering {
    let order = |c: char| if c == '/' { '\0' } else { fold_char(c) };
    a.chars().map(order).cmp(b.chars().map(order))
}

/// How `later` collides with `first`, element by element, if it does.
fn between(first: (&str, bool), later: (&str, bool)) -> Option<ZipProblem> {
    let (mut a, mut b) = (first.0.split('/'), later.0.split('/'));
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) if fold(a) == fold(b) => {
                return Some(ZipProblem::CaseCollision(a.to_owned()));
            }
            (Some(_), Some(_)) => return None,
            // One is a folder of the other, or they are one.
            (None, None) if first.1 && later.1 => return None,
            (None, None) if first.1 != later.1 => return Some(ZipProblem::FileAndFolder),
            (None, None) => return Some(ZipProblem::Duplicate),
            (None, Some(_)) => return (!first.1).then_some(ZipProblem::FileAndFolder),
            (Some(_), None) => return (!later.1).then_some(ZipProblem::FileAndFolder),
        }
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
