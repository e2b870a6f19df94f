#![no_main]
use libfuzzer_sys as _;

consultd_fuzz::target!("model_file");
