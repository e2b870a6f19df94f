//! What fails, and when it is well again.

use crate::{
    book::Book,
    dice::Dice,
    platter::Unsynced,
    proxy::Weather,
    shim::Order,
    world::{Means, World},
};
use rustix::process::Signal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    KillDaemon,
    StopDaemon,
    TellDaemonToStop,
    KillWorker,
    StopWorker,
    KillBroker,
    BrokerForgets,
    CutLine,
    StallLine,
    DeafLine,
    SlowLine,
    TornLine,
    FullDisk,
    FailingSyncs,
    /// And the power goes while the disk is bad.
    FailingSyncsThenPowerCut,
    FailingWrites,
    SlowDisk,
    /// The daemon is killed between write and sync, and soon after its next start the power goes.
    KillInSlowDiskThenPowerCut,
    PowerCut,
    ClockStep,
}

use Fault::*;

pub const FAULTS: [(Fault, &str); 20] = [
    (KillDaemon, "daemon killed"),
    (StopDaemon, "daemon stopped for a while"),
    (TellDaemonToStop, "daemon told to stop"),
    (KillWorker, "worker killed"),
    (StopWorker, "worker stopped"),
    (KillBroker, "broker killed"),
    (BrokerForgets, "broker killed and forgets"),
    (CutLine, "line cut"),
    (StallLine, "line stalled"),
    (DeafLine, "line deaf"),
    (SlowLine, "line slow"),
    (TornLine, "line torn"),
    (FullDisk, "disk full"),
    (FailingSyncs, "syncs fail"),
    (FailingSyncsThenPowerCut, "syncs fail, then power cut"),
    (FailingWrites, "writes fail"),
    (SlowDisk, "disk slow"),
    (KillInSlowDiskThenPowerCut, "killed amid a sync, then power cut"),
    (PowerCut, "power cut"),
    (ClockStep, "clock stepped"),
];

/// What comes some time after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    DaemonGoesOn,
    WorkerGoesOn,
    LineIsFair,
    /// What fell into it is lost for good.
    LineIsCutAndFair,
    DiskIsWell,
    DiskIsFast,
    DaemonKilled,
    PowerCut(Unsynced),
}

pub fn possible(fault: Fault, means: &Means) -> bool {
    match fault {
        FullDisk => means.small_disk,
        FailingSyncs
        | FailingSyncsThenPowerCut
        | FailingWrites
        | SlowDisk
        | KillInSlowDiskThenPowerCut
        | PowerCut
        | ClockStep => means.shim.is_some(),
        _ => true,
    }
}

/// Says what follows after how many milliseconds; `None` where it could not happen at this moment.
pub fn strike(fault: Fault, world: &mut World, dice: &mut Dice) -> Option<Vec<(u64, Then)>> {
    let while_ms = 150 + dice.below(1200) as u64;
    let soon_ms = dice.below(300) as u64;
    let order = |world: &World, order, number| world.shim.as_ref().expect("it is possible here").set(order, number);
    let happened = match fault {
        KillDaemon => world.kill_daemon(soon_ms),
        TellDaemonToStop => world.signal_daemon(Signal::TERM),
        KillWorker => world.signal_worker(Signal::KILL),
        KillBroker => world.kill_broker(false, soon_ms),
        BrokerForgets => world.kill_broker(true, soon_ms),
        CutLine => {
            world.proxy.cut();
            true
        }
        ClockStep => {
            const YEAR_S: i64 = 365 * 24 * 3600;
            order(world, Order::ClockStepS, dice.pick(&[-60 * YEAR_S, -YEAR_S, -3600, 3600, YEAR_S, 70 * YEAR_S]));
            true
        }
        PowerCut => return Some(vec![(0, Then::PowerCut(dice.pick(&[Unsynced::Lost, Unsynced::SomeLost])))]),
        StopDaemon => return world.signal_daemon(Signal::STOP).then(|| vec![(while_ms, Then::DaemonGoesOn)]),
        StopWorker => {
            // For good, one time of three: then the daemon must find out.
            let goes_on_ms = if dice.one_in(3) { u64::MAX } else { while_ms };
            return world.signal_worker(Signal::STOP).then(|| vec![(goes_on_ms, Then::WorkerGoesOn)]);
        }
        StallLine => {
            world.proxy.weather(Weather::Stalled);
            return Some(vec![(while_ms, Then::LineIsFair)]);
        }
        DeafLine => {
            world.proxy.weather(Weather::Deaf);
            return Some(vec![(while_ms, Then::LineIsCutAndFair)]);
        }
        SlowLine => {
            world.proxy.weather(Weather::Slow { ms: 5 + dice.below(40) as u64 });
            return Some(vec![(while_ms, Then::LineIsFair)]);
        }
        TornLine => {
            world.proxy.weather(Weather::Torn { bytes: dice.below(200) });
            return Some(vec![(while_ms / 2, Then::LineIsFair)]);
        }
        FullDisk => {
            world.disk_is_bad();
            return world.disk.fill().then(|| vec![(while_ms, Then::DiskIsWell)]);
        }
        FailingSyncs | FailingWrites => {
            world.disk_is_bad();
            let which = if fault == FailingSyncs { Order::FailSyncs } else { Order::FailWrites };
            order(world, which, dice.pick(&[1, 2, 3, -1]));
            return Some(vec![(while_ms, Then::DiskIsWell)]);
        }
        FailingSyncsThenPowerCut => {
            world.disk_is_bad();
            order(world, Order::FailSyncs, dice.pick(&[1, 1, 2, -1]));
            return Some(vec![(while_ms, Then::PowerCut(Unsynced::Lost)), (while_ms, Then::DiskIsWell)]);
        }
        SlowDisk => {
            order(world, Order::SyncMs, 10 + dice.below(120) as i64);
            return Some(vec![(while_ms, Then::DiskIsFast)]);
        }
        KillInSlowDiskThenPowerCut => {
            order(world, Order::SyncMs, 400);
            let cut_ms = while_ms + 300 + dice.below(500) as u64;
            return Some(vec![
                (while_ms, Then::DaemonKilled),
                (while_ms, Then::DiskIsFast),
                (cut_ms, Then::PowerCut(Unsynced::Lost)),
            ]);
        }
    };
    happened.then(Vec::new)
}

pub fn follow(then: Then, world: &mut World, dice: &mut Dice, book: &mut Book) {
    book.note(format!("{then:?}"));
    match then {
        Then::DaemonGoesOn => {
            world.signal_daemon(Signal::CONT);
        }
        Then::WorkerGoesOn => world.continue_worker(),
        Then::LineIsFair => world.proxy.weather(Weather::Fair),
        Then::LineIsCutAndFair => {
            world.proxy.cut();
            world.proxy.weather(Weather::Fair);
        }
        Then::DiskIsWell => world.heal_disk(),
        Then::DiskIsFast => {
            if let Some(shim) = &world.shim {
                shim.set(Order::SyncMs, 0);
            }
        }
        Then::DaemonKilled => {
            world.kill_daemon(0);
        }
        Then::PowerCut(unsynced) => {
            let loss = world.cut_power(unsynced, dice.below(200) as u64, dice);
            book.lost(loss);
        }
    }
}

/// Everything is well again, but for what only time heals.
pub fn relent(world: &mut World, dice: &mut Dice, book: &mut Book) {
    for then in [Then::DiskIsWell, Then::DiskIsFast, Then::LineIsCutAndFair, Then::WorkerGoesOn, Then::DaemonGoesOn] {
        follow(then, world, dice, book);
    }
    if let Some(shim) = &world.shim {
        shim.set(Order::ClockStepS, 0);
    }
}
