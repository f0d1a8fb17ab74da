//! Lets the program start without `LD_LIBRARY_PATH`: link arguments do not cross packages, so the folder of
//! DuckDB's library, which `proofmark-lab` found, is named here again.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(folder) = std::env::var("DEP_PROOFMARK_DUCKDB_LIB_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
