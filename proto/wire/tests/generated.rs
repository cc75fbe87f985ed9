//! The generated code in `src/generated` equals what the `.proto` files compile to.
//! `ANNALS_REGENERATE=1 cargo test -p annals-wire --test generated` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

const CODE: &str = "annals.v1.rs";
const DESCRIPTORS: &str = "annals.v1.bin";

fn proto_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("wire lies in proto").to_path_buf()
}

fn proto_files(root: &Path) -> Vec<PathBuf> {
    let folder = root.join("annals/v1");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the .proto files are readable")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    files.sort();
    files
}

/// Code and descriptors as they should be.
fn generate() -> (String, Vec<u8>) {
    let root = proto_root();
    let mut descriptors = protox::compile(proto_files(&root), [&root]).expect("the .proto files compile");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tonic_prost_build::configure()
        .out_dir(&out)
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors.clone())
        .expect("code generation succeeds");
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let code = fs::read_to_string(out.join(CODE)).expect("code was generated");
    (code, descriptors.encode_to_vec())
}

#[test]
fn generated_code_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let (code, descriptors) = generate();
    if std::env::var_os("ANNALS_REGENERATE").is_some() {
        fs::write(folder.join(CODE), &code).expect("the tree is writable");
        fs::write(folder.join(DESCRIPTORS), &descriptors).expect("the tree is writable");
    }
    let stale = "run ANNALS_REGENERATE=1 cargo test -p annals-wire --test generated";
    assert!(fs::read_to_string(folder.join(CODE)).expect("readable") == code, "{CODE} is stale: {stale}");
    assert!(
        fs::read(folder.join(DESCRIPTORS)).expect("readable") == descriptors,
        "{DESCRIPTORS} is stale: {stale}"
    );
}
