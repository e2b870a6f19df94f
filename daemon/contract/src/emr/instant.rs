//! Seconds since 1970 as FHIR writes an instant, in UTC.

/// None beyond the year 9999, which FHIR cannot write: a box's clock may say anything.
pub fn instant(unix_s: u64) -> Option<String> {
    let (day, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = date(day)?;
    Some(format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60))
}

/// Of the Gregorian calendar. Years are counted from March here, so that the leap day is a year's last.
fn date(days_since_1970: u64) -> Option<(u64, u64, u64)> {
    const TO_1970: u64 = 719_468; // from 1 March of the year 0
    const ERA: u64 = 146_097; // 400 years
    let days = days_since_1970.checked_add(TO_1970)?;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year <= 9999).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        for (unix_s, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_779_066_835, "2026-05-18T01:13:55Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(instant(unix_s).as_deref(), Some(written));
        }
        assert_eq!([instant(253_402_300_800), instant(u64::MAX)], [None, None]);
    }

    #[test]
    fn every_day_of_five_hundred_years_follows_the_one_before() {
        let mut before = date(0).expect("1970");
        for day in 1..500 * 366 {
            let (year, month, day) = date(day).expect("before 9999");
            let next = match before {
                _ if day > 1 => (before.0, before.1, before.2 + 1),
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, _) => (year, month + 1, 1),
            };
            assert_eq!((year, month, day), next);
            before = next;
        }
    }
}
