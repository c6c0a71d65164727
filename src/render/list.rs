//! The list of what takes the space.

use super::document::usage;
use super::section::{Document, Section, Table, Text, name};
use super::terminal::terminal;
use crate::report::list::{ListReport, Rows};
use crate::text::human;
use chrono::{DateTime, Utc};

/// A list as a table: name, size, its parts, share, last use.
pub fn list_text(list: &ListReport) -> String {
    let table = table(list);
    let shown = format!(
        "{} of {} shown, {} in all",
        human::count(table.rows.len() as u64),
        human::count(list.number),
        human::size(list.bytes)
    );
    let mut sections = vec![
        Section::default().table(table),
        Section::default().paragraph(shown),
    ];
    sections.extend(list.usage.as_ref().map(|it| usage(it, list.generated_at)));
    let document = Document {
        sections,
        ..Document::default()
    };
    terminal(&document, false)
}

fn table(list: &ListReport) -> Table {
    let age = |time: Option<DateTime<Utc>>| {
        let ago = time.map(|time| format!("{} ago", human::age(list.generated_at - time)));
        Text::from(ago.unwrap_or("?".to_owned()))
    };
    let size = |bytes| Text::from(human::size(bytes));
    let share = |bytes| Text::from(human::percent(human::share(bytes, list.bytes)));
    let count = |number| Text::from(human::count(number));
    match &list.rows {
        Rows::Modules(rows) => {
            let head = [
                "MODULE",
                "VERSIONS",
                "SIZE",
                "SHARE",
                "DOWNLOADS",
                "TREES",
                "LAST USED",
            ];
            Table::of(head, "lrrrrrr", rows, |row| {
                [
                    name(&row.module),
                    count(row.versions),
                    size(row.bytes),
                    share(row.bytes),
                    size(row.download_bytes),
                    size(row.extracted_bytes),
                    age(row.last_used),
                ]
            })
        }
        Rows::Versions(rows) => {
            let head = ["VERSION", "SIZE", "SHARE", "DOWNLOAD", "TREE", "LAST USED"];
            Table::of(head, "lrrrrr", rows, |row| {
                [
                    name(format!("{}@{}", row.module, row.version)),
                    size(row.bytes),
                    share(row.bytes),
                    size(row.download_bytes),
                    size(row.extracted_bytes),
                    age(row.last_used),
                ]
            })
        }
        Rows::Outputs(rows) => {
            let head = [
                "OUTPUT",
                "KIND",
                "OF",
                "SIZE",
                "SHARE",
                "ACTIONS",
                "LAST USED",
            ];
            Table::of(head, "lllrrrr", rows, |row| {
                // Without what stands in brackets.
                let kind = row.kind.as_deref().and_then(|kind| kind.split(" (").next());
                [
                    name(&row.id),
                    kind.unwrap_or("output").into(),
                    row.of.as_ref().map_or("?".into(), name),
                    size(row.bytes),
                    share(row.bytes),
                    row.actions.map_or("?".into(), count),
                    age(row.last_used),
                ]
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::json;
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
        let text = json(&list);
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
