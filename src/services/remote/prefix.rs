//! Key prefixes under which a job falls back to an older entry.

/// A `restore-keys` line: literal text with expressions in between, whose
/// values are not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix {
    /// The text between the expressions; an expression lies between each two.
    literals: Vec<String>,
}

impl KeyPrefix {
    /// Reads a `restore-keys` line, where `${{ … }}` stands for any text.
    ///
    /// `None` for one without literal text, which would match every key.
    pub fn parse(text: &str) -> Option<Self> {
        let mut literals = Vec::new();
        let mut rest = text.trim();
        while let Some((literal, tail)) = rest.split_once("${{") {
            literals.push(literal.to_owned());
            // An expression that does not end swallows the rest.
            rest = tail.split_once("}}").map_or("", |(_, after)| after);
        }
        literals.push(rest.to_owned());
        (literals.iter().any(|literal| !literal.is_empty())).then_some(Self { literals })
    }

    /// The part of `key` that this prefix covers, if it fits.
    ///
    /// Where expressions leave several ways to fit, the longest is taken: it
    /// tells more entries apart, so that fewer count as superseded. For the
    /// same reason an expression at the end covers the rest of the key.
    pub fn covers<'k>(&self, key: &'k str) -> Option<&'k str> {
        let (last, before) = self.literals.split_last()?;
        let Some((first, middle)) = before.split_first() else {
            return key
                .starts_with(last.as_str())
                .then(|| key.get(..last.len()))?;
        };
        if !key.starts_with(first.as_str()) {
            return None;
        }
        let mut at = first.len();
        for literal in middle {
            at += key.get(at..)?.find(literal.as_str())? + literal.len();
        }
        if last.is_empty() {
            return Some(key);
        }
        let end = at + key.get(at..)?.rfind(last.as_str())? + last.len();
        key.get(..end)
    }
}

/// The longest part of `key` that one of the prefixes covers.
pub fn longest<'k>(prefixes: &[KeyPrefix], key: &'k str) -> Option<&'k str> {
    let covered = prefixes.iter().filter_map(|prefix| prefix.covers(key));
    covered.max_by_key(|text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cover_keys() {
        let cases = [
            ("go-", "go-abc", Some("go-")),
            ("go-", "rust-abc", None),
            ("${{ runner.os }}-go-", "Linux-go-abc", Some("Linux-go-")),
            ("${{ runner.os }}-go-", "Linux-lint-abc", None),
            (
                "${{ runner.os }}-go-${{ hashFiles('go.sum') }}-",
                "Linux-go-1234-99",
                Some("Linux-go-1234-"),
            ),
            ("v1-${{ matrix.go }}", "v1-1.26-x", Some("v1-1.26-x")),
            (
                "m-${{ matrix.go }}-${{ runner.os }}-",
                "m-1.2-rc-Linux-77",
                Some("m-1.2-rc-Linux-"),
            ),
            ("x-${{ broken", "x-anything", Some("x-anything")),
            ("é${{ a }}é", "éxé!", Some("éxé")),
        ];
        for (prefix, key, covered) in cases {
            let parsed = KeyPrefix::parse(prefix).unwrap();
            assert_eq!(parsed.covers(key), covered, "{prefix} on {key}");
        }
        assert_eq!(KeyPrefix::parse("  "), None);
        assert_eq!(KeyPrefix::parse("${{ github.sha }}"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_covered_is_a_prefix(prefix in ".{0,12}", key in ".{0,12}") {
            let text = prefix.replace('x', "${{ e }}");
            if let Some(covered) = KeyPrefix::parse(&text).as_ref().and_then(|p| p.covers(&key)) {
                assert!(key.starts_with(covered));
            }
        }
    }
}
