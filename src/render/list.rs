//! The list of what takes the space.

use super::json::pretty;
use super::{summary, table};
use crate::report::list::{ListReport, Rows};
use crate::text::escape::{clip, terminal};
use crate::text::human;
use chrono::{DateTime, Utc};

/// A list as a table: name, size, its parts, share, last use.
pub fn list_text(list: &ListReport) -> String {
    let age = |time: Option<DateTime<Utc>>| {
        time.map_or("?".to_owned(), |time| {
            format!("{} ago", human::age(list.generated_at - time))
        })
    };
    let share = |bytes| human::percent(human::share(bytes, list.bytes));
    let (head, align, mut rows): (&[&str], &str, Vec<Vec<String>>) = match &list.rows {
        Rows::Modules(rows) => (
            &[
                "MODULE",
                "VERSIONS",
                "SIZE",
                "SHARE",
                "DOWNLOADS",
                "TREES",
                "LAST USED",
            ],
            "lrrrrrr",
            rows.iter()
                .map(|row| {
                    vec![
                        name(&row.module),
                        human::count(row.versions),
                        human::size(row.bytes),
                        share(row.bytes),
                        human::size(row.download_bytes),
                        human::size(row.extracted_bytes),
                        age(row.last_used),
                    ]
                })
                .collect(),
        ),
        Rows::Versions(rows) => (
            &["VERSION", "SIZE", "SHARE", "DOWNLOAD", "TREE", "LAST USED"],
            "lrrrrr",
            rows.iter()
                .map(|row| {
                    vec![
                        name(&format!("{}@{}", row.module, row.version)),
                        human::size(row.bytes),
                        share(row.bytes),
                        human::size(row.download_bytes),
                        human::size(row.extracted_bytes),
                        age(row.last_used),
                    ]
                })
                .collect(),
        ),
        Rows::Outputs(rows) => (
            &[
                "OUTPUT",
                "KIND",
                "OF",
                "SIZE",
                "SHARE",
                "ACTIONS",
                "LAST USED",
            ],
            "lllrrrr",
            rows.iter()
                .map(|row| {
                    vec![
                        name(&row.id),
                        // Without what stands in brackets.
                        row.kind
                            .as_deref()
                            .and_then(|kind| kind.split(" (").next())
                            .unwrap_or("output")
                            .to_owned(),
                        row.of.as_deref().map_or("?".to_owned(), name),
                        human::size(row.bytes),
                        share(row.bytes),
                        row.actions.map_or("?".to_owned(), human::count),
                        age(row.last_used),
                    ]
                })
                .collect(),
        ),
    };
    let shown = rows.len() as u64;
    rows.insert(0, head.iter().map(|title| (*title).to_owned()).collect());
    let mut out = String::new();
    for line in table::lines(&rows, align) {
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str(&format!(
        "\n{} of {} shown, {} in all\n",
        human::count(shown),
        human::count(list.number),
        human::size(list.bytes)
    ));
    if let Some(usage) = &list.usage {
        out.push_str(&format!(
            "\nUsed since the mark {} ago\n",
            human::age(list.generated_at - usage.since)
        ));
        for line in table::lines(&summary::usage_rows(usage), "lrrrrr") {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// A list as JSON, indented, with a line break at the end.
pub fn list_json(list: &ListReport) -> String {
    pretty(list)
}

fn name(name: &str) -> String {
    terminal(&clip(name, 100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::list::{LIST_SCHEMA, ModuleRow, OutputRow, VersionRow};

    fn listed(rows: Rows) -> ListReport {
        let list = ListReport {
            schema: LIST_SCHEMA.to_owned(),
            generated_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            number: 30,
            bytes: 1_000_000_000,
            usage: None,
            rows,
        };
        let text = list_json(&list);
        assert_eq!(serde_json::from_str::<ListReport>(&text).unwrap(), list);
        list
    }

    #[test]
    fn each_kind_has_its_table() {
        let used = Some("2026-02-26T12:00:00Z".parse().unwrap());
        let modules = listed(Rows::Modules(vec![
            ModuleRow {
                module: "github.com/aws/aws-sdk-go".to_owned(),
                versions: 3,
                bytes: 812_000_000,
                download_bytes: 112_000_000,
                extracted_bytes: 700_000_000,
                last_used: used,
            },
            ModuleRow {
                module: "evil\u{1b}[2J".to_owned(),
                versions: 1,
                bytes: 12,
                download_bytes: 12,
                extracted_bytes: 0,
                last_used: None,
            },
        ]));
        insta::assert_snapshot!(list_text(&modules), @r#"
    MODULE                     VERSIONS    SIZE  SHARE  DOWNLOADS   TREES  LAST USED
    github.com/aws/aws-sdk-go         3  812 MB  81.2%     112 MB  700 MB    3 d ago
    evil\u{1b}[2J                     1    12 B   0.0%       12 B     0 B          ?

    2 of 30 shown, 1.00 GB in all
    "#);
        let versions = listed(Rows::Versions(vec![VersionRow {
            module: "golang.org/x/tools".to_owned(),
            version: "v0.30.0".to_owned(),
            bytes: 12_300_000,
            download_bytes: 3_300_000,
            extracted_bytes: 9_000_000,
            last_used: used,
        }]));
        insta::assert_snapshot!(list_text(&versions), @r#"
    VERSION                        SIZE  SHARE  DOWNLOAD     TREE  LAST USED
    golang.org/x/tools@v0.30.0  12.3 MB   1.2%   3.30 MB  9.00 MB    3 d ago

    1 of 30 shown, 1.00 GB in all
    "#);
        let outputs = listed(Rows::Outputs(vec![OutputRow {
            id: "0a".repeat(32),
            executable: true,
            kind: Some("executable".to_owned()),
            of: Some("hello".to_owned()),
            bytes: 2_900_000,
            actions: Some(1),
            last_used: used,
        }]));
        insta::assert_snapshot!(list_text(&outputs), @r#"
    OUTPUT                                                            KIND        OF        SIZE  SHARE  ACTIONS  LAST USED
    0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a  executable  hello  2.90 MB   0.3%        1    3 d ago

    1 of 30 shown, 1.00 GB in all
    "#);
    }
}
