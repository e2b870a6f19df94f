//! From settings to a running loop: what is read, what is opened, which tasks are started.

use crate::{
    Exit, broker, key,
    reserve::Reserve,
    rules::{self, Seen},
    run::{Disk, Input, Loop, Troubles},
    settings::{self, EngineSettings, Settings},
    shelf::{self, Shelf},
    store::{self, Store},
    trace, vital, worker,
};
use decide::{Config, rules::RuleSet, seal::Seal};
use engine::protocol::{LlamaOrder, OpenOrder};
use rustix::fs::Mode;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{Sender, channel},
};

/// Inbox: a broker's worth of unacknowledged requests, a worker's reports, ticks.
pub const INBOX_MAX: usize = 256;
/// Orders to the worker: a form and a cancellation for every place, several times over.
pub const ORDERS_MAX: usize = 256;
/// How often the loop looks at the clock when nothing else happens.
const TICK: Duration = Duration::from_millis(250);
/// How often somebody looks whether the disk's reserve is there. While it is not, patients are refused for it.
const LOOK: Duration = Duration::from_secs(2);
/// And at the machine's heat with every so many looks, which is every 30 s: it rises for minutes before it matters.
const LOOKS_A_MACHINE: u64 = 15;
const COPY: Duration = Duration::from_secs(3600);

pub fn main(config: &Path, devices: Vec<String>) -> Exit {
    // Cases lie in what is made from here on; systemd says the same, and not everybody starts by systemd.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let _trace = trace::start();
    let mut settings = match settings::load(config) {
        Ok(settings) => settings,
        Err(faults) => {
            tracing::error!(config = %config.display(), "{faults}");
            return Exit::Settings;
        }
    };
    if let EngineSettings::Llama(llama) = &mut settings.engine
        && !devices.is_empty()
    {
        llama.devices = devices;
    }
    // A bad adapter takes its department away and nothing else: no answer is worse than the rules'.
    let shelf = shelf::read(&settings);
    shelf.faults.iter().for_each(|fault| tracing::error!(fault, "an adapter is left out"));
    match serve(settings, shelf) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            tracing::error!(fault = %engine::chain(&*fault), "stopping: without its store the box can promise nothing");
            Exit::Store
        }
    }
}

pub fn check(config: &Path) -> Exit {
    let faults = match settings::load(config) {
        Ok(settings) => {
            let shelf = shelf::read(&settings);
            let rules =
                settings.rules.as_deref().map_or_else(|| Ok(RuleSet::builtin()), |at| rules::read(at).map(Arc::new));
            match (shelf.faults.is_empty(), rules) {
                (true, Ok(rules)) => {
                    let departments: Vec<&str> = shelf.departments.keys().map(|d| &**d).collect();
                    println!("{}: good; departments: {}; {rules:?}", config.display(), departments.join(", "));
                    return Exit::Done;
                }
                (_, rules) => {
                    let of_the_rules = rules.err().map(|fault| engine::chain(&fault).to_string());
                    settings::Faults(shelf.faults.into_iter().chain(of_the_rules).collect())
                }
            }
        }
        Err(faults) => faults,
    };
    eprintln!("{}: {faults}", config.display());
    Exit::Settings
}

fn serve(settings: Settings, shelf: Shelf) -> Result<(), Box<dyn std::error::Error>> {
    let reserve = Reserve::beside(&settings.state_dir);
    let store = Store::open_with(&reserve, &settings.state_dir)?;
    let seal = key::seal(&settings.state_dir)?;
    reserve.restock(); // before the first case, and again whenever there is room
    let rules = Rules::at_start(&settings); // compiled now, not while the first patient waits
    contract::mask::ready(); // these too

    let runtime = runtime();
    let boot = uuid::Uuid::new_v4().to_string();
    let (inbox_tx, inbox) = channel(INBOX_MAX);
    let (orders, orders_rx) = channel(ORDERS_MAX);
    let (link, kept) = {
        let _inside = runtime.enter();
        broker::connect(&settings.broker_socket, &settings.name, boot.clone(), inbox_tx.clone())
    };
    let troubles = Troubles {
        adapter_refused: !shelf.faults.is_empty(),
        store_replaced: store::is_replaced(&settings.state_dir),
        rules_refused: rules.refused,
    };
    let disk = Disk { store, reserve: reserve.clone(), retention: settings.retention };
    let mut service = Loop::begin(config(&settings, &shelf, seal), rules.active, disk, link, orders, boot, troubles)?;

    runtime.spawn(kept);
    let silence = Duration::from_secs(settings.silence_s_max);
    runtime.spawn(worker::supervise(open_order(&settings, shelf), orders_rx, inbox_tx.clone(), silence));
    runtime.spawn(tick(inbox_tx.clone()));
    runtime.spawn(look(inbox_tx.clone(), reserve));
    if let Some(folder) = settings.rules.clone() {
        runtime.spawn(rules::watch(folder, rules.seen, inbox_tx.clone()));
    }
    runtime.spawn(copy(settings.state_dir.clone()));
    runtime.spawn(wait_for_stop(inbox_tx));
    let end = service.run(inbox);
    service.stop(&runtime);
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(end?)
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime needs a thread and an epoll, and a machine without these runs nothing")
}

/// Those that judge when the box starts, compiled before the first patient waits.
pub struct Rules {
    pub active: Arc<RuleSet>,
    /// The folder's manifest, as it was when it was read.
    seen: Option<Seen>,
    refused: bool,
}

impl Rules {
    pub fn at_start(settings: &Settings) -> Self {
        let Some(folder) = &settings.rules else {
            return Self { active: RuleSet::builtin(), seen: None, refused: false };
        };
        let seen = rules::seen(folder);
        let read = rules::read(folder).inspect_err(|fault| rules::refused(folder, fault));
        let refused = read.is_err();
        Self { active: read.map_or_else(|_| RuleSet::builtin(), Arc::new), seen, refused }
    }
}

pub fn config(settings: &Settings, shelf: &Shelf, seal: Seal) -> Config {
    let (base_sha256, jobs_max, scripted) = match &settings.engine {
        EngineSettings::Llama(llama) => (Some(llama.model_sha256.clone()), llama.jobs_max, false),
        EngineSettings::Scripted(scripted) => (None, scripted.jobs_max, true),
    };
    Config {
        box_name: settings.name.clone(),
        daemon: env!("CARGO_PKG_VERSION").to_owned(),
        base_sha256,
        departments: shelf.departments.clone(),
        scripted,
        queue_max: settings.queue_max,
        jobs_max,
        deaths_max: settings.deaths_max,
        attempts_max: settings.attempts_max,
        tablet_max: settings.tablet_max,
        per_minute_max: settings.per_minute_max,
        admins: settings.admins.iter().cloned().collect(),
        seal,
    }
}

pub fn open_order(settings: &Settings, shelf: Shelf) -> OpenOrder {
    match settings.engine.clone() {
        EngineSettings::Scripted(scripted) => OpenOrder::Scripted(scripted.script),
        EngineSettings::Llama(llama) => OpenOrder::Llama(LlamaOrder {
            model: llama.model,
            model_sha256: llama.model_sha256,
            prompt_format: llama.prompt_format,
            adapters: shelf.files,
            bare: Vec::new(),
            context_tokens: llama.context_tokens,
            contexts_max: llama.contexts_max,
            jobs_max: llama.jobs_max,
            branches: llama.branches,
            residency: llama.residency,
            memory_mb_max: llama.memory_mb_max,
            threads: llama.threads,
            nice: llama.nice,
            gpu_layers: llama.gpu_layers,
            devices: llama.devices,
        }),
    }
}

pub async fn tick(inbox: Sender<Input>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        // A full inbox has more urgent things, and each of them makes the loop look at the clock.
        if let Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) = inbox.try_send(Input::Tick) {
            return;
        }
    }
}

/// On a thread of its own each time: a sensor's driver may take its time, or hang, and then nothing else must wait.
async fn look(inbox: Sender<Input>, reserve: Reserve) {
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for n in 0_u64.. {
        interval.tick().await;
        if !n.is_multiple_of(LOOKS_A_MACHINE) && reserve.is_there() {
            continue;
        }
        let reserve = reserve.clone();
        let look = move || {
            reserve.restock();
            vital::look(Path::new("/"))
        };
        let Ok(machine) = tokio::task::spawn_blocking(look).await else { return };
        if inbox.send(Input::Machine(machine)).await.is_err() {
            return;
        }
    }
}

/// The weekly copy of the store. Asked for every hour, so that one that failed for want of room is soon made up for.
async fn copy(state_dir: PathBuf) {
    let mut interval = tokio::time::interval(COPY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let state_dir = state_dir.clone();
        match tokio::task::spawn_blocking(move || store::snapshot(&state_dir)).await {
            Ok(Ok(Some(path))) => tracing::info!(path = %path.display(), "copied the store"),
            Ok(Ok(None)) => {}
            Ok(Err(fault)) => tracing::warn!(fault = %engine::chain(&fault), "no copy of the store this time"),
            Err(_) => return, // the runtime ends
        }
    }
}

async fn wait_for_stop(inbox: Sender<Input>) {
    // A terminal that closes must not take the box with it: caught, SIGHUP ends nothing.
    let _hangup = signal(SignalKind::hangup());
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("cannot listen for signals; SIGTERM will end the daemon without a farewell");
        return;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    let _ = inbox.send(Input::Stop).await;
}
