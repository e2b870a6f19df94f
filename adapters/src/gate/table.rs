//! An examination as lines of text.

use super::*;
use std::fmt::Write;

pub fn name(measure: MeasureName) -> (&'static str, &'static str) {
    match measure {
        MeasureName::Nll => {
            ("参考答案的意外程度（越低越好）", "surprise at the reference, nats a token (less is better)")
        }
        MeasureName::RightOfThree => ("三选一选对", "right causes of three"),
        MeasureName::DepartmentChosen => ("科室选对", "department chosen"),
        MeasureName::Change => ("与基座的差别", "largest change of a log-likelihood"),
        MeasureName::ExclusionNamed => ("自己写出“不能排除”", "names an exclusion itself"),
        MeasureName::DangerNamed => ("写出参考中的危险", "names the reference's dangers"),
        MeasureName::ForbiddenLines => ("不该出现的行", "lines that the box leaves out"),
        MeasureName::TokensPerSecond => ("每秒词元", "tokens a second"),
    }
}

/// As a person reads it.
pub fn figure(measure: MeasureName, value: f32) -> String {
    match measure {
        MeasureName::Nll | MeasureName::Change => format!("{value:.3}"),
        MeasureName::TokensPerSecond => format!("{value:.1}"),
        _ => format!("{:.1} %", value * 100.0),
    }
}

pub fn goal(measure: &Measured, own: bool) -> String {
    match measure.measure {
        MeasureName::Nll if own => format!("≤ −{:.0} %", OWN_FALLS_BY * 100.0),
        MeasureName::Nll => format!("≤ +{:.0} %", OTHERS_RISE_BY * 100.0),
        MeasureName::Change => format!("≥ {CHANGE_MIN}"),
        MeasureName::ExclusionNamed => format!("≥ {:.0} %", EXCLUSION_NAMED_MIN * 100.0),
        MeasureName::ForbiddenLines => format!("≤ {:.0} %", FORBIDDEN_MAX * 100.0),
        _ => String::new(),
    }
}

pub fn change(measure: &Measured) -> String {
    match (measure.measure, measure.base) {
        (MeasureName::Nll | MeasureName::TokensPerSecond, Some(base)) => {
            format!("{:+.1} %", (measure.adapter / base - 1.0) * 100.0)
        }
        _ => String::new(),
    }
}

pub fn missed(measure: &Measured) -> String {
    let (_, en) = name(measure.measure);
    let base = measure.base.map_or(String::new(), |base| format!(", base {}", figure(measure.measure, base)));
    format!("{}: {en}: {}{base} {}", measure.of, figure(measure.measure, measure.adapter), change(measure))
        .trim_end()
        .to_owned()
}

pub fn table(gate: &Gate) -> String {
    let mut out =
        format!("{:<58}{:<16}{:>5}{:>10}{:>10}{:>10}  {:<10}\n", "", "of", "n", "base", "adapter", "change", "goal");
    for it in &gate.evaluation.measures {
        let base = it.base.map_or(String::new(), |base| figure(it.measure, base));
        let mark = match it.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let goal = goal(it, it.of == gate.group);
        let _ = writeln!(
            out,
            "{:<58}{:<16}{:>5}{base:>10}{:>10}{:>10}  {goal:<10}{mark}",
            name(it.measure).1,
            it.of,
            it.n,
            figure(it.measure, it.adapter),
            change(it),
        );
    }
    out.push_str(if gate.evaluation.passed { "PASSED\n" } else { "NOT PASSED\n" });
    out
}
