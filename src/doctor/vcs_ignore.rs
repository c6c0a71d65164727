//! Does git ignore a folder? From `.gitignore` files alone.

use super::gather::read_text;
use std::path::Path;

/// Is the folder in a git work tree, and not ignored?
pub(super) fn seen_by_git(folder: &Path) -> bool {
    let Some(root) = folder
        .ancestors()
        .skip(1)
        .find(|dir| dir.join(".git").exists())
    else {
        return false;
    };
    let mut files = Vec::new();
    let mut add = |file: &Path, from: &Path| {
        let below = folder.strip_prefix(from).ok().and_then(Path::to_str);
        if let (Some(text), Some(below)) = (read_text(file), below) {
            files.push((text, below.replace(std::path::MAIN_SEPARATOR, "/")));
        }
    };
    add(&root.join(".git/info/exclude"), root);
    let mut way: Vec<&Path> = folder
        .ancestors()
        .skip(1)
        .take_while(|dir| dir.starts_with(root))
        .collect();
    way.reverse();
    for dir in way {
        add(&dir.join(".gitignore"), dir);
    }
    !ignores(&files)
}

/// Whether the patterns of `.gitignore` files ignore a folder. `files` holds
/// each file's content and the folder's path below it, outermost first, as
/// `gitignore(5)` has it: the last pattern that matches decides; a folder
/// below an ignored one is ignored.
fn ignores(files: &[(String, String)]) -> bool {
    let Some((_, whole)) = files.first() else {
        return false;
    };
    let depth = whole.split('/').count();
    // Each folder on the way, from the outermost: once ignored, all below is.
    (1..=depth).any(|upto| {
        let mut ignored = false;
        for (content, below) in files {
            // How many elements of the way lie below this file's folder.
            let below: Vec<&str> = below.split('/').collect();
            let Some(count) = upto
                .checked_sub(depth - below.len())
                .filter(|&count| count > 0)
            else {
                continue;
            };
            let Some(part) = below.get(..count) else {
                continue;
            };
            for line in content.lines() {
                if let Some(says) = pattern(line, part) {
                    ignored = says;
                }
            }
        }
        ignored
    })
}

/// What a line says of a folder; `None` if it does not match.
fn pattern(line: &str, folder: &[&str]) -> Option<bool> {
    let line = line.trim_end_matches(['\r', ' ']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (ignored, line) = match line.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, line),
    };
    let line = line.strip_suffix('/').unwrap_or(line);
    let matched = match line
        .strip_prefix('/')
        .or_else(|| line.contains('/').then_some(line))
    {
        Some(rooted) => fast_glob::glob_match(rooted, folder.join("/")),
        None => fast_glob::glob_match(line, folder.last()?),
    };
    matched.then_some(ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_match_decides_and_covers_what_is_below() {
        for (content, folder, ignored) in [
            ("", "cache", false),
            ("cache", "cache", true),
            ("cache/", "a/cache", true),
            ("/cache", "a/cache", false),
            ("/a/cache/", "a/cache", true),
            ("a/**", "a/b/cache", true),
            ("*.d", "go.d/mod", true),
            ("# cache", "cache", false),
            ("cache\n!cache", "cache", false),
            ("a/\n!a/cache", "a/cache", true),
        ] {
            let files = [(content.to_owned(), folder.to_owned())];
            assert_eq!(ignores(&files), ignored, "{content:?} {folder}");
        }
        let nested = [
            ("*".to_owned(), "a/cache".to_owned()),
            ("!cache".to_owned(), "cache".to_owned()),
        ];
        assert!(
            ignores(&nested),
            "below an ignored folder nothing comes back"
        );
    }
}
