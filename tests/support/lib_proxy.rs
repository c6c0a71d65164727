//! A proxy for a module that differs from test to test.

use std::fs;
use std::path::Path;

/// The module.
pub const LIB: &str = "example.com/lib";

/// Makes a folder that serves as a proxy for v1.0.0 of [`LIB`], with this
/// source, made from this commit.
pub fn lib_proxy(root: &Path, source: &str, commit: Option<&str>) {
    let dir = root.join(LIB).join("@v");
    fs::create_dir_all(&dir).unwrap();
    let go_mod = format!("module {LIB}\n");
    let origin =
        commit.map(|commit| format!(",\"Origin\":{{\"VCS\":\"git\",\"Hash\":\"{commit}\"}}"));
    let info = format!(
        "{{\"Version\":\"v1.0.0\",\"Time\":\"2024-01-01T00:00:00Z\"{}}}",
        origin.unwrap_or_default()
    );
    fs::write(dir.join("list"), "v1.0.0\n").unwrap();
    fs::write(dir.join("v1.0.0.info"), info).unwrap();
    fs::write(dir.join("v1.0.0.mod"), &go_mod).unwrap();
    let files = [("go.mod", go_mod.as_str()), ("lib.go", source)];
    fs::write(
        dir.join("v1.0.0.zip"),
        zip(&format!("{LIB}@v1.0.0"), &files),
    )
    .unwrap();
}

/// The zip of a module, named with its version, without compression (APPNOTE.TXT of PKWARE, 4.3).
pub fn zip(id: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let name = format!("{id}/{name}");
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let (len, at) = (content.len() as u32, out.len() as u32);
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]); // version, flags, method, time, date
        common.extend(crc.sum().to_le_bytes());
        common.extend(len.to_le_bytes());
        common.extend(len.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]); // no extra field
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, (files.len() as u16).to_le_bytes());
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}
