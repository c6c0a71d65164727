//! The software bill of materials: what a bundle holds, for others' tools.
//!
//! CycloneDX 1.5 as JSON (<https://cyclonedx.org/docs/1.5/json/>), package URLs
//! as <https://github.com/package-url/purl-spec> has them for `golang`. Without
//! a serial number and a time, which the same input would not give twice.

use super::choose::Choice;
use super::gather::GatheredPieces;
use super::manifest::Module;
use super::{Shape, gather};
use crate::formats::action::OutputId;
use crate::formats::module::{ModuleVersion, piece_name};
use crate::report::Tool;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// What stays as it is in a package URL.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The file's bytes.
pub(crate) fn sbom(
    choice: &Choice,
    gathered: &GatheredPieces,
    shape: Shape,
) -> Result<Vec<u8>, serde_json::Error> {
    let hashes: HashMap<&str, [u8; 32]> = gathered
        .pieces
        .iter()
        .map(|piece| (piece.listed.path.as_str(), piece.listed.sha256))
        .collect();
    let mut references: BTreeMap<String, String> = BTreeMap::new();
    let mut projects = Vec::new();
    for path in &choice.projects {
        references.insert(path.clone(), path.clone());
        projects.push(json!({ "type": "application", "bom-ref": path, "name": path }));
    }
    let mut modules = Vec::new();
    for module in &gathered.modules {
        let id = ModuleVersion::new(&*module.path, &*module.version);
        let url = purl(&id);
        references.insert(id.to_string(), url.clone());
        let zip = piece_name(&id, "zip").map(|name| format!("{}{name}", shape.prefix()));
        let sha256 = zip.ok().and_then(|zip| hashes.get(zip.as_str()).copied());
        modules.push(component(module, &url, sha256));
    }
    let mut bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "tools": { "components": [this_tool()] } },
        "dependencies": dependencies(choice, &references),
    });
    // A bill is of one thing; a workspace's modules are among its parts.
    if let (1, Some(project)) = (projects.len(), projects.first_mut()) {
        bill["metadata"]["component"] = project.take();
        projects.clear();
    }
    projects.append(&mut modules);
    bill["components"] = projects.into();
    let mut bytes = serde_json::to_vec_pretty(&bill)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn this_tool() -> Value {
    let tool = Tool::this();
    json!({ "type": "application", "name": tool.name, "version": tool.version })
}

/// A module version, with the hash of its zip where that comes along.
fn component(module: &Module, url: &str, sha256: Option<[u8; 32]>) -> Value {
    let kind = match gather::is_toolchain(module) {
        true => "application",
        false => "library",
    };
    let mut component = json!({
        "type": kind,
        "bom-ref": url,
        "name": module.path,
        "version": module.version,
        "purl": url,
        "properties": [{ "name": "gocachevet:h1", "value": module.h1 }],
    });
    if let Some(sha256) = sha256 {
        let content = OutputId(sha256).to_string();
        component["hashes"] = json!([{ "alg": "SHA-256", "content": content }]);
    }
    component
}

/// What each project and module requires, as far as it is in the bill.
fn dependencies(choice: &Choice, references: &BTreeMap<String, String>) -> Vec<Value> {
    let each = references.iter().map(|(name, reference)| {
        let required = choice.requires.get(name).into_iter().flatten();
        let known: Vec<&String> = required.filter_map(|name| references.get(name)).collect();
        json!({ "ref": reference, "dependsOn": known })
    });
    each.collect()
}

fn purl(id: &ModuleVersion) -> String {
    let encoded = |text| utf8_percent_encode(text, KEPT).to_string();
    format!("pkg:golang/{}@{}", encoded(&id.path), encoded(&id.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_escape_what_would_end_a_part() {
        let id = ModuleVersion::new("github.com/A/b", "v4.4.0+incompatible");
        assert_eq!(purl(&id), "pkg:golang/github.com/A/b@v4.4.0%2Bincompatible");
    }
}
