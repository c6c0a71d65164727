//! `schema/` says what the code says.
#![cfg(feature = "schema")]
#![allow(clippy::unwrap_used)]

use gocachevet::tested::ConfigFile;
use gocachevet::tested::Report;
use std::path::Path;

fn check(name: &str, schema: schemars::Schema) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(name);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("GOCACHEVET_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == text,
        "schema/{name} is out of date; run: GOCACHEVET_BLESS=1 cargo test --features schema --test schema"
    );
}

#[test]
fn the_schema_of_the_report_is_current() {
    // As written: every field is there.
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Report>();
    check("report.json", schema);
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    check("config.json", schemars::schema_for!(ConfigFile));
}
