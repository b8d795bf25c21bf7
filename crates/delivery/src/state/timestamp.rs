//! A timestamp as people read it.

use std::fmt;

use super::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days of 400 Gregorian years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0: i64 = 719_468;

impl Timestamp {
    /// Later by this many seconds; stays at the end of time rather than wrap.
    #[must_use]
    pub fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(i64::from(seconds)))
    }
}

/// RFC 3339 in UTC, to the second: `2026-11-24T08:36:43Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.0.div_euclid(SECONDS_PER_DAY));
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
/// Years are counted from 1 March, so that the leap day is the last of its year.
fn civil_date(days_since_epoch: i64) -> (i64, i64, i64) {
    let days = days_since_epoch + EPOCH_FROM_MARCH_0;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    // Leap days so far: one in 1461 days, none in 36524, one in 146097.
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days.
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_509_403, "2026-11-24T08:36:43Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_107_456_000, "2100-02-28T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for seconds in [i64::MIN, i64::MAX] {
            assert!(Timestamp(seconds).to_string().ends_with('Z'));
        }
        assert_eq!(Timestamp(i64::MAX).plus(1), Timestamp(i64::MAX));
    }

    #[test]
    fn days_follow_each_other() {
        let mut before = String::new();
        for day in 0..200_000 {
            let now = Timestamp(day * SECONDS_PER_DAY).to_string();
            assert!(now > before, "{now} after {before}");
            before = now;
        }
    }
}
