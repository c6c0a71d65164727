//! Numbers as people read them: one style everywhere.

use chrono::TimeDelta;

/// Bytes with three significant digits in powers of 1000: `3.38 GB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would be rounded to the four digits of the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS.get(unit).unwrap_or(&"EB"))
}

/// A whole number in groups of three: `87,413`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and what it counts: `1 file`, `2 files`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A share with one decimal: `97.4%`.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// `part` of `whole`; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A length of time in its largest sensible unit: `40 s`, `12 min`, `5 h`, `3 d`, `4 y`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    if whole < 10.0 && whole.fract() > 0.0 {
        return format!("{whole:.1} s");
    }
    let (size, unit) = match whole {
        s if s < 120.0 => (1.0, "s"),
        s if s < 7_200.0 => (60.0, "min"),
        s if s < 172_800.0 => (3_600.0, "h"),
        s if s < 63_072_000.0 => (86_400.0, "d"),
        _ => (31_536_000.0, "y"),
    };
    format!("{:.0} {unit}", (whole / size).floor())
}

/// How long ago; what lies in the future (a clock set wrong) is `0 s`.
pub fn age(elapsed: TimeDelta) -> String {
    duration(elapsed.num_seconds().max(0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (99_949, "99.9 kB"),
            (99_951, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (3_380_000_000, "3.38 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn durations_take_the_largest_unit_that_says_something() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (1.44, "1.4 s"),
            (119.0, "119 s"),
            (120.0, "2 min"),
            (7_200.0, "2 h"),
            (47.9 * 3600.0, "47 h"),
            (3.0 * 86_400.0, "3 d"),
            (94.5 * 86_400.0, "94 d"),
            (800.0 * 86_400.0, "2 y"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!(age(TimeDelta::seconds(-5)), "0 s");
    }
}
