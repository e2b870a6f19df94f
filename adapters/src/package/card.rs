//! The model card: what a person should know before they give an adapter to a box, written from the manifest.

use crate::gate::table::{change, figure, goal, name};
use contract::{
    answer::ReviewState,
    ids::department_name_zh,
    manifest::{AdapterManifest, Made},
};
use std::fmt::Write;

pub fn card(manifest: &AdapterManifest, made: &Made) -> String {
    let mut out = String::new();
    let samples: u32 = manifest.trained_on.values().sum();
    let reviewed = match manifest.review {
        ReviewState::PhysicianReviewed => "Each training sample was reviewed by a physician.",
        ReviewState::NotPhysicianReviewed => "**No physician has reviewed the training samples. Not for patients.**",
    };
    let verdict = match (made.evaluation.passed, made.approvals.first()) {
        (true, _) => "The examination was passed.".to_owned(),
        (false, Some(approval)) => {
            format!("**The examination was not passed.** {} let it pass: {}", approval.by, approval.reason)
        }
        (false, None) => "**The examination was not passed.**".to_owned(),
    };
    let _ = write!(
        out,
        "---\nlibrary_name: peft\nbase_model_sha256: {}\nlicense: other\n---\n# {} {}\n\n\
         A LoRA adapter for consultd boxes: {}. {}\n\n{reviewed} {verdict}\n\n",
        manifest.base_sha256, manifest.id, manifest.version, manifest.department, manifest.note
    );
    // A task of its own has no department's name.
    out.push_str(if department_name_zh(&manifest.department).is_none() {
        "For the task that its form describes, to be checked by a physician. Boxes do not serve such tasks yet.\n\n"
    } else {
        "For a second opinion to a licensed physician, who decides. It names possible causes, what cannot be excluded, checks, \
         cautions and what is still to ask; it gives no doses and no prescriptions, and the box's rules speak whatever it says. \
         Not for patients without a physician, not for other departments, not on another base model.\n\n"
    });
    let _ = writeln!(out, "| | |\n|---|---|");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "| {name} | {value} |");
    };
    row("base model", format!("{}, SHA-256 `{}`", made.architecture, manifest.base_sha256));
    row(
        "adapter",
        format!("rank {}, alpha {}, on {}", manifest.rank, manifest.alpha, manifest.target_modules.join(", ")),
    );
    row(
        "trained on",
        match &made.trained_root {
            Some(root) => format!("{samples} samples of {} (Merkle root `{root}`)", made.dataset),
            None => format!("{samples} samples of several regions, which stayed there"),
        },
    );
    if let Some(covers) = &manifest.covers {
        let (lang, age) = (covers.lang, covers.age);
        row(
            "of them",
            format!(
                "zh {}, en {}; infants {}, children {}, adults {}, elderly {}; pregnant {}",
                lang.zh, lang.en, age.infants, age.children, age.adults, age.elderly, covers.pregnant
            ),
        );
    }
    row("held out", format!("Merkle root `{}`", made.held_out_root));
    row(
        "license",
        format!("adapter: {}; base: {}; data: {}", manifest.license, made.base_license, made.data_licenses.join(", ")),
    );
    row("sequence", format!("{}; needs consultd {} or newer", made.sequence, made.daemon_min));
    out.push_str(
        "\n## Examination\nBase against adapter on held-out samples, by the box's own engine (llama.cpp).\n\n",
    );
    out.push_str("| | of | n | base | adapter | change | goal | |\n|---|---|---|---|---|---|---|---|\n");
    for it in &made.evaluation.measures {
        let base = it.base.map_or(String::new(), |base| figure(it.measure, base));
        let mark = match it.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {base} | {} | {} | {} | {mark} |",
            name(it.measure).1,
            it.of,
            it.n,
            figure(it.measure, it.adapter),
            change(it),
            goal(it, it.of == *manifest.department),
        );
    }
    out.push_str(
        "\n## Files\n`adapter.gguf` for llama.cpp, `peft/` the same weights for PEFT, vLLM and Text Generation Inference, `manifest.json` \
         and its minisign signature for the box, `gate.html` the examination with pictures. `adapterctl verify` checks all of it.\n",
    );
    out
}
