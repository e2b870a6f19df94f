//! Against dense matrices, which are formed here and nowhere else.

use super::*;
use crate::init::Draws;

/// Nearly normal: the sum of twelve even draws, less their mean. `name` is the seed.
fn random(name: &str, rows: usize, columns: usize) -> Wide {
    let mut draws = Draws::new(1, name);
    Wide::from_fn(rows, columns, |_, _| draws.by_ref().take(12).sum::<f64>() / 2.0)
}

/// As training leaves an adapter: A from its own start, B grown. 48 × 40.
fn trained(name: &str, rank: usize, weight: f64, scale: f64) -> Part {
    let (a, b) = (random(&format!("{name} a"), rank, 40), random(&format!("{name} b"), 48, rank));
    Part { a, b, weight, scale }
}

fn dense(parts: &[Part]) -> Wide {
    parts.iter().map(|part| &part.b * &part.a * (part.weight * part.scale)).sum()
}

fn product(joined: &Joined, scale: f64) -> Wide {
    &joined.b * &joined.a * scale
}

fn relative(found: &Wide, wanted: &Wide) -> f64 {
    (found - wanted).norm() / wanted.norm()
}

fn three() -> [Part; 3] {
    [trained("one", 4, 0.2, 2.0), trained("two", 6, 0.5, 2.5), trained("three", 3, 0.3, 0.7)]
}

#[test]
fn the_stack_is_the_sum_of_the_dense_changes() {
    let joined = join(&three(), Keep::Stack, 2.0).expect("converges");
    assert_eq!((joined.a.nrows(), joined.b.ncols()), (13, 13));
    assert!(relative(&product(&joined, 2.0), &dense(&three())) < 1e-12);
    assert_eq!(joined.loss.truncation(), 0.0);
}

#[test]
fn at_full_rank_the_svd_loses_nothing() {
    let joined = join(&three(), Keep::Rank(13), 0.5).expect("converges");
    assert!(relative(&product(&joined, 0.5), &dense(&three())) < 1e-12);
    assert!(joined.loss.truncation() < 1e-12);
}

#[test]
fn what_is_lost_is_the_tail_of_the_dense_singular_values() {
    let sum = dense(&three());
    let values = sum.singular_values();
    for rank in 1..=13 {
        let joined = join(&three(), Keep::Rank(rank), 3.0).expect("converges");
        let tail = values.rows(rank, values.len() - rank).norm() / sum.norm();
        assert!((joined.loss.truncation() - tail).abs() < 1e-10, "told at {rank}");
        assert!((relative(&product(&joined, 3.0), &sum) - tail).abs() < 1e-10, "true at {rank}");
    }
}

/// Missing ranks, all ones, whole numbers: what decompositions stumble over.
#[test]
fn a_thousand_sums_lose_their_tail_and_no_more() {
    for seed in 0..1000 {
        let mut draws = Draws::new(seed, "a thousand sums");
        let mut up_to = |max: usize| 1 + ((draws.next().expect("endless") + 1.0) / 2.0 * max as f64) as usize;
        let (input, output, rank, other) = (up_to(12), up_to(12), up_to(5), up_to(5));
        let matrix = |name: &str, rows, columns| match seed % 4 {
            0 => Wide::from_element(rows, columns, 1.0),
            1 => random(&format!("{name} {seed}"), rows, columns).map(f64::round),
            _ => random(&format!("{name} {seed}"), rows, columns),
        };
        let part = |name: &str, rank| {
            let (a, b) = (matrix(&format!("{name} a"), rank, input), matrix(&format!("{name} b"), output, rank));
            Part { a, b, weight: 0.3, scale: 2.0 }
        };
        let parts = [part("one", rank), part("two", other), part(if seed % 2 == 0 { "one" } else { "three" }, rank)];
        let sum = dense(&parts);
        let values = sum.singular_values(); // without vectors it is right
        for kept in 1..=2 * rank + other {
            let joined = join(&parts, Keep::Rank(kept), 2.0).expect("converges");
            let tail = if kept < values.len() { values.rows(kept, values.len() - kept).norm() } else { 0.0 };
            let lost = (product(&joined, 2.0) - &sum).norm();
            assert!((lost - tail).abs() <= 1e-10 * sum.norm(), "seed {seed}, rank {kept}: {lost} for {tail}");
            let told = joined.loss.truncation() * sum.norm();
            assert!((told - tail).abs() <= 1e-10 * sum.norm(), "seed {seed}, rank {kept}: told {told} for {tail}");
        }
    }
}

#[test]
fn no_other_product_of_that_rank_comes_nearer() {
    let sum = dense(&three());
    let joined = join(&three(), Keep::Rank(4), 1.0).expect("converges");
    let ours = relative(&product(&joined, 1.0), &sum);
    for seed in 0..20 {
        let side = |name: &str, rows, columns| random(&format!("{name} {seed}"), rows, columns);
        // Half of them are the best within some subspace, half are ours, moved by a little to a lot.
        let other = if seed % 2 == 0 {
            let basis = (&sum * side("basis", 40, 4)).qr().q();
            &basis * (basis.transpose() * &sum)
        } else {
            let much = 10f64.powi(-(seed / 2));
            (&joined.b + side("b", 48, 4) * much) * (&joined.a + side("a", 4, 40) * much)
        };
        assert!(relative(&other, &sum) >= ours, "{seed}");
    }
}

/// Both learnt one and the same, from different starts, and each a little of its own: B·G and G⁻¹·A are the same change.
fn same_lesson(name: &str, own: f64) -> Part {
    let mixed = random(&format!("{name} mix"), 4, 4);
    let inverse = mixed.clone().try_inverse().expect("a random matrix has one");
    let a = inverse * random("lesson a", 4, 40) + random(&format!("{name} a"), 4, 40) * own;
    let b = random("lesson b", 48, 4) * mixed;
    Part { a, b, weight: 0.5, scale: 2.0 }
}

#[test]
fn averaging_adapters_of_different_starts_is_seventy_percent_wrong() {
    // What the formula says of matrices that have nothing to do with each other: √(1 − 1/n).
    let fresh = |n: usize| (0..n).map(|i| trained(&i.to_string(), 4, 1.0 / n as f64, 2.0)).collect::<Vec<_>>();
    for (adapters, wrong) in [(2, 0.707), (3, 0.816)] {
        let naive = join(&fresh(adapters), Keep::Rank(4), 2.0).expect("converges").loss.naive().expect("one rank");
        assert!((naive - wrong).abs() < 0.06, "{adapters}: {naive}");
    }
    let parts = [same_lesson("north", 0.02), same_lesson("south", 0.02)];
    let joined = join(&parts, Keep::Rank(4), 2.0).expect("converges");
    let naive = joined.loss.naive().expect("one rank");
    assert!(naive > 0.5 && joined.loss.truncation() < 0.1 * naive, "{naive} {}", joined.loss.truncation());
}

#[test]
fn the_error_told_of_averaging_is_that_of_the_averages() {
    for sum in [1.0, 2.0] {
        let parts = [trained("one", 4, 0.25 * sum, 2.0), trained("two", 4, 0.75 * sum, 2.0)];
        let joined = join(&parts, Keep::Rank(4), 1.0).expect("converges");
        let average = |of: fn(&Part) -> &Wide| of(&parts[0]) * 0.25 + of(&parts[1]) * 0.75;
        let naive = average(|part| &part.b) * average(|part| &part.a) * (2.0 * sum);
        assert!((joined.loss.naive().expect("one rank") - relative(&naive, &dense(&parts))).abs() < 1e-10);
    }
}

#[test]
fn there_is_no_average_of_different_ranks_or_of_weights_that_cancel_out() {
    assert_eq!(join(&three(), Keep::Rank(4), 1.0).expect("converges").loss.naive(), None);
    let parts = [trained("one", 4, 1.0, 2.0), trained("two", 4, -1.0, 2.0)];
    let joined = join(&parts, Keep::Rank(8), 1.0).expect("converges");
    assert_eq!(joined.loss.naive(), None);
    assert!(relative(&product(&joined, 1.0), &dense(&parts)) < 1e-12, "the difference is still right");
}

#[test]
fn adapters_that_share_one_a_are_summed_exactly_at_their_own_rank() {
    let mut parts = [trained("one", 4, 0.6, 2.0), trained("two", 4, 0.1, 2.0), trained("three", 4, 0.3, 2.0)];
    for at in [1, 2] {
        parts[at].a = parts[0].a.clone();
    }
    for rank in [4, 5] {
        let joined = join(&parts, Keep::Rank(rank), 2.0).expect("converges");
        assert!(joined.shared_a);
        assert!(joined.loss.truncation() < 1e-12);
        assert_eq!(joined.a.rows(0, 4), parts[0].a, "A is the shared one, for the next round");
        let average = parts.iter().map(|part| &part.b * part.weight).sum::<Wide>();
        assert!(relative(&joined.b.columns(0, 4).into_owned(), &average) < 1e-12);
        assert!(relative(&product(&joined, 2.0), &dense(&parts)) < 1e-12);
        assert!(joined.loss.naive().expect("one rank") < 1e-12);
    }
    parts[2].a[(3, 39)] += 1e-7;
    assert!(!join(&parts, Keep::Rank(4), 2.0).expect("converges").shared_a);
}

#[test]
fn the_order_of_the_adapters_does_not_matter() {
    let [one, two, three] = three();
    let other = [three, one, two];
    for keep in [Keep::Stack, Keep::Rank(6)] {
        let first = join(&self::three(), keep, 1.0).expect("converges");
        let second = join(&other, keep, 1.0).expect("converges");
        assert!(relative(&product(&second, 1.0), &product(&first, 1.0)) < 1e-10);
        assert!((first.loss.truncation() - second.loss.truncation()).abs() < 1e-12);
    }
}

#[test]
fn more_rank_than_a_side_has_and_nothing_at_all_are_no_trouble() {
    let narrow = |name: &str| Part { a: random(name, 6, 40), b: random(name, 5, 6), weight: 0.5, scale: 1.0 };
    let parts = [narrow("one"), narrow("two")];
    let joined = join(&parts, Keep::Rank(8), 1.0).expect("converges");
    assert_eq!((joined.a.shape(), joined.b.shape()), ((8, 40), (5, 8)));
    assert!(relative(&product(&joined, 1.0), &dense(&parts)) < 1e-12);

    let untrained = |name: &str| Part { a: random(name, 4, 40), b: Wide::zeros(48, 4), weight: 0.5, scale: 1.0 };
    let joined = join(&[untrained("one"), untrained("two")], Keep::Rank(4), 1.0).expect("converges");
    assert_eq!((joined.b.norm(), joined.loss.truncation()), (0.0, 0.0));
}

#[test]
fn losses_add_up_over_layers_as_squares() {
    let loss = |name: &str| {
        let parts = [trained(name, 4, 0.5, 1.0), trained("other", 4, 0.5, 1.0)];
        (dense(&parts), join(&parts, Keep::Rank(4), 1.0).expect("converges"))
    };
    let ((sum_1, joined_1), (sum_2, joined_2)) = (loss("one"), loss("two"));
    let mut both = joined_1.loss;
    both += joined_2.loss;
    let lost = (product(&joined_1, 1.0) - &sum_1).norm_squared() + (product(&joined_2, 1.0) - &sum_2).norm_squared();
    let wanted = (lost / (sum_1.norm_squared() + sum_2.norm_squared())).sqrt();
    assert!((both.truncation() - wanted).abs() < 1e-10);
}
