//! Finds the WASI module that the `sandbox` feature embeds.

#![allow(clippy::print_stdout)] // how a build script speaks

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=GOCACHEVET_WASM");
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let for_wasm = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm");
    if !is_set("CARGO_FEATURE_SANDBOX") || for_wasm {
        println!("cargo::rerun-if-changed=build.rs");
        return;
    }
    let named = std::env::var_os("GOCACHEVET_WASM").map(PathBuf::from);
    let module = named.unwrap_or_else(|| "wasm/gocachevet.wasm".into());
    println!("cargo::rerun-if-changed={}", module.display());
    match std::path::absolute(&module) {
        Ok(path) if path.is_file() => {
            println!("cargo::rustc-env=GOCACHEVET_WASM_FILE={}", path.display());
        }
        _ => println!(
            "cargo::error=the feature `sandbox` embeds {}, which is not there: run wasm/build first, or name a module in GOCACHEVET_WASM",
            module.display()
        ),
    }
}
