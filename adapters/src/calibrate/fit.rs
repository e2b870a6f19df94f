//! Platt's scaling (Platt 1999, with his smoothed targets): two numbers that turn what a model says of itself into how
//! often it is right. And what tells whether that has helped.

use contract::manifest::Calibration;

/// What the model gave, and what was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    pub probability: f32,
    pub own: bool,
}

/// The least loss, found by Newton's method: the loss is convex and has two arguments. None where there are not both kinds
/// of cases, or where no line fits.
pub fn fit(said: &[Said]) -> Option<Calibration> {
    let of = |own| said.iter().filter(move |one| one.own == own).count() as f64;
    let (own, others) = (of(true), of(false));
    if own == 0.0 || others == 0.0 {
        return None;
    }
    // Not 1 and 0: with few cases nobody is as sure as that, and the slope stays finite where the two kinds part cleanly.
    let target = |own_case| if own_case { (own + 1.0) / (own + 2.0) } else { 1.0 / (others + 2.0) };
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..STEPS_MAX {
        let (mut g, mut h) = ([0.0; 2], [[RIDGE, 0.0], [0.0, RIDGE]]);
        for one in said {
            let x = logit(one.probability);
            let p = sigmoid(slope * x + offset);
            let (error, weight) = (p - target(one.own), p * (1.0 - p));
            for (i, xi) in [x, 1.0].into_iter().enumerate() {
                g[i] += error * xi;
                for (j, xj) in [x, 1.0].into_iter().enumerate() {
                    h[i][j] += weight * xi * xj;
                }
            }
        }
        let det = h[0][0] * h[1][1] - h[0][1] * h[1][0];
        let step = [(h[1][1] * g[0] - h[0][1] * g[1]) / det, (h[0][0] * g[1] - h[1][0] * g[0]) / det];
        // Far from the least loss a whole step may leap over it; half of one, or a half of that, does not.
        let loss = |slope: f64, offset: f64| -> f64 {
            let of_one = |one: &Said| {
                let (z, t) = (slope * logit(one.probability) + offset, target(one.own));
                z.max(0.0) - z * t + (-z.abs()).exp().ln_1p()
            };
            said.iter().map(of_one).sum()
        };
        let (here, mut part) = (loss(slope, offset), 1.0);
        while part > PART_MIN && loss(slope - part * step[0], offset - part * step[1]) > here {
            part /= 2.0;
        }
        (slope, offset) = (slope - part * step[0], offset - part * step[1]);
        if part <= PART_MIN || step.iter().all(|step| step.abs() < ENOUGH) {
            let cases = u32::try_from(said.len()).unwrap_or(u32::MAX);
            return Some(Calibration { slope: slope as f32, offset: offset as f32, cases });
        }
    }
    None
}

const STEPS_MAX: usize = 200;
/// So that there is always a way down.
const RIDGE: f64 = 1e-9;
/// Where not even so small a part of a step leads down, one is there.
const PART_MIN: f64 = 1e-10;
const ENOUGH: f64 = 1e-7;

/// Each case as it is seen by a calibration that was fitted without it; every fifth is left out in turn.
pub fn crossed(said: &[Said]) -> Option<Vec<Said>> {
    let mut seen = vec![Said { probability: 0.0, own: false }; said.len()];
    for part in 0..PARTS {
        let rest: Vec<Said> = said.iter().enumerate().filter(|(n, _)| n % PARTS != part).map(|(_, one)| *one).collect();
        let calibration = fit(&rest)?;
        for (n, one) in said.iter().enumerate().filter(|(n, _)| n % PARTS == part) {
            seen[n] = Said { probability: calibration.of(one.probability)?, own: one.own };
        }
    }
    Some(seen)
}

const PARTS: usize = 5;

/// The mean square of what it was wrong by: 0 is perfect, 0.25 is what "one half" always gets.
pub fn brier(said: &[Said]) -> f64 {
    let wrong = said.iter().map(|one| (f64::from(one.probability) - f64::from(u8::from(one.own))).powi(2));
    wrong.sum::<f64>() / said.len().max(1) as f64
}

/// How often a case of its own gets more than another: 0.5 is a coin. No calibration changes it.
pub fn auc(said: &[Said]) -> f64 {
    let (own, others): (Vec<&Said>, Vec<&Said>) = said.iter().partition(|one| one.own);
    let pairs = own.iter().flat_map(|a| others.iter().map(move |b| (a.probability, b.probability)));
    let won = pairs.map(|(a, b)| {
        if a > b {
            1.0
        } else if a < b {
            0.0
        } else {
            0.5
        }
    });
    won.sum::<f64>() / (own.len() * others.len()).max(1) as f64
}

/// Cases of about the same probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    pub said: f64,
    pub cases: u32,
    pub own: u32,
}

/// As many cases in each as the number allows, because a bin of two says nothing.
pub fn bins(said: &[Said], count: usize) -> Vec<Bin> {
    let mut sorted = said.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let of = |at: usize| at * sorted.len() / count.max(1);
    let bin = |n: usize| {
        let part = &sorted[of(n)..of(n + 1)];
        let mean = part.iter().map(|one| f64::from(one.probability)).sum::<f64>() / part.len().max(1) as f64;
        Bin { said: mean, cases: part.len() as u32, own: part.iter().filter(|one| one.own).count() as u32 }
    };
    (0..count).map(bin).filter(|bin| bin.cases > 0).collect()
}

/// The mean distance from the diagonal, each bin by its number of cases.
pub fn calibration_error(bins: &[Bin]) -> f64 {
    let all: u32 = bins.iter().map(|bin| bin.cases).sum();
    let off = |bin: &Bin| (bin.said * f64::from(bin.cases) - f64::from(bin.own)).abs();
    bins.iter().map(off).sum::<f64>() / f64::from(all.max(1))
}

fn logit(p: f32) -> f64 {
    let p = f64::from(p).clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases drawn from a known line: the fit must find it.
    fn drawn(slope: f64, offset: f64, count: usize) -> Vec<Said> {
        let mut seed: u64 = 7;
        let mut dice = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        let one = |_| {
            let probability = (0.01 + 0.98 * dice()) as f32;
            Said { probability, own: dice() < sigmoid(slope * logit(probability) + offset) }
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_line_that_cases_were_drawn_from_is_found() {
        for (slope, offset) in [(1.0, 0.0), (0.4, -1.5), (2.0, 0.7), (0.0, -0.5)] {
            let found = fit(&drawn(slope, offset, 20_000)).expect("a line");
            let off = (f64::from(found.slope) - slope).abs().max((f64::from(found.offset) - offset).abs());
            assert!(off < 0.08, "{slope} {offset}: {found:?}");
        }
    }

    #[test]
    fn few_cases_that_part_cleanly_make_no_certainty() {
        let case = |probability, own| Said { probability, own };
        let found = fit(&[case(0.99, true), case(0.98, true), case(0.2, false), case(0.1, false)]).expect("a line");
        let sure = found.of(0.999).expect("a probability");
        assert!(found.slope.is_finite() && (0.6..0.95).contains(&sure), "{found:?} {sure}");
        assert_eq!(fit(&[case(0.9, true), case(0.8, true)]), None, "without others there is nothing to tell apart");
        assert_eq!(fit(&[]), None);
    }

    #[test]
    fn what_is_fitted_is_nearer_to_the_truth_on_cases_it_has_not_seen() {
        let said = drawn(0.4, -1.5, 2_000);
        let crossed = crossed(&said).expect("a line");
        assert!(brier(&crossed) < brier(&said) - 0.05, "{} {}", brier(&crossed), brier(&said));
        let error = |said: &[Said]| calibration_error(&bins(said, 10));
        assert!(error(&crossed) < 0.05 && error(&said) > 0.2, "{} {}", error(&crossed), error(&said));
    }

    #[test]
    fn bins_hold_all_cases_and_the_scores_are_the_known_ones() {
        let said: Vec<Said> = (0..10).map(|n| Said { probability: n as f32 / 10.0, own: n >= 5 }).collect();
        assert_eq!(auc(&said), 1.0);
        let bins = bins(&said, 4);
        assert_eq!(bins.iter().map(|bin| (bin.cases, bin.own)).collect::<Vec<_>>(), [(2, 0), (3, 0), (2, 2), (3, 3)]);
        let half = [Said { probability: 0.5, own: true }, Said { probability: 0.5, own: false }];
        assert_eq!((brier(&half), auc(&half)), (0.25, 0.5));
    }
}
