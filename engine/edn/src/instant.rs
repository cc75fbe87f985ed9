//! Instants: RFC 3339 text, in the partial forms Clojure reads too, to milliseconds since 1970 and back.
//!
//! The calendar is the proleptic Gregorian one. Years beyond four digits carry a sign (`+12345-01-01`), as ISO 8601 has
//! it, so that every instant of 64 bits can be written and read back.

use std::fmt;

use crate::{Code, Error};

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970 of `2020`, `2020-02`, `2020-02-03`, `2020-02-03T04`, …, `2020-02-03T04:05:06.789+01:00`.
/// Without an offset it is UTC. Digits past the milliseconds are dropped.
///
/// # Errors
/// `EDN_BAD_INST` for text of another form and for dates and times that do not exist.
pub fn parse(text: &str) -> Result<i64, Error> {
    let bad = |why: &str| Error::new(Code::EdnBadInst, format!("{text:?} is not an instant: {why}"));
    let mut cursor = Cursor(text);
    let parts = cursor.parts().filter(|_| cursor.0.is_empty());
    let parts =
        parts.ok_or_else(|| bad("expected the form 2020-02-03T04:05:06.789-00:00 or a beginning of it"))?;
    parts.check().map_err(bad)?;
    parts.millis().ok_or_else(|| bad("it is beyond 64 bits of milliseconds"))
}

#[derive(Default)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
    offset_sign: i64,
    offset_hour: i64,
    offset_minute: i64,
}

impl Parts {
    fn check(&self) -> Result<(), &'static str> {
        let leap_second = self.minute == 59 && self.second == 60;
        match () {
            () if !(1..=12).contains(&self.month) => Err("there is no such month"),
            () if !(1..=days_in_month(self.year, self.month)).contains(&self.day) => {
                Err("there is no such day")
            }
            () if self.hour > 23 => Err("there is no such hour"),
            () if self.minute > 59 => Err("there is no such minute"),
            () if self.second > 59 && !leap_second => Err("there is no such second"),
            () if self.offset_hour > 23 || self.offset_minute > 59 => Err("there is no such offset"),
            () => Ok(()),
        }
    }

    fn millis(&self) -> Option<i64> {
        let offset = self.offset_sign * (self.offset_hour * 60 + self.offset_minute);
        let minutes = self.hour * 60 + self.minute - offset;
        let in_day = (minutes * 60 + self.second) * 1000 + self.milli;
        let whole = i128::from(days_from_civil(self.year, self.month, self.day)) * i128::from(DAY_MS);
        i64::try_from(whole + i128::from(in_day)).ok()
    }
}

/// What is left of the text.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn parts(&mut self) -> Option<Parts> {
        let mut parts = Parts { year: self.year()?, month: 1, day: 1, ..Parts::default() };
        self.date_and_time(&mut parts)?;
        self.offset(&mut parts)?;
        Some(parts)
    }

    fn year(&mut self) -> Option<i64> {
        let sign = match self.0.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return self.digits(4),
        };
        self.0 = &self.0[1..];
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        (4..=9).contains(&count).then(|| self.digits(count)).flatten().map(|year| sign * year)
    }

    fn date_and_time(&mut self, parts: &mut Parts) -> Option<()> {
        // Each field may be left away with all that follow it. A `-` before an offset is told from a month by the colon.
        if self.0.as_bytes().get(3) == Some(&b':') || !self.eat('-') {
            return Some(());
        }
        parts.month = self.digits(2)?;
        if self.0.as_bytes().get(3) == Some(&b':') || !self.eat('-') {
            return Some(());
        }
        parts.day = self.digits(2)?;
        for (sign, field) in [('T', &mut parts.hour), (':', &mut parts.minute), (':', &mut parts.second)] {
            if !self.eat(sign) {
                return Some(());
            }
            *field = self.digits(2)?;
        }
        if self.eat('.') {
            parts.milli = self.fraction()?;
        }
        Some(())
    }

    fn fraction(&mut self) -> Option<i64> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let milli =
            self.0.bytes().chain(*b"000").take(3).zip(0..).fold(0, |milli, (byte, at)| {
                milli * 10 + if at < count { i64::from(byte - b'0') } else { 0 }
            });
        self.0 = &self.0[count..];
        (count > 0).then_some(milli)
    }

    fn offset(&mut self, parts: &mut Parts) -> Option<()> {
        if self.0.is_empty() || self.eat('Z') {
            return Some(());
        }
        parts.offset_sign = if self.eat('-') { -1 } else { self.eat('+').then_some(1)? };
        parts.offset_hour = self.digits(2)?;
        self.eat(':').then_some(())?;
        parts.offset_minute = self.digits(2)?;
        Some(())
    }

    fn eat(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self.0.get(..count).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[count..];
        digits.parse().ok()
    }
}

/// Writes `2020-01-01T00:00:00.000-00:00`.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl fmt::Write, millis: i64) -> fmt::Result {
    let (year, month, day) = civil_from_days(millis.div_euclid(DAY_MS));
    let in_day = millis.rem_euclid(DAY_MS);
    let (seconds, milli) = (in_day / 1000, in_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match year {
        0..=9999 => write!(out, "{year:04}")?,
        _ => write!(out, "{year:+05}")?,
    }
    write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}-00:00")
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. Years are counted from March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{parse, write};

    fn shown(millis: i64) -> String {
        let mut text = String::new();
        write(&mut text, millis).expect("writing to a string");
        text
    }

    #[test]
    fn partial_forms_count_from_their_beginning() {
        let cases = [
            ("1970", 0),
            ("1970-02", 31 * 86_400_000),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T01", 3_600_000),
            ("1970-01-01T01:01", 3_660_000),
            ("1970-01-01T01:01:01", 3_661_000),
            ("1970-01-01T00:00:00.5", 500),
            ("1970-01-01T00:00:00.123456789Z", 123),
            ("1970-01-01T00:00:00.000+01:00", -3_600_000),
            ("1970-01-01T00:00:00-01:30", 5_400_000),
            ("1970+01:00", -3_600_000),
            ("1970-01:00", 3_600_000),
            ("1970-02-01:00", 31 * 86_400_000 + 3_600_000),
            ("2000-02-29", 951_782_400_000),
            ("2016-12-31T23:59:60", 1_483_228_800_000),
            ("0001-01-01", -62_135_596_800_000),
            ("+12345-01-01", 327_403_382_400_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text).expect(text), millis, "{text}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        let cases = [
            "",
            "20",
            "2026-02-30",
            "2025-02-29",
            "1900-02-29",
            "2020-13",
            "2020-00",
            "2020-01-00",
            "2020-01-01T24",
            "2020-01-01T00:60",
            "2020-01-01T00:00:60",
            "2020-01-01T00:00:00.",
            "2020-01-01T00:00:00+24:00",
            "2020-01-01 ",
            "2020-01-01T00:00:00.000z",
            "2020-1-1",
            "２０２０",
            "2020-01-01T00:00:00+0100",
            "+999999999-01-01",
        ];
        for text in cases {
            assert_eq!(parse(text).expect_err(text).code(), crate::Code::EdnBadInst, "{text}");
        }
    }

    #[test]
    fn the_extremes_read_back() {
        for millis in [i64::MIN, i64::MAX, 0, -1, -62_167_219_200_001, 253_402_300_800_000] {
            assert_eq!(parse(&shown(millis)).expect("own output"), millis);
        }
        assert_eq!(shown(1_577_836_800_000), "2020-01-01T00:00:00.000-00:00");
    }
}
