//! Writes the schema of every message to `daemon/contract/schema/`. Run it after a change of the types:
//! `cargo run -p contract --example schemas`.

use std::{fs, io, path::Path};

#[expect(clippy::disallowed_methods, reason = "files under version control: half a file shows in the diff")]
fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    fs::create_dir_all(&folder)?;
    for (name, schema) in contract::schema::all() {
        fs::write(folder.join(format!("{name}.json")), format!("{schema:#}\n"))?;
    }
    Ok(())
}
