//! The box's key: 32 secret bytes, made at the first start. Whoever has it can sign in the box's name.
//!
//! ```text
//! $CREDENTIALS_DIRECTORY/consultd-key     where systemd unseals it (LoadCredentialEncrypted)
//! state_dir/box.key                       elsewhere: 64 hexadecimal digits, readable by the daemon alone
//! ```

use crate::replace::replace;
use contract::bounded::Hex;
use decide::seal::Seal;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

const CREDENTIAL: &str = "consultd-key";

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the box's key {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no key of a box: {fault}; with another key the box would sign as somebody else")]
    Damaged { path: PathBuf, fault: contract::bounded::NotHex },
    #[error("cannot write the box's key {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("this machine gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The key of this box; made, where there is none yet. A damaged one is put aside and kept: tablets will not know the box
/// by its new key, but a doctor is answered.
pub fn seal(state_dir: &Path) -> Result<Seal, KeyError> {
    match read(state_dir) {
        Ok(Some(seal)) => Ok(seal),
        Ok(None) => make(&state_dir.join("box.key")),
        Err(KeyError::Damaged { path, fault }) if path == state_dir.join("box.key") => {
            let aside = path.with_extension(format!("key.damaged-{}", uuid::Uuid::new_v4()));
            tracing::error!(path = %path.display(), aside = %aside.display(), %fault, "the box's key is damaged; a new one is made");
            put_aside(&path, &aside).map_err(|source| KeyError::Write { path: aside, source })?;
            make(&path)
        }
        Err(fault) => Err(fault),
    }
}

#[allow(clippy::disallowed_methods)] // what is renamed has been on the disk for long
fn put_aside(path: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(path, aside)
}

pub fn read(state_dir: &Path) -> Result<Option<Seal>, KeyError> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(CREDENTIAL));
    for path in credential.into_iter().chain([state_dir.join("box.key")]) {
        match fs::read_to_string(&path) {
            Ok(text) => {
                let secret: Hex<32> = text.trim().parse().map_err(|fault| KeyError::Damaged { path, fault })?;
                return Ok(Some(Seal::new(&secret.0)));
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(KeyError::Read { path, source }),
        }
    }
    Ok(None)
}

fn make(path: &Path) -> Result<Seal, KeyError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(KeyError::Random)?;
    replace(path, |file| file.write_all(Hex(secret).to_string().as_bytes()))
        .map_err(|source| KeyError::Write { path: path.to_owned(), source })?;
    tracing::info!(path = %path.display(), "made the box's key");
    Ok(Seal::new(&secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    #[allow(clippy::disallowed_methods)] // a test's own file needs no sync
    fn a_box_keeps_its_key_and_puts_a_damaged_one_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = seal(folder.path()).expect("made").public();
        assert_eq!(seal(folder.path()).expect("read").public(), first);
        let path = folder.path().join("box.key");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(&path, "not a key").expect("writes");
        assert_ne!(seal(folder.path()).expect("made anew").public(), first);
        let kept = fs::read_dir(folder.path()).expect("a folder").flatten();
        let kept: Vec<_> = kept.map(|entry| entry.path()).filter(|it| *it != path).collect();
        assert_eq!(kept.iter().map(|it| fs::read_to_string(it).expect("text")).collect::<Vec<_>>(), ["not a key"]);
        let another = tempfile::tempdir().expect("a folder");
        assert_ne!(seal(another.path()).expect("made").public(), first);
    }
}
