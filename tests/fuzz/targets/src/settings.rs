//! The settings file, and the adapters' manifests that it leads to (`documents.rs`).

#[allow(dead_code, reason = "the daemon's own file; the daemon uses the rest of it")]
#[path = "../../../../daemon/src/settings.rs"]
mod daemon;

use daemon::EngineSettings;

pub fn holds(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match daemon::parse(text) {
        Ok(settings) => {
            assert!(settings.state_dir.is_absolute() && settings.broker_socket.is_absolute());
            assert!(settings.adapters.iter().all(|folder| folder.is_absolute()));
            assert!((1..=10_000).contains(&settings.queue_max) && (5..=3600).contains(&settings.silence_s_max));
            if let EngineSettings::Llama(llama) = settings.engine {
                assert!(llama.model.is_absolute() && llama.model_sha256.len() == 64);
                assert!((1..=256).contains(&llama.threads) && (1920..=131_072).contains(&llama.context_tokens));
            }
            true
        }
        Err(faults) => {
            assert!(!faults.0.is_empty(), "a refusal says why");
            assert!(faults.to_string().contains(&faults.0[0]));
            false
        }
    }
}
