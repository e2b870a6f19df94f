//! Who is evaluated next. Pure: the clock and the costs are given.
//!
//! A *flow* is the forms of one adapter in one class; forms of a flow share each step, forms of different adapters
//! cannot. Between flows:
//! ```text
//! passed over for too long?  ─▶ a quantum for the one that has waited longest      (nobody starves)
//! the best class that wants  ─▶ flows whose doctor still sees nothing, if any      (first lines first)
//!                            ─▶ deficit round-robin by time spent                  (no department lives off another)
//! ```
//! Deficit round-robin after Shreedhar and Varghese (1995), with microseconds of evaluation in place of bytes:
//! a department with long cases does not get more of the machine than one with short ones.

use std::collections::BTreeMap;

/// A flow without service for so long gets the next quantum, whatever its class. With the quantum of a context each
/// that leaves routine work about a twentieth of the machine under a never-ending stream of urgent cases.
const PASSED_OVER_US: u64 = 5_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) class: u8,
    pub(crate) group: usize,
}

/// A flow that could use a step now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) flow: Flow,
    /// One of its forms has shown no line yet.
    pub(crate) unheard: bool,
}

#[derive(Debug)]
pub(crate) struct Schedule {
    quantum_us: u64,
    shares: BTreeMap<Flow, Share>,
    current: Option<Flow>,
    /// `current` was passed over and has its quantum now, whatever its rank.
    rescue: bool,
}

#[derive(Debug, Default)]
struct Share {
    /// May be below zero: a step is not cut in the middle, its excess is paid later.
    credit_us: i64,
    served_us: u64,
}

impl Schedule {
    /// `quantum_us`: what a flow may spend before another of its rank has its turn.
    pub(crate) fn new(quantum_us: u64) -> Self {
        Self { quantum_us, shares: BTreeMap::new(), current: None, rescue: false }
    }

    /// The flow to serve, `None` when nobody wants. After the step, `charge` it.
    pub(crate) fn pick(&mut self, now_us: u64, wants: &[Want]) -> Option<Flow> {
        // Who wants nothing keeps no credit and no debt.
        self.shares.retain(|flow, _| wants.iter().any(|want| want.flow == *flow));
        for want in wants {
            self.shares.entry(want.flow).or_insert(Share { credit_us: 0, served_us: now_us });
        }
        if self.rescue && self.has_credit() {
            return self.current;
        }
        self.rescue = false;
        if let Some(flow) = self.passed_over(now_us) {
            self.rescue = true;
            return Some(self.turn_to(flow));
        }
        let best = wants.iter().map(|want| (want.flow.class, !want.unheard)).min()?;
        let mut rank: Vec<Flow> =
            wants.iter().filter(|want| (want.flow.class, !want.unheard) == best).map(|want| want.flow).collect();
        rank.sort_unstable();
        if let Some(current) = self.current.filter(|current| rank.contains(current))
            && self.has_credit()
        {
            return Some(current);
        }
        // Round and round until one can pay: each round pays everybody, so this ends.
        let after = self.current.map_or(0, |current| rank.partition_point(|flow| *flow <= current));
        let turns = after % rank.len().max(1);
        rank.rotate_left(turns);
        loop {
            for flow in &rank {
                self.turn_to(*flow);
                if self.has_credit() {
                    return Some(*flow);
                }
            }
        }
    }

    /// What the step of this flow took. Better classes of its group were part of it.
    pub(crate) fn charge(&mut self, flow: Flow, now_us: u64, cost_us: u64) {
        if let Some(share) = self.shares.get_mut(&flow) {
            share.credit_us -= i64::try_from(cost_us).unwrap_or(i64::MAX).max(1);
        }
        for (other, share) in &mut self.shares {
            if other.group == flow.group && other.class <= flow.class {
                share.served_us = now_us;
            }
        }
    }

    fn has_credit(&self) -> bool {
        self.current.and_then(|flow| self.shares.get(&flow)).is_some_and(|share| share.credit_us > 0)
    }

    fn turn_to(&mut self, flow: Flow) -> Flow {
        self.current = Some(flow);
        if let Some(share) = self.shares.get_mut(&flow) {
            // Without the bound a rescue would add to what was saved up.
            share.credit_us = (share.credit_us + self.quantum_us as i64).min(self.quantum_us as i64);
        }
        flow
    }

    fn passed_over(&self, now_us: u64) -> Option<Flow> {
        let waited = |share: &Share| now_us.saturating_sub(share.served_us);
        let late = self.shares.iter().filter(|(_, share)| waited(share) > PASSED_OVER_US);
        late.max_by_key(|(_, share)| waited(share)).map(|(flow, _)| *flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTUM: u64 = 250_000;

    fn want(group: usize, class: u8, unheard: bool) -> Want {
        Want { flow: Flow { group, class }, unheard }
    }

    /// Serves these wants, each step of a flow at its own cost, for so long; returns the microseconds of each.
    fn serve(schedule: &mut Schedule, wants: &[(Want, u64)], us: u64) -> Vec<u64> {
        let (mut now, mut spent) = (0, vec![0; wants.len()]);
        let all: Vec<Want> = wants.iter().map(|(want, _)| *want).collect();
        while now < us {
            let flow = schedule.pick(now, &all).expect("somebody wants");
            let at = all.iter().position(|want| want.flow == flow).expect("one of them");
            now += wants[at].1;
            spent[at] += wants[at].1;
            schedule.charge(flow, now, wants[at].1);
        }
        spent
    }

    #[test]
    fn departments_get_equal_time_whatever_their_steps_cost() {
        let wants = [(want(0, 2, false), 20_000), (want(1, 2, false), 90_000), (want(2, 2, false), 700_000)];
        let spent = serve(&mut Schedule::new(QUANTUM), &wants, 120_000_000);
        for share in &spent {
            assert!((38_000_000..42_000_000).contains(share), "{spent:?}");
        }
    }

    #[test]
    fn a_quantum_is_spent_in_one_go() {
        let mut schedule = Schedule::new(100);
        let wants = [want(0, 2, false), want(1, 2, false)];
        let mut order = Vec::new();
        for now in 0..12 {
            let flow = schedule.pick(now, &wants).expect("somebody wants");
            schedule.charge(flow, now, 34);
            order.push(flow.group);
        }
        assert_eq!(order, [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn the_better_class_goes_first_and_the_other_does_not_starve() {
        let wants = [(want(0, 0, false), 50_000), (want(1, 2, false), 50_000)];
        let mut schedule = Schedule::new(QUANTUM);
        assert_eq!(serve(&mut schedule, &wants, 4_900_000), [4_900_000, 0]);
        let spent = serve(&mut Schedule::new(QUANTUM), &wants, 100_000_000);
        assert!(spent[1] >= 3_000_000, "a trickle at least: {spent:?}");
        assert!(spent[1] <= 7_000_000, "and no more than that: {spent:?}");
    }

    #[test]
    fn a_group_whose_own_urgent_forms_never_end_gives_its_routine_forms_their_turn() {
        let wants = [(want(0, 1, false), 50_000), (want(0, 2, false), 50_000)];
        assert!(serve(&mut Schedule::new(QUANTUM), &wants, 100_000_000)[1] >= 3_000_000);
    }

    #[test]
    fn first_lines_come_before_further_ones() {
        let wants = [(want(0, 2, false), 50_000), (want(1, 2, true), 50_000)];
        assert_eq!(serve(&mut Schedule::new(QUANTUM), &wants, 2_000_000), [0, 2_000_000]);
    }

    #[test]
    fn nobody_waits_longer_than_the_bound_and_a_round_of_quanta() {
        // Pseudo-random classes, costs and phases; xorshift, so that a failure can be repeated.
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        let mut schedule = Schedule::new(QUANTUM);
        let (mut now, mut since) = (0, BTreeMap::new());
        for _ in 0..50_000 {
            let wants: Vec<Want> = (0..6).map(|group| want(group, (group % 3) as u8, random(3) == 0)).collect();
            let flow = schedule.pick(now, &wants).expect("somebody wants");
            let cost = 1_000 + random(120_000);
            now += cost;
            schedule.charge(flow, now, cost);
            since.insert(flow, now);
            for want in &wants {
                let waited = now - *since.entry(want.flow).or_insert(0);
                // Six flows may all be late at once: each rescue is a quantum and the rest of a step.
                assert!(waited <= PASSED_OVER_US + 6 * (QUANTUM + 121_000), "{flow:?} {waited}");
            }
        }
    }

    #[test]
    fn nobody_wants_nobody_is_served() {
        assert_eq!(Schedule::new(1).pick(0, &[]), None);
    }
}
