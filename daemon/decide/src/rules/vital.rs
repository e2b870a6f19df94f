//! A bound on a vital sign, as rules write it: `sbp>=140` or `spo2<92`, in the units of the contract.

use contract::case::Vitals;

#[derive(Debug)]
pub struct VitalBound {
    pub sign: &'static Sign,
    at_least: bool,
    bound: f32,
}

impl VitalBound {
    pub fn parse(text: &str) -> Option<Self> {
        let at_least = text.contains(">=");
        let (code, bound) = text.split_once(if at_least { ">=" } else { "<" })?;
        let sign = SIGNS.iter().find(|sign| sign.code == code)?;
        Some(Self { sign, at_least, bound: bound.parse().ok()? })
    }

    pub fn holds(&self, value: f32) -> bool {
        (value >= self.bound) == self.at_least
    }
}

#[derive(Debug)]
pub struct Sign {
    pub code: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub of: fn(&Vitals) -> Option<f32>,
}

pub static SIGNS: [Sign; 7] = [
    Sign { code: "t_c", zh: "体温", en: "temperature", of: |v| v.t_c },
    Sign { code: "hr", zh: "脉搏", en: "heart rate", of: |v| v.hr },
    Sign { code: "rr", zh: "呼吸", en: "respiratory rate", of: |v| v.rr },
    Sign { code: "sbp", zh: "收缩压", en: "systolic pressure", of: |v| v.sbp },
    Sign { code: "dbp", zh: "舒张压", en: "diastolic pressure", of: |v| v.dbp },
    Sign { code: "spo2", zh: "血氧", en: "SpO2", of: |v| v.spo2 },
    Sign { code: "glucose", zh: "血糖", en: "glucose", of: |v| v.glucose },
];
