//! Signatures of packages, in minisign's form: `minisign -Vm manifest.json -p key.pub` verifies them as well.

use crate::{file, gate::sha256};
use adapterctl::convert;
use clap::Args;
use contract::{
    manifest::AdapterManifest,
    signed::{self, SIGNATURE, Trusted},
};
use engine::gguf::Header;
use minisign::{KeyPair, SecretKeyBox};
use std::{
    fs,
    io::{Cursor, IsTerminal},
    path::{Path, PathBuf},
};

/// Makes a key pair for signing packages: NAME.key, which must stay secret, and NAME.pub for the boxes' settings.
#[derive(Args)]
pub struct Keygen {
    /// Path without an ending.
    name: PathBuf,
    /// Without a password: for keys that lie on an encrypted medium, or that need no secret.
    #[arg(long)]
    unencrypted: bool,
}

/// Signs a package's manifest, and so all of its files.
#[derive(Args)]
pub struct Sign {
    /// The package's folder.
    package: PathBuf,
    /// Secret key, made by `adapterctl keygen` or `minisign -G`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Checks a package as a box would: signature, hashes, structure.
#[derive(Args)]
pub struct Verify {
    /// The package's folder.
    package: PathBuf,
    /// Public key that is trusted (RW…), or its file; may be given several times.
    #[arg(long = "key", value_name = "KEY", required_unless_present = "demo")]
    keys: Vec<String>,
    /// Trusts the demonstration's key, which anybody has.
    #[arg(long)]
    demo: bool,
}

const MANIFEST: &str = "manifest.json";

impl Keygen {
    pub fn run(&self) -> Result<(), String> {
        let (secret, public) = (self.name.with_extension("key"), self.name.with_extension("pub"));
        for path in [&secret, &public] {
            if path.exists() {
                return Err(format!("{} is there already, and a key is not overwritten", path.display()));
            }
        }
        let pair = match self.unencrypted {
            true => KeyPair::generate_unencrypted_keypair(),
            false if std::io::stdin().is_terminal() => KeyPair::generate_encrypted_keypair(None),
            false => return Err("nobody is here to type a password: --unencrypted makes a key without one".to_owned()),
        };
        let pair = pair.map_err(|e| e.to_string())?;
        let text = pair.sk.to_box(Some("consultd adapter signing key: keep it secret")).map_err(|e| e.to_string())?;
        keep_secret(&secret, &text.into_string())?;
        let text = pair.pk.to_box().map_err(|e| e.to_string())?;
        file::replace(&public, text.into_string().as_bytes())?;
        println!("{}\n{}\n{}", secret.display(), public.display(), pair.pk.to_base64());
        Ok(())
    }
}

/// For its owner's eyes from its first byte on.
fn keep_secret(path: &Path, text: &str) -> Result<(), String> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let fault = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)
}

impl Sign {
    pub fn run(&self) -> Result<(), String> {
        let path = self.package.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let manifest = whole(&self.package, &bytes)?;
        let text = fs::read_to_string(&self.key).map_err(|e| format!("{}: {e}", self.key.display()))?;
        let fault = |e: minisign::PError| format!("{}: {e}", self.key.display());
        let secret = SecretKeyBox::from_string(&text).map_err(fault)?;
        // With a password the library asks for it on the terminal.
        let secret = match secret.clone().into_unencrypted_secret_key() {
            Ok(secret) => secret,
            Err(_) => secret.into_secret_key(None).map_err(fault)?,
        };
        let sequence = manifest.made.as_ref().map_or(0, |made| made.sequence);
        let comment = format!("{} {} of {}, sequence {sequence}", manifest.id, manifest.version, manifest.department);
        let signature = minisign::sign(None, &secret, Cursor::new(&bytes), Some(&comment), Some("consultd adapter"));
        let signature = signature.map_err(fault)?.into_string();
        let signed = self.package.join(format!("{MANIFEST}{SIGNATURE}"));
        file::replace(&signed, signature.as_bytes())?;
        println!("{}: {comment}", signed.display());
        Ok(())
    }
}

impl Verify {
    pub fn run(&self) -> Result<(), String> {
        let keys = self.keys.iter().map(|key| public(key)).collect::<Result<Vec<_>, String>>()?;
        let path = self.package.join(MANIFEST);
        let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        let bytes = read(&path)?;
        let signature = read(&self.package.join(format!("{MANIFEST}{SIGNATURE}")))?;
        let checked = Trusted::new(keys, self.demo).check(&bytes, &String::from_utf8_lossy(&signature));
        checked.map_err(|e| format!("{}: {e}", path.display()))?;
        let manifest = whole(&self.package, &bytes)?;
        println!(
            "{}: signed and whole, {} {} of {}",
            self.package.display(),
            manifest.id,
            manifest.version,
            manifest.department
        );
        Ok(())
    }
}

/// A key itself, or the file that holds it under a comment.
fn public(key: &str) -> Result<minisign_verify::PublicKey, String> {
    let text = match fs::read_to_string(key) {
        Ok(text) => text.lines().find(|line| line.starts_with("RW")).unwrap_or_default().to_owned(),
        Err(_) => key.to_owned(),
    };
    signed::key(&text).map_err(|e| format!("{key}: {e}"))
}

/// A manifest whose files are those that it names, and are what it says.
fn whole(package: &Path, manifest: &[u8]) -> Result<AdapterManifest, String> {
    let fault = |what: String| format!("{}: {what}", package.display());
    let manifest: AdapterManifest = serde_json::from_slice(manifest).map_err(|e| fault(format!("{MANIFEST}: {e}")))?;
    let path = package.join(manifest.file_name().map_err(|what| fault(format!("{MANIFEST}: {what}")))?);
    let mut files = vec![(path.clone(), &manifest.sha256)];
    if let Some(made) = &manifest.made {
        files.push((package.join("peft").join(convert::WEIGHTS), &made.peft_sha256));
    }
    for (path, said) in files {
        let found = sha256(&path)?;
        if found != *said {
            return Err(fault(format!("{} has SHA-256 {found}, the manifest says {said}", path.display())));
        }
    }
    let header = Header::read(&path).map_err(|e| format!("{}: {}", path.display(), engine::chain(&e)))?;
    let architecture = manifest.made.as_ref().map(|made| made.architecture.as_str());
    let is_adapter = header.text("general.type") == Some("adapter") && header.text("adapter.type") == Some("lora");
    let fits = architecture.is_none_or(|word| header.text("general.architecture") == Some(word));
    match is_adapter && fits {
        true => Ok(manifest),
        false => Err(format!("{}: not a LoRA adapter of the manifest's architecture", path.display())),
    }
}
