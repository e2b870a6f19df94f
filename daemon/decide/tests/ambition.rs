//! The staircase as stories, and a thousand seeded machines that fail as they like: it never loops without a pause,
//! it never gives up, and it finds back to the top.

#[path = "lives/dice.rs"]
mod dice;

use contract::{
    ids::RequestId,
    status::Ambition::{self, Cpu, Full, HalfOfTheLayers, OneContext, RulesOnly},
};
use decide::ambition::{Means, Staircase};
use dice::Dice;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// A GPU, room for several contexts, and settings that ask for every layer.
const JETSON: Means = Means { contexts_max: 4, gpu_layers: 999 };
const LAYERS: u32 = 28;

/// A box whose clock is in the test's hand.
struct Machine {
    stairs: Staircase,
    now: u64,
}

impl Machine {
    fn new(settings: Means) -> Self {
        Self { stairs: Staircase::new(settings), now: 0 }
    }

    fn opens(&mut self) -> &mut Self {
        self.now = self.now.max(self.stairs.opens_at_ms());
        self
    }

    fn ready(&mut self) -> &mut Self {
        self.opens();
        let offloaded = self.stairs.means().gpu_layers.min(LAYERS);
        self.stairs.ready(offloaded, self.now);
        self
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += ms;
        self
    }

    fn serves(&mut self) -> &mut Self {
        self.stairs.served(self.now);
        self
    }

    fn dies(&mut self, times: u32) -> Ambition {
        for _ in 0..times {
            self.opens();
            self.stairs.died(&[], self.now);
        }
        self.stairs.ambition()
    }

    fn dies_with(&mut self, cases: &[u128]) -> Ambition {
        let open: Vec<RequestId> = cases
            .iter()
            .map(|n| serde_json::from_value(format!("00000000-0000-0000-0000-{n:012}").into()).expect("a UUID"))
            .collect();
        self.ready();
        self.stairs.died(&open, self.now);
        self.stairs.ambition()
    }

    fn unfit(&mut self, short_of_memory: bool) -> Ambition {
        self.opens();
        self.stairs.unfit(short_of_memory, self.now);
        self.stairs.ambition()
    }

    /// Serves until it may climb, and climbs; says after how long.
    fn climbs(&mut self) -> u64 {
        self.ready().serves();
        let began = self.now;
        self.now = self.stairs.climbs_at_ms().expect("there is a step above, and service was good");
        self.stairs.climb(self.now);
        self.now - began
    }

    fn waits(&self) -> u64 {
        self.stairs.opens_at_ms().saturating_sub(self.now)
    }
}

#[test]
fn three_deaths_in_a_row_lead_a_step_down_and_each_asks_for_less() {
    let mut machine = Machine::new(JETSON);
    machine.ready();
    assert_eq!(machine.dies(2), Full, "what one poison case costs");
    assert_eq!(machine.dies(1), OneContext);
    assert_eq!(machine.stairs.means(), Means { contexts_max: 1, gpu_layers: 999 });
    assert_eq!(machine.dies(3), HalfOfTheLayers);
    assert_eq!(machine.stairs.means(), Means { contexts_max: 1, gpu_layers: LAYERS / 2 });
    assert_eq!(machine.dies(3), Cpu);
    assert_eq!(machine.stairs.means(), Means { contexts_max: 1, gpu_layers: 0 });
    assert_eq!(machine.dies(3), RulesOnly);
}

#[test]
fn a_served_case_between_two_deaths_is_no_row() {
    let mut machine = Machine::new(JETSON);
    for _ in 0..10 {
        assert_eq!(machine.ready().serves().dies(2), Full);
    }
}

#[test]
fn a_death_that_convicts_a_case_is_no_sign_of_the_machine() {
    let mut machine = Machine::new(JETSON);
    for poison in 0..8 {
        assert_eq!((machine.dies_with(&[poison]), machine.dies_with(&[poison])), (Full, Full), "poison {poison}");
    }
    // In company first, and an innocent beside it is served alone.
    let mut machine = Machine::new(JETSON);
    assert_eq!(machine.dies_with(&[1, 2, 3]), Full);
    machine.ready().serves();
    assert_eq!((machine.dies_with(&[2]), machine.dies_with(&[4]), machine.dies_with(&[4])), (Full, Full, Full));
    assert_eq!(machine.dies(2), Full, "nothing is left of it");
    assert_eq!(machine.dies(1), OneContext);
}

#[test]
fn a_death_in_company_or_idle_convicts_nobody() {
    let mut machine = Machine::new(JETSON);
    machine.dies_with(&[1, 2]);
    machine.dies_with(&[1, 2]);
    assert_eq!(machine.dies_with(&[1, 3]), OneContext);
    assert_eq!(machine.dies(3), HalfOfTheLayers);
}

#[test]
fn an_engine_that_dies_of_every_case_is_led_down() {
    let mut machine = Machine::new(JETSON);
    let fell = (0..20).find(|case| machine.dies_with(&[*case]) != Full || machine.dies_with(&[*case]) != Full);
    assert_eq!(fell, Some(9), "the machine's fault, after eight");
    let mut machine = Machine::new(JETSON);
    for case in 0..50 {
        machine.dies_with(&[case]);
        assert_eq!(machine.dies_with(&[case]), Full);
        machine.ready().serves();
    }
}

#[test]
fn poison_ends_no_probation_when_it_is_convicted() {
    let mut machine = Machine::new(JETSON);
    machine.dies_with(&[7]);
    machine.unfit(true);
    machine.climbs();
    assert_eq!(machine.dies_with(&[7]), Full);
}

#[test]
fn short_memory_leads_down_at_once() {
    let mut machine = Machine::new(JETSON);
    assert_eq!(machine.unfit(true), OneContext);
    assert!(machine.waits() < SECOND, "patients wait");
    // No worker has said yet how many layers there are, so half of them is no number.
    assert_eq!(machine.unfit(true), Cpu);
    assert_eq!(machine.unfit(true), RulesOnly);
}

#[test]
fn steps_that_would_change_nothing_are_left_out() {
    let table: [(Means, Option<u32>, &[Ambition]); 5] = [
        (Means { contexts_max: 1, gpu_layers: 0 }, None, &[RulesOnly]),
        (Means { contexts_max: 4, gpu_layers: 0 }, None, &[OneContext, RulesOnly]),
        (Means { contexts_max: 1, gpu_layers: 999 }, Some(LAYERS), &[HalfOfTheLayers, Cpu, RulesOnly]),
        (Means { contexts_max: 1, gpu_layers: 999 }, Some(1), &[Cpu, RulesOnly]),
        (Means { contexts_max: 4, gpu_layers: 999 }, Some(0), &[OneContext, RulesOnly]),
    ];
    for (settings, offloaded, steps) in table {
        let mut machine = Machine::new(settings);
        if let Some(layers) = offloaded {
            machine.stairs.ready(layers, 0);
        }
        for step in steps {
            assert_eq!(machine.dies(3), *step, "{settings:?} {offloaded:?}");
        }
    }
}

#[test]
fn what_no_step_would_mend_is_tried_again_after_longer_and_longer_rests() {
    let mut machine = Machine::new(JETSON);
    let rests: Vec<u64> = (0..6)
        .map(|_| {
            assert_eq!(machine.unfit(false), RulesOnly, "a damaged file");
            machine.waits() / MINUTE
        })
        .collect();
    assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
    // Somebody has put the right file there: the step is the one of before, not a lower one.
    machine.ready();
    assert_eq!((machine.stairs.ambition(), machine.stairs.means()), (Full, JETSON));
    machine.after(11 * MINUTE).serves();
    assert_eq!(
        (machine.unfit(false), machine.waits()),
        (RulesOnly, 5 * MINUTE),
        "good service makes rests short again"
    );
}

#[test]
fn while_a_rest_is_tried_out_the_rules_answer_alone() {
    let mut machine = Machine::new(JETSON);
    machine.unfit(false);
    machine.opens();
    assert_eq!(machine.stairs.ambition(), RulesOnly, "nobody waits for a worker that may never be ready");
    machine.ready();
    assert_eq!(machine.dies(1), OneContext, "one death is enough after a rest");
}

#[test]
fn good_service_leads_up_a_step_at_a_time() {
    let mut machine = Machine::new(JETSON);
    machine.ready();
    machine.dies(9);
    assert_eq!(machine.stairs.ambition(), Cpu);
    for step in [HalfOfTheLayers, OneContext, Full] {
        assert_eq!(machine.climbs(), 10 * MINUTE);
        assert_eq!(machine.stairs.ambition(), step);
        machine.ready().after(10 * MINUTE).serves();
    }
    assert_eq!(machine.stairs.climbs_at_ms(), None, "at the top");
    assert_eq!(machine.ready().dies(2), Full, "and trusted again");
}

#[test]
fn an_idle_worker_has_proved_nothing() {
    let mut machine = Machine::new(JETSON);
    machine.unfit(true);
    machine.ready().after(HOUR);
    assert_eq!(machine.stairs.climbs_at_ms(), None);
    machine.serves();
    assert!(machine.stairs.climbs_at_ms().is_some_and(|at| at <= machine.now));
}

#[test]
fn a_death_on_probation_leads_back_and_doubles_the_pause_up_to_a_day() {
    let mut machine = Machine::new(JETSON);
    machine.unfit(true);
    let pauses: Vec<u64> = (0..9)
        .map(|n| {
            let pause = machine.climbs();
            assert_eq!(machine.stairs.ambition(), Full);
            let fell = if n % 2 == 0 { machine.unfit(true) } else { machine.ready().after(MINUTE).serves().dies(1) };
            assert_eq!(fell, OneContext);
            pause / MINUTE
        })
        .collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1280, 1440]);
    // Idle hours on probation are no proof either: the next case may be the one that it dies of.
    machine.climbs();
    assert_eq!(machine.ready().after(5 * HOUR).dies(1), OneContext);
    machine.climbs();
    machine.ready().after(10 * MINUTE).serves();
    assert_eq!(machine.dies(3), OneContext);
    assert_eq!(machine.climbs(), 10 * MINUTE, "it had proved itself, so the pause is short again");
}

/// A machine with a limit that moves: a worker above it fails in some way, one below it serves.
#[test]
fn whatever_fails_it_pauses_it_tries_again_and_it_finds_back_to_the_top() {
    for seed in 0..1000 {
        let mut dice = Dice::new(seed);
        let settings = Means { contexts_max: 1 + dice.below(3), gpu_layers: dice.pick(&[0, 12, 999]) };
        let mut machine = Machine::new(settings);
        for _ in 0..20 {
            let (limit, until) = (dice.below(5) as u8, machine.now + dice.below(100) as u64 * MINUTE);
            while machine.now < until {
                let (opened, before) = (machine.now, machine.stairs.ambition());
                live(&mut machine, limit, &mut dice);
                let paused = machine.now > opened || machine.waits() > 0;
                assert!(paused || machine.stairs.ambition() != before, "seed {seed}: a loop without a pause");
                assert!(machine.waits() <= HOUR, "seed {seed}: given up");
            }
        }
        let healed = machine.now;
        while machine.stairs.ambition() != Full {
            live(&mut machine, Full as u8, &mut dice);
            assert!(machine.now - healed < 5 * 24 * HOUR, "seed {seed}: still {:?}", machine.stairs.ambition());
        }
    }
}

/// One worker's life on a machine that carries what is not above `limit` (0 is everything, 4 nothing).
fn live(machine: &mut Machine, limit: u8, dice: &mut Dice) {
    machine.opens();
    let step = machine.stairs.means();
    let asks = match (step.contexts_max > 1, step.gpu_layers) {
        (true, _) => Full as u8,
        (false, 0) => Cpu as u8,
        (false, layers) if layers > LAYERS / 2 => OneContext as u8,
        _ => HalfOfTheLayers as u8,
    };
    if asks >= limit && limit < RulesOnly as u8 {
        machine.ready().after(MINUTE).serves();
        if let Some(at) = machine.stairs.climbs_at_ms() {
            machine.now = machine.now.max(at);
            machine.serves();
            machine.stairs.climb(machine.now);
        } else {
            machine.after(11 * MINUTE).serves();
        }
        return;
    }
    let _ambition = match dice.below(4) {
        0 => machine.dies(1),
        1 if dice.one_in(2) => machine.ready().after(SECOND).dies(1),
        1 => machine.ready().after(SECOND).serves().dies(1),
        2 => machine.unfit(true),
        _ => machine.unfit(false),
    };
}
