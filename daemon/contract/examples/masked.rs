//! Masks each line of standard input as the box does, and says how many lines it changed.
//!
//! ```text
//! cargo run -q -p contract --example masked <complaints.txt        changed lines only, then "3 of 418 lines"
//! ```

use std::io::{Read, Result};

fn main() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let masked = text.lines().map(|line| (line, contract::mask::text(line)));
    let changed = masked.filter(|(line, masked)| line != masked).inspect(|(_, masked)| println!("{masked}")).count();
    println!("{changed} of {} lines", text.lines().count());
    Ok(())
}
