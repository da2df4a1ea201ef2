//! Durations, sizes and rates: how they are read and written.

use crate::time::{Duration, Instant, Rate};

/// No span of a script is longer: ten years.
pub const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

const UNITS: [(&str, i64); 5] = [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000)];

/// Reads `250us`, `40ms`, `2s`, `5min`, `1h`, and fractions that are whole microseconds: `12.345s`.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let size = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 9 || number.ends_with('.') {
        return None;
    }
    let whole = whole.parse::<i64>().ok()?.checked_mul(size)?;
    let mut micros = 0;
    if !fraction.is_empty() {
        let scaled = fraction.parse::<i64>().ok()?.checked_mul(size)?;
        let base = 10_i64.pow(fraction.len() as u32);
        if scaled % base != 0 {
            return None;
        }
        micros = scaled / base;
    }
    let total = Duration::from_micros(whole.checked_add(micros)?);
    (total <= LONGEST).then_some(total)
}

/// An instant as recorded clicks write it: `12.345s`.
pub fn print_instant(instant: Instant) -> String {
    let us = instant.0.max(0);
    let fraction = format!("{:06}", us % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{}s", us / 1_000_000) } else { format!("{}.{fraction}s", us / 1_000_000) }
}

/// Reads `512`, `16KiB`, `1MiB`.
pub fn size(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

pub fn print_size(size: u32) -> String {
    for (factor, unit) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if size != 0 && size.is_multiple_of(factor) {
            return format!("{}{unit}", size / factor);
        }
    }
    size.to_string()
}

const RATE_UNITS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("min", Duration::from_secs(60)), ("h", Duration::from_secs(3_600))];

/// Reads `100/s`, `30/min`, `1/h`: at most a million a second.
pub fn rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let (_, per) = RATE_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let count = count.parse::<u32>().ok()?;
    (count > 0 && i64::from(count) <= per.micros()).then_some(Rate { count, per })
}

pub fn print_rate(rate: Rate) -> String {
    let unit = RATE_UNITS.into_iter().find(|(_, per)| *per == rate.per).map_or("s", |(name, _)| name);
    format!("{}/{unit}", rate.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        assert_eq!(duration("12.345s"), Some(Duration::from_millis(12_345)));
        assert_eq!(duration("1.5min"), Some(Duration::from_secs(90)));
        assert_eq!(duration("250us"), Some(Duration::from_micros(250)));
        for bad in ["", "5", "s", "1.s", ".5s", "1.2.3s", "-1s", "0.5us", "1d", "99999999999h", "1e3s", "٣s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(print_instant(Instant::from_millis(12_345)), "12.345s");
        assert_eq!(print_instant(Instant::from_secs(3)), "3s");
    }

    #[test]
    fn rates_are_exact_and_read_back() {
        for text in ["1/s", "300/s", "1000000/s", "7/min", "5000/h"] {
            assert_eq!(print_rate(rate(text).expect("a rate")), text);
        }
        let third = rate("3/s").expect("a rate");
        assert_eq!([0, 1, 2, 3].map(|n| third.due(n).micros()), [0, 333_333, 666_666, 1_000_000]);
        for bad in ["0/s", "2000000/s", "1/d", "s", "1", "-1/s"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_in_binary_units() {
        assert_eq!(size("16KiB"), Some(16_384));
        assert_eq!(size("9GiB"), None);
        assert_eq!(print_size(1 << 20), "1MiB");
        assert_eq!(print_size(100), "100");
    }
}
