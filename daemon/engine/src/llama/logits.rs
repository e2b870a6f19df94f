//! From logits to a token: the likeliest one, with its probability.

use llama_cpp_2::token::LlamaToken;

/// The likeliest token and the natural logarithm of its probability; `None` when a logit is not a number,
/// which a damaged adapter makes of all of them.
pub(super) fn greedy(logits: &[f32]) -> Option<(LlamaToken, f32)> {
    let max = maximum(logits)?;
    let best = logits.iter().position(|logit| *logit == max)?;
    Some((LlamaToken(best as i32), -sum_below(logits, max).ln()))
}

/// The natural logarithm of one token's probability.
pub(super) fn logprob(logits: &[f32], token: LlamaToken) -> Option<f32> {
    let max = maximum(logits)?;
    let logit = logits.get(usize::try_from(token.0).ok()?)?;
    Some(logit - max - sum_below(logits, max).ln())
}

/// A quarter of a million of them a token: in lanes, so that the compiler can use the processor's own.
const LANES: usize = 16;

fn maximum(logits: &[f32]) -> Option<f32> {
    let mut max = [f32::NEG_INFINITY; LANES];
    // A sum that is not finite tells of any NaN or +∞ below; -∞ is a token that the model rules out.
    let mut bad = [false; LANES];
    let (lanes, rest) = logits.as_chunks::<LANES>();
    for lane in lanes {
        for at in 0..LANES {
            bad[at] |= lane[at].is_nan();
            max[at] = if lane[at] > max[at] { lane[at] } else { max[at] };
        }
    }
    let mut top = f32::NEG_INFINITY;
    for &logit in max.iter().chain(rest) {
        if logit.is_nan() {
            return None;
        }
        top = top.max(logit);
    }
    (top.is_finite() && !bad.contains(&true)).then_some(top)
}

/// Below this, all tokens of a vocabulary of a quarter of a million together are worth half a percent at most.
const NEGLIGIBLE: f32 = -18.0;

/// Σ exp(logit − max). Few logits are near the maximum, and a comparison is much cheaper than an exponential.
fn sum_below(logits: &[f32], max: f32) -> f32 {
    let near = logits.iter().map(|logit| logit - max).filter(|below| *below > NEGLIGIBLE);
    near.map(f32::exp).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_first_of_equals_and_refuses_what_is_no_number() {
        let (token, logprob) = greedy(&[0.0, 2.0, 2.0]).expect("finite");
        assert_eq!(token.0, 1);
        assert!((logprob - (2f32.exp() / (2.0 * 2f32.exp() + 1.0)).ln()).abs() < 1e-6);
        assert!(greedy(&[]).is_none());
        let long: Vec<f32> = (0..100).map(|n| n as f32 / 10.0).collect();
        assert_eq!(greedy(&long).expect("finite").0.0, 99);
        for at in 0..100 {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut long = long.clone();
                long[at] = bad;
                assert!(greedy(&long).is_none(), "{bad} at {at}");
            }
            let mut ruled_out = long.clone();
            ruled_out[at] = f32::NEG_INFINITY;
            assert!(greedy(&ruled_out).is_some());
        }
        assert!(greedy(&[f32::NEG_INFINITY; 100]).is_none());
    }

    #[test]
    fn probabilities_sum_to_one() {
        let logits: Vec<f32> = (0..1000).map(|n| ((n * 7919) % 613) as f32 / 20.0).collect();
        let all: f32 = (0..1000).map(|n| logprob(&logits, LlamaToken(n)).expect("finite").exp()).sum();
        assert!((all - 1.0).abs() < 1e-4, "{all}");
        assert!(logprob(&logits, LlamaToken(1000)).is_none());
    }
}
