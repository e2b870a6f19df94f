//! What all fuzz targets share: the body by its name, and a mutator that knows JSON beside libFuzzer's own.

pub use fuzz_targets;
pub use libfuzzer_sys;

/// libFuzzer's changes and ours in turns, by the seed that libFuzzer gives. Returns the new size.
pub fn change(data: &mut [u8], size: usize, size_max: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, size_max);
    }
    let mut dice = fuzz_targets::Dice::new(seed.into());
    let mut new = fuzz_targets::mutate(&data[..size], &[], &mut dice);
    new.truncate(size_max);
    data[..new.len()].copy_from_slice(&new);
    new.len()
}

#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            // Looked up each time: nine names.
            ($crate::fuzz_targets::target($name).holds)(bytes);
        });
        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, size_max: usize, seed: u32| {
            $crate::change(data, size, size_max, seed)
        });
    };
}
