//! The key prefixes that a repository's workflows fall back on.

use saphyr_parser::{Event, Parser};

use super::prefix::KeyPrefix;

/// Larger workflow files are not read.
pub const MAX_BYTES: u64 = 1 << 20;

/// Finds the `restore-keys` of all cache steps in a workflow or action file.
///
/// What the file looks like else does not matter; broken YAML gives what was
/// understood before the break, and the error.
pub fn restore_keys(yaml: &str) -> (Vec<KeyPrefix>, Option<String>) {
    let mut prefixes = Vec::new();
    let mut named = false;
    for event in Parser::new_from_str(yaml) {
        let event = match event {
            Ok((event, _)) => event,
            Err(error) => return (prefixes, Some(error.to_string())),
        };
        let Event::Scalar(text, ..) = event else {
            named = false;
            continue;
        };
        if named {
            for prefix in text.lines().filter_map(KeyPrefix::parse) {
                if !prefixes.contains(&prefix) {
                    prefixes.push(prefix);
                }
            }
        }
        named = !named && text == "restore-keys";
    }
    (prefixes, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "\
name: ci
on: [push]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/cache@v4
        with:
          path: |
            ~/go/pkg/mod
          key: ${{ runner.os }}-go-${{ hashFiles('**/go.sum') }}
          restore-keys: |
            ${{ runner.os }}-go-
            go-
      - uses: actions/cache@v4
        with:
          restore-keys: \"lint-\"
          key: lint-x
      - run: 'echo restore-keys'
";

    #[test]
    fn block_and_plain_values_are_found() {
        let (prefixes, error) = restore_keys(WORKFLOW);
        let expected: Vec<_> = ["${{ runner.os }}-go-", "go-", "lint-"]
            .iter()
            .filter_map(|text| KeyPrefix::parse(text))
            .collect();
        assert_eq!((prefixes, error), (expected, None));
    }

    #[test]
    fn broken_files_give_what_was_before_the_break() {
        let (prefixes, error) = restore_keys("a:\n  restore-keys: go-\nb: [\n\t}");
        assert_eq!(prefixes.len(), 1);
        assert!(error.is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "[a-z:\\-\\[\\]{}&*!|>'\"%@`,?# \n\t]{0,200}") {
            restore_keys(&text);
        }
    }
}
