//! The software bill of materials: what a bundle holds, for others' tools.
//!
//! CycloneDX 1.5 as JSON (<https://cyclonedx.org/docs/1.5/json/>), package URLs
//! as <https://github.com/package-url/purl-spec> has them for `golang`. Without
//! a serial number and a time, which the same input would not give twice.

use super::gather::{Gathered, piece_name};
use super::needs::Needs;
use super::{Shape, gather};
use crate::formats::action::OutputId;
use crate::formats::module::ModuleVersion;
use crate::report::Tool;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// What stays as it is in a package URL.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    tools: Tools,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component<'a>>,
}

#[derive(Serialize)]
struct Tools {
    components: [ToolComponent; 1],
}

#[derive(Serialize)]
struct ToolComponent {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    version: String,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property<'a>>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

/// The file's bytes.
pub(crate) fn sbom(needs: &Needs, gathered: &Gathered, shape: Shape) -> io::Result<Vec<u8>> {
    let zips: HashMap<&str, [u8; 32]> = gathered
        .pieces
        .iter()
        .map(|piece| (piece.listed.path.as_str(), piece.listed.sha256))
        .collect();
    let mut components = Vec::new();
    let mut references: BTreeMap<String, String> = BTreeMap::new();
    for module in &gathered.modules {
        let id = ModuleVersion::new(&*module.path, &*module.version);
        let zip = piece_name(&id, "zip").map(|name| format!("{}{name}", shape.prefix()));
        let sha256 = zip.ok().and_then(|zip| zips.get(zip.as_str()).copied());
        let url = purl(&id);
        references.insert(id.to_string(), url.clone());
        let is_toolchain = gather::is_toolchain(module);
        components.push(Component {
            kind: if is_toolchain {
                "application"
            } else {
                "library"
            },
            reference: url.clone(),
            name: &module.path,
            version: Some(&module.version),
            purl: Some(url),
            hashes: sha256
                .into_iter()
                .map(|hash| Hash {
                    alg: "SHA-256",
                    content: OutputId(hash).to_string(),
                })
                .collect(),
            properties: vec![Property {
                name: "gocachevet:h1",
                value: &module.h1,
            }],
        });
    }
    let mut projects: Vec<Component<'_>> = needs
        .projects
        .iter()
        .map(|path| {
            references.insert(path.clone(), path.clone());
            Component {
                kind: "application",
                reference: path.clone(),
                name: path,
                version: None,
                purl: None,
                hashes: Vec::new(),
                properties: Vec::new(),
            }
        })
        .collect();
    // A bill is of one thing; a workspace's modules are among its parts.
    let component = match projects.len() {
        1 => projects.pop(),
        _ => None,
    };
    projects.append(&mut components);
    let dependencies = references
        .iter()
        .map(|(name, reference)| Dependency {
            reference: reference.clone(),
            depends_on: needs
                .requires
                .get(name)
                .into_iter()
                .flatten()
                .filter_map(|required| references.get(required).cloned())
                .collect(),
        })
        .collect();
    let tool = Tool::this();
    let bom = Bom {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            tools: Tools {
                components: [ToolComponent {
                    kind: "application",
                    name: tool.name,
                    version: tool.version,
                }],
            },
            component,
        },
        components: projects,
        dependencies,
    };
    let mut bytes = serde_json::to_vec_pretty(&bom)?;
    bytes.push(b'\n');
    Ok(bytes)
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
