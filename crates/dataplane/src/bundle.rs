//! Opens a bundle: every file is read once, hashed, and compared with the manifest before anything is believed.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::wire::bundle::{Engine, Manifest, Signature};
use crate::wire::check;

/// A verified bundle.
#[derive(Debug)]
pub struct Bundle {
    pub directory: PathBuf,
    /// Hex digest of `manifest.json`; the bundle's identity.
    pub sha256: String,
    pub manifest: Manifest,
    pub signature: Signature,
    /// Content of the engine's model file where the data plane runs it itself.
    pub model: Option<Vec<u8>>,
}

/// Lower-case hex of the sha256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads and verifies the bundle at `directory`; `expected` is the sha256 that the snapshot asks for.
///
/// Errors: `bundle_missing` when the folder or its manifest is not there, `bundle_corrupt` naming the file that is
/// not what the manifest says.
pub fn open(directory: &Path, expected: Option<&str>) -> Result<Bundle> {
    let manifest_bytes = read(directory, "manifest.json", Code::BundleMissing)?;
    let sha256 = sha256_hex(&manifest_bytes);
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        let message = format!("bundle {}: sha256 is {sha256}, the snapshot asks for {expected}", directory.display());
        return Err(Error::new(Code::BundleCorrupt, message));
    }
    check_digest_file(directory, &sha256)?;
    let manifest: Manifest = parse(directory, "manifest.json", &manifest_bytes)?;
    check::manifest(&manifest).map_err(|what| corrupt(directory, "manifest.json", &what))?;
    let wanted = match &manifest.engine {
        Engine::Onnx(engine) => Some(engine.file.clone()),
        Engine::Python(_) => None,
    };
    let mut signature = None;
    let mut model = None;
    for entry in &manifest.files {
        if entry.path.starts_with('/') || entry.path.split('/').any(|part| part == "..") {
            return Err(corrupt(directory, &entry.path, "the path leaves the bundle"));
        }
        let bytes = read(directory, &entry.path, Code::BundleCorrupt)?;
        if bytes.len() as u64 != entry.size || sha256_hex(&bytes) != entry.sha256 {
            return Err(corrupt(directory, &entry.path, "the content is not what the manifest says"));
        }
        if entry.path == "signature.json" {
            signature = Some(parse(directory, &entry.path, &bytes)?);
        } else if Some(&entry.path) == wanted.as_ref() {
            model = Some(bytes);
        }
    }
    let signature = signature.ok_or_else(|| corrupt(directory, "signature.json", "the manifest does not list it"))?;
    check::signature(&signature).map_err(|what| corrupt(directory, "signature.json", &what))?;
    if let Some(file) = wanted.filter(|_| model.is_none()) {
        return Err(corrupt(directory, &file, "the manifest does not list the engine's file"));
    }
    Ok(Bundle { directory: directory.to_owned(), sha256, manifest, signature, model })
}

fn check_digest_file(directory: &Path, sha256: &str) -> Result<()> {
    let digest = read(directory, "DIGEST", Code::BundleCorrupt)?;
    if digest.trim_ascii() == sha256.as_bytes() {
        return Ok(());
    }
    Err(corrupt(directory, "manifest.json", "its sha256 is not the one in DIGEST"))
}

fn corrupt(directory: &Path, file: &str, what: &str) -> Error {
    Error::new(Code::BundleCorrupt, format!("bundle {}: {file}: {what}", directory.display()))
}

fn read(directory: &Path, file: &str, missing: Code) -> Result<Vec<u8>> {
    fs::read(directory.join(file))
        .map_err(|error| Error::new(missing, format!("bundle {}: {file}: {error}", directory.display())))
}

fn parse<T: serde::de::DeserializeOwned>(directory: &Path, file: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| corrupt(directory, file, &error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SIGNATURE: &str = r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[-1,2]}],
        "features":[],"outputs":[{"name":"prediction","datatype":"FP32","shape":[-1,1]}],"decision":null}"#;

    /// Writes a bundle whose "model" is `model`; returns its sha256.
    pub(crate) fn write(directory: &Path, model: &[u8]) -> String {
        fs::create_dir_all(directory).expect("folder");
        let files = [("signature.json", SIGNATURE.as_bytes()), ("model.onnx", model)];
        let entries: Vec<_> = files
            .iter()
            .map(|(path, bytes)| serde_json::json!({"path": path, "size": bytes.len(), "sha256": sha256_hex(bytes)}))
            .collect();
        let manifest = serde_json::json!({"schema_version": 1, "name": "t", "requires_trust": false, "files": entries,
            "engine": {"kind": "onnx", "file": "model.onnx", "intra_op_threads": 1, "arena": true, "graph_optimization": "all"}});
        let manifest = serde_json::to_vec(&manifest).expect("json");
        for (path, bytes) in files {
            fs::write(directory.join(path), bytes).expect("write");
        }
        fs::write(directory.join("manifest.json"), &manifest).expect("write");
        let digest = sha256_hex(&manifest);
        fs::write(directory.join("DIGEST"), format!("{digest}\n")).expect("write");
        digest
    }

    #[test]
    fn a_good_bundle_opens_and_a_flipped_byte_is_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let digest = write(folder.path(), b"model bytes");
        let bundle = open(folder.path(), Some(&digest)).expect("opens");
        assert_eq!(bundle.model.as_deref(), Some(&b"model bytes"[..]));
        for file in ["signature.json", "model.onnx", "manifest.json"] {
            let path = folder.path().join(file);
            let good = fs::read(&path).expect("read");
            let mut bad = good.clone();
            bad[3] ^= 1;
            fs::write(&path, &bad).expect("write");
            let error = open(folder.path(), None).expect_err("corrupt");
            assert_eq!(error.code, Code::BundleCorrupt);
            assert!(error.message.contains(file), "{}", error.message);
            fs::write(&path, &good).expect("write");
        }
        assert_eq!(open(folder.path(), Some(&"0".repeat(64))).expect_err("other digest").code, Code::BundleCorrupt);
        assert_eq!(open(&folder.path().join("no"), None).expect_err("missing").code, Code::BundleMissing);
    }
}
