//! The sum of several products B·A as one product, exactly or of lower rank, without ever forming the sum.
//!
//! ```text
//! Δ = B·A      B = [w₁s₁B₁ w₂s₂B₂ …]  out × Σr      A = [A₁; A₂; …]  Σr × in
//! B = Qb·Rb    Aᵀ = Qa·Ra             thin QR: sides at most Σr
//! Δ = Qb·C·Qaᵀ                        C = Rb·Raᵀ, the core, small
//! C·Cᵀ = U·Λ·Uᵀ                       U are C's left singular vectors, Λ the squares of its singular values
//! C ≈ U·(Uᵀ·C), U cut after r         the truncated SVD; what is lost of C is lost of Δ, since Q keeps lengths
//! ```
//!
//! The vectors come from C·Cᵀ because nalgebra's SVD is at times wrong without saying so (its issue 1172; here of one
//! in 180 matrices that lack half their rank). Squaring costs nothing: a projection is as exact as U is orthogonal, and
//! only singular values below 1e-8 of the largest could be taken in the wrong order.
//!
//! In f64; what comes and goes is F32.

use nalgebra::{DMatrix, QR, SymmetricEigen};
use std::ops::AddAssign;

pub type Wide = DMatrix<f64>;

/// One adapter's part in one module: it adds `weight` · `scale` · B · A.
pub struct Part {
    pub a: Wide,
    pub b: Wide,
    pub weight: f64,
    pub scale: f64,
}

#[derive(Debug, Clone, Copy)]
pub enum Keep {
    /// The sum of all ranks, without loss.
    Stack,
    Rank(usize),
}

/// `scale` · `b` · `a` is the sum, or comes near it.
#[derive(Debug)]
pub struct Joined {
    pub a: Wide,
    pub b: Wide,
    pub loss: Loss,
    /// All parts have the same A and differ in B alone.
    pub shared_a: bool,
}

/// Squares of Frobenius norms, which add up over layers.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    whole: f64,
    lost: f64,
    /// None when the ranks differ or the weights sum to zero: then there is no average.
    lost_by_averaging: Option<f64>,
}

#[derive(Debug, thiserror::Error)]
#[error("its singular vectors were not found")]
pub struct NotConverged;

/// Far more than the two or three rounds that a value takes.
const ROUNDS_MAX: usize = 100_000;
/// Of half a million matrices, with ranks missing and without, the worst was off by 4e-15.
const EIGEN_ERROR_MAX: f64 = 1e-9;
/// Below it a direction is rounding.
const SINGULAR_VALUE_MIN: f64 = 1e-12;

/// `scale` is alpha / r of the result. The parts have one input and one output size.
pub fn join(parts: &[Part], keep: Keep, scale: f64) -> Result<Joined, NotConverged> {
    let stack = Stack::of(parts);
    let shared_a = parts.iter().all(|part| part.a == parts[0].a);
    let lost_by_averaging = stack.averaged(parts).map(|(b, a)| stack.lost(&b, &a));
    let (a, b, lost) = match keep {
        Keep::Stack => (stack.a.clone(), &stack.b / scale, 0.0),
        Keep::Rank(rank) if shared_a && parts[0].a.nrows() <= rank => {
            let (b, a) = stack.first_a(parts);
            let lost = stack.lost(&b, &a);
            let (a, b) = (a.tr_mul(&stack.a), &stack.b * b / scale);
            (a.resize_vertically(rank, 0.0), b.resize_horizontally(rank, 0.0), lost)
        }
        Keep::Rank(rank) => stack.cut(rank, scale)?,
    };
    let whole = stack.core.norm_squared();
    Ok(Joined { a, b, loss: Loss { whole, lost, lost_by_averaging }, shared_a })
}

struct Stack {
    a: Wide,
    b: Wide,
    qa: Wide,
    qb: Wide,
    ra: Wide,
    rb: Wide,
    core: Wide,
}

impl Stack {
    fn of(parts: &[Part]) -> Self {
        let ranks = parts.iter().map(|part| part.a.nrows()).sum();
        let mut a = Wide::zeros(ranks, parts[0].a.ncols());
        let mut b = Wide::zeros(parts[0].b.nrows(), ranks);
        let mut at = 0;
        for part in parts {
            let rank = part.a.nrows();
            a.rows_mut(at, rank).copy_from(&part.a);
            b.columns_mut(at, rank).copy_from(&(&part.b * (part.weight * part.scale)));
            at += rank;
        }
        let (qb, rb) = QR::new(b.clone()).unpack();
        let (qa, ra) = QR::new(a.transpose()).unpack();
        let core = &rb * ra.transpose();
        Self { a, b, qa, qb, ra, rb, core }
    }

    /// The square of what (B·`b`)·(`a`ᵀ·A) lacks, for columns `b` and `a` that mix those of the stack.
    fn lost(&self, b: &Wide, a: &Wide) -> f64 {
        (&self.core - (&self.rb * b) * (&self.ra * a).transpose()).norm_squared()
    }

    /// Mixes that give the average of the A, and the sum of the weighted B.
    fn averaged(&self, parts: &[Part]) -> Option<(Wide, Wide)> {
        let rank = parts[0].a.nrows();
        let sum: f64 = parts.iter().map(|part| part.weight).sum();
        if sum == 0.0 || parts.iter().any(|part| part.a.nrows() != rank) {
            return None;
        }
        Some((mix(rank, parts, |_| 1.0), mix(rank, parts, |at| parts[at].weight / sum)))
    }

    /// Mixes that give the first A, and the sum of the weighted B: exact if that is every A.
    fn first_a(&self, parts: &[Part]) -> (Wide, Wide) {
        let rank = parts[0].a.nrows();
        (mix(rank, parts, |_| 1.0), mix(rank, parts, |at| if at == 0 { 1.0 } else { 0.0 }))
    }

    /// The nearest of rank `rank`: A, B and the square of what is lost. Each takes half of a singular value, so that
    /// both have the size of a trained one; a rank that the sum does not have is filled with zeros.
    fn cut(&self, rank: usize, scale: f64) -> Result<(Wide, Wide, f64), NotConverged> {
        let vectors = left_singular_vectors(&self.core)?;
        let u = vectors.columns(0, rank.min(vectors.ncols()));
        let along = u.tr_mul(&self.core);
        let lost = (&self.core - u * &along).norm_squared();

        let values: Vec<f64> = along.row_iter().map(|row| row.norm()).collect();
        let smallest = SINGULAR_VALUE_MIN * self.core.norm();
        let side = |number: fn(f64) -> f64| {
            let kept = |value: &f64| if *value > smallest { number(*value) } else { 0.0 };
            Wide::from_diagonal(&values.iter().map(kept).collect::<Vec<_>>().into())
        };
        let a = side(|value| 1.0 / value.sqrt()) * along * self.qa.transpose() / scale.sqrt();
        let b = &self.qb * u * side(f64::sqrt) / scale.sqrt();
        Ok((a.resize_vertically(rank, 0.0), b.resize_horizontally(rank, 0.0), lost))
    }
}

/// Largest singular value first. Whatever the library says is tried: what is not the decomposition would be an adapter
/// that looks right.
fn left_singular_vectors(core: &Wide) -> Result<Wide, NotConverged> {
    let square = core * core.transpose();
    let eigen = SymmetricEigen::try_new(square.clone(), f64::EPSILON, ROUNDS_MAX).ok_or(NotConverged)?;
    let (values, vectors) = (eigen.eigenvalues, eigen.eigenvectors);
    let off = (&square * &vectors - &vectors * Wide::from_diagonal(&values)).norm();
    let skew = (vectors.tr_mul(&vectors) - Wide::identity(values.len(), values.len())).norm();
    let right = off <= EIGEN_ERROR_MAX * square.norm() && skew <= EIGEN_ERROR_MAX; // not so if one is no number
    if !right {
        return Err(NotConverged);
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*other].total_cmp(&values[*one]));
    Ok(vectors.select_columns(&order))
}

/// One multiple of the identity under another, a part each.
fn mix(rank: usize, parts: &[Part], share: impl Fn(usize) -> f64) -> Wide {
    Wide::from_fn(rank * parts.len(), rank, |row, column| if row % rank == column { share(row / rank) } else { 0.0 })
}

impl Loss {
    /// Relative to the sum; nothing is lost of nothing.
    pub fn truncation(&self) -> f64 {
        self.relative(self.lost)
    }

    pub fn naive(&self) -> Option<f64> {
        self.lost_by_averaging.map(|lost| self.relative(lost))
    }

    fn relative(&self, lost: f64) -> f64 {
        if self.whole == 0.0 { 0.0 } else { (lost / self.whole).sqrt() }
    }
}

impl AddAssign for Loss {
    fn add_assign(&mut self, other: Self) {
        self.whole += other.whole;
        self.lost += other.lost;
        self.lost_by_averaging = self.lost_by_averaging.zip(other.lost_by_averaging).map(|(sum, more)| sum + more);
    }
}

#[cfg(test)]
mod tests;
