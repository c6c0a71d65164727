//! Glob patterns on module paths, as `GOPRIVATE` and its kin use them.
//!
//! Source: `module.MatchPrefixPatterns` and `path.Match` in Go's library.

/// Whether a path prefix of `target` matches one of the comma-separated
/// `globs`. A glob of N elements is held against the first N elements. Empty
/// and malformed globs match nothing; a trailing slash on a glob is ignored.
pub fn match_prefix_patterns(globs: &str, target: &str) -> bool {
    globs.split(',').any(|glob| {
        let glob = glob.strip_suffix('/').unwrap_or(glob);
        if glob.is_empty() {
            return false;
        }
        prefix_of(target, glob.matches('/').count() + 1)
            .is_some_and(|prefix| match_pattern(glob, prefix) == Some(true))
    })
}

/// The first `elements` path elements of `target`, if it has that many.
fn prefix_of(target: &str, elements: usize) -> Option<&str> {
    match target.match_indices('/').nth(elements - 1) {
        Some((end, _)) => target.get(..end),
        None => (target.matches('/').count() + 1 == elements).then_some(target),
    }
}

/// Whether all of `name` matches `pattern` (`path.Match`): `*` and `?` match
/// anything but `/`, `[a-z]` and `[^a-z]` one character, `\` takes the next
/// one literally. `None` if the pattern is malformed.
///
/// Unlike Go's, a `*` never ends inside a multi-byte character. Module paths
/// are ASCII, where there is no difference.
pub fn match_pattern(pattern: &str, name: &str) -> Option<bool> {
    let (mut pattern, mut name) = (pattern, name);
    'next_chunk: while !pattern.is_empty() {
        let (star, chunk, rest) = split_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Some(!name.contains('/'));
        }
        // The last chunk must use the name up.
        let fits = |left: &str| left.is_empty() || !rest.is_empty();
        if let Some(left) = match_chunk(chunk, name)?
            && fits(left)
        {
            name = left;
            continue;
        }
        if star {
            let mut tail = name.chars();
            while tail.next().is_some_and(|skipped| skipped != '/') {
                if let Some(left) = match_chunk(chunk, tail.as_str())?
                    && fits(left)
                {
                    name = left;
                    continue 'next_chunk;
                }
            }
        }
        // No match; the rest must still be well-formed.
        while !pattern.is_empty() {
            let (_, chunk, rest) = split_chunk(pattern);
            match_chunk(chunk, "")?;
            pattern = rest;
        }
        return Some(false);
    }
    Some(name.is_empty())
}

/// Splits off leading stars and the text up to the next star.
fn split_chunk(pattern: &str) -> (bool, &str, &str) {
    let unstarred = pattern.trim_start_matches('*');
    let star = unstarred.len() < pattern.len();
    let mut in_class = false;
    let mut chars = unstarred.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '*' if !in_class => {
                let (chunk, rest) = unstarred.split_at_checked(at).unwrap_or((unstarred, ""));
                return (star, chunk, rest);
            }
            _ => {}
        }
    }
    (star, unstarred, "")
}

/// Matches a chunk without stars against the start of `name` and returns what
/// is left of it. The outer `None` is a malformed chunk, looked for to its end
/// even when the match has failed.
fn match_chunk<'n>(chunk: &str, name: &'n str) -> Option<Option<&'n str>> {
    let mut pattern = chunk.chars();
    let mut left = name.chars();
    let mut failed = false;
    while let Some(p) = pattern.next() {
        failed |= left.as_str().is_empty();
        let c = if failed { None } else { left.next() };
        match p {
            '[' => {
                let inside = match_class(&mut pattern, c)?;
                failed |= !inside;
            }
            '?' => failed |= c == Some('/'),
            '\\' => failed |= c != Some(pattern.next()?),
            literal => failed |= c != Some(literal),
        }
    }
    Some((!failed).then_some(left.as_str()))
}

/// Reads a character class after its `[`; whether it holds `c`.
fn match_class(pattern: &mut std::str::Chars<'_>, c: Option<char>) -> Option<bool> {
    let negated = pattern.as_str().starts_with('^');
    if negated {
        pattern.next();
    }
    let mut found = false;
    let mut ranges = 0;
    loop {
        if ranges > 0 && pattern.as_str().starts_with(']') {
            pattern.next();
            return Some(found != negated);
        }
        let low = class_char(pattern)?;
        let mut high = low;
        if pattern.as_str().starts_with('-') {
            pattern.next();
            high = class_char(pattern)?;
        }
        found |= c.is_some_and(|c| low <= c && c <= high);
        ranges += 1;
    }
}

/// One character of a class, perhaps escaped; a class cannot end with it.
fn class_char(pattern: &mut std::str::Chars<'_>) -> Option<char> {
    let c = match pattern.next()? {
        '-' | ']' => return None,
        '\\' => pattern.next()?,
        c => c,
    };
    (!pattern.as_str().is_empty()).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_as_in_go() {
        for (pattern, name, want) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("a?b", "a/b", Some(false)),
            ("a*b", "a/b", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-]", "-", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "a", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^bc", "a", None),
            ("a[", "ab", None),
            ("a[", "a", None),
            ("a[", "x", None),
            ("a/b[", "x", None),
            ("*x", "xxx", Some(true)),
            ("", "", Some(true)),
            ("", "x", Some(false)),
        ] {
            assert_eq!(match_pattern(pattern, name), want, "{pattern} on {name}");
        }
    }

    #[test]
    fn prefixes_as_in_go() {
        for (globs, target, want) in [
            ("*/quote", "rsc.io/quote", true),
            ("*/quo", "rsc.io/quote", false),
            ("*/quo??", "rsc.io/quote", true),
            ("*/quo*", "rsc.io/quote", true),
            ("*quo*", "rsc.io/quote", false),
            ("rsc.io", "rsc.io/quote", true),
            ("*.io", "rsc.io/quote", true),
            ("rsc.io/", "rsc.io/quote", true),
            ("rsc", "rsc.io/quote", false),
            ("rsc*", "rsc.io/quote", true),
            ("rsc.io", "rsc.io/quote/v3", true),
            ("*/quote", "rsc.io/quote/v3", true),
            ("*/quote/", "rsc.io/quote/v3", true),
            ("*/quote/*", "rsc.io/quote/v3", true),
            ("*/v3", "rsc.io/quote/v3", false),
            ("*/*/v3", "rsc.io/quote/v3", true),
            ("*/*/*", "rsc.io/quote/v3", true),
            ("*/*/*/*", "rsc.io/quote/v3", false),
            ("*", "rsc.io/quote/v3", true),
            ("", "rsc.io/quote", false),
            (",,[,x.y", "x.y/z", true),
            ("a.b,rsc.io", "rsc.io/quote", true),
        ] {
            assert_eq!(
                match_prefix_patterns(globs, target),
                want,
                "{globs} on {target}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[a-c*?\\\\\\[\\]^,/é-]{0,16}", name in "[a-c/é*-]{0,16}") {
            let _ = (match_pattern(&pattern, &name), match_prefix_patterns(&pattern, &name));
        }

        #[test]
        fn plain_text_matches_itself_alone(name in "[a-z/.]{0,12}", other in "[a-z/.]{0,12}") {
            prop_assert_eq!(match_pattern(&name, &other), Some(name == other));
        }
    }
}
