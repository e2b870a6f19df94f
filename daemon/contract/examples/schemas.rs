//! Writes the schema of every message to `daemon/contract/schema/`, the AsyncAPI document beside them, and to
//! `daemon/contract/emr/` what other systems get of the golden answers. Run it after a change of the types or of the
//! mapper, or with a new golden file: `cargo run -p contract --example schemas`.

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
    fs::write(contract.join("asyncapi.json"), format!("{document:#}\n"))?;
    for name in ["answer", "answer.rules-only", "answer.sealed"] {
        let answer = contract::emr::read(&fs::read(contract.join(format!("golden/{name}.json")))?)
            .map_err(|refusal| io::Error::other(format!("{name}: {}", refusal.detail)))?;
        let mapped = [("fhir", contract::emr::fhir::bundle(&answer)), ("cds", contract::emr::cds::cards(&answer))];
        for (to, mapped) in mapped {
            fs::write(contract.join("emr").join(format!("{name}.{to}.json")), format!("{mapped:#}\n"))?;
        }
    }
    Ok(())
}

/// The names of the golden files, sorted, without their ending.
fn goldens(folder: &Path) -> io::Result<BTreeSet<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect::<io::Result<_>>()?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect())
}
