//! Writes the schema of every message to `daemon/contract/schema/`, and the AsyncAPI document beside them. Run it after a
//! change of the types, or with a new golden file: `cargo run -p contract --example schemas`.

use std::{collections::BTreeSet, fs, io, path::Path};

#[expect(clippy::disallowed_methods, reason = "files under version control: half a file shows in the diff")]
fn main() -> io::Result<()> {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = contract.join("schema");
    fs::create_dir_all(&folder)?;
    for (name, schema) in contract::schema::all() {
        fs::write(folder.join(format!("{name}.json")), format!("{schema:#}\n"))?;
    }
    let goldens = goldens(&contract.join("golden"))?;
    let document = contract::asyncapi::document(goldens.iter().map(String::as_str));
    fs::write(contract.join("asyncapi.json"), format!("{document:#}\n"))
}

/// The names of the golden files, sorted, without their ending.
fn goldens(folder: &Path) -> io::Result<BTreeSet<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect::<io::Result<_>>()?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect())
}
