//! Whether two adapters can be added: the same base, modules, layers and shapes. Their ranks may differ.

use crate::{convert::Half, peft::Peft};
use serde_json::Value;
use std::collections::BTreeSet;

/// What differs, first one's and then the other's.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Unlike {
    #[error("base_model_name_or_path: {0} and {1}")]
    Base(Value, Value),
    #[error("target modules: {} and {}", .0.join(","), .1.join(","))]
    Modules(Vec<String>, Vec<String>),
    #[error("the number of layers: {0} and {1}")]
    Layers(usize, usize),
    #[error("{tensor}, which only one of them has")]
    Place { tensor: String },
    #[error("the shape of {tensor}: {one:?} and {other:?}")]
    Shape { tensor: String, one: [usize; 2], other: [usize; 2] },
}

pub(super) fn difference(one: &Peft, other: &Peft) -> Option<Unlike> {
    let base = |peft: &Peft| peft.settings.get("base_model_name_or_path").cloned().unwrap_or_default();
    if base(one) != base(other) {
        return Some(Unlike::Base(base(one), base(other)));
    }
    if one.modules != other.modules {
        return Some(Unlike::Modules(one.modules.clone(), other.modules.clone()));
    }
    if layers(one) != layers(other) {
        return Some(Unlike::Layers(layers(one), layers(other)));
    }
    let missing = |from: &Peft, of: &Peft| {
        let place = of.matrices.iter().find(|(place, _)| !from.matrices.contains_key(place));
        place.map(|(_, matrix)| Unlike::Place { tensor: matrix.tensor.clone() })
    };
    missing(one, other).or_else(|| missing(other, one)).or_else(|| shapes(one, other))
}

fn layers(peft: &Peft) -> usize {
    peft.matrices.keys().map(|place| place.layer).collect::<BTreeSet<_>>().len()
}

fn shapes(one: &Peft, other: &Peft) -> Option<Unlike> {
    one.matrices.iter().find_map(|(place, matrix)| {
        let other = &other.matrices[place];
        let side = |rows, columns| if place.half == Half::A { columns } else { rows };
        let differs = side(matrix.rows, matrix.columns) != side(other.rows, other.columns);
        differs.then(|| Unlike::Shape {
            tensor: matrix.tensor.clone(),
            one: [matrix.rows, matrix.columns],
            other: [other.rows, other.columns],
        })
    })
}
