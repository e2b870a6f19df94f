//! Recall and burden of the built-in rules over sets of paraphrases.
//!
//! `cargo run --release -p decide --example recall -- adapters/rules/paraphrases.jsonl adapters/rules/paraphrases-held-out.jsonl`
//! `--misses` shows each miss and each false alarm of an open set; never look at those of a held-out one.

use decide::rules::{
    RuleSet,
    recall::{Paraphrase, Recall, Share, Told},
};
use std::{error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let set = RuleSet::builtin();
    for file in files {
        let lines = fs::read_to_string(&file)?;
        let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Paraphrase>, _>>()?;
        println!("\n{file}");
        for told in [Told::Text, Told::Coded] {
            let recall = Recall::of(&set, &lines, told);
            println!("  told: {told:?}");
            row("own rule fires", recall.total());
            row("any red or yellow", recall.any_alert);
            row("benign, red", recall.benign_red);
            row("benign, yellow", recall.benign_yellow);
            let weakest: Vec<_> =
                recall.weakest().into_iter().filter(|(_, share)| share.hits < share.of).take(10).collect();
            let weakest: Vec<_> = weakest.iter().map(|(rule, s)| format!("{rule} {}/{}", s.hits, s.of)).collect();
            println!("    weakest rules        {}", weakest.join(", "));
        }
        if flags.iter().any(|flag| flag == "--misses") {
            misses(&set, &lines);
        }
    }
    Ok(())
}

fn row(name: &str, share: Share) {
    let (from, to) = share.wilson();
    let percent = |share: f64| share * 100.0;
    println!(
        "    {name:<20} {:>4}/{:<4} {:>5.1} % [{:.1}–{:.1}]",
        share.hits,
        share.of,
        percent(share.share()),
        percent(from),
        percent(to)
    );
}

fn misses(set: &RuleSet, lines: &[Paraphrase]) {
    for line in lines {
        let fired = set.check(&line.case(Told::Text), line.lang);
        let rules: Vec<&str> = fired.red_flags.iter().map(|flag| flag.rule.as_str()).collect();
        match &line.rule {
            Some(rule) if !rules.contains(&rule.as_str()) => println!("MISS {rule} {rules:?} {}", line.text),
            None if !rules.is_empty() => {
                let because: Vec<String> = fired.red_flags[0].because.iter().map(|line| line.to_string()).collect();
                println!("FALSE {:?} {rules:?} {because:?} {}", fired.triage, line.text);
            }
            _ => {}
        }
    }
}
