//! Durations, sizes and rates: how they are read and written.

use crate::time::{Duration, Instant};

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

/// Reads `100/s`, `30/min`, `1/h`: the time between two. At most a million a second.
pub fn rate(text: &str) -> Option<Duration> {
    let (count, unit) = text.split_once('/')?;
    let size = match unit {
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    let count = count.parse::<u32>().ok().map(i64::from)?;
    (count > 0 && size / count > 0).then(|| Duration::from_micros(size / count))
}

/// The roundest rate that is read back as this interval, in the first unit that has one.
pub fn print_rate(interval: Duration) -> String {
    let interval = interval.micros().clamp(1, 3_600_000_000);
    for (size, unit) in [(1_000_000, "s"), (60_000_000, "min"), (3_600_000_000, "h")] {
        // Every count in low..=high is read back as the interval.
        let (low, high) = (size / (interval + 1) + 1, size / interval);
        let round = |step: i64| high / step * step;
        if let Some(step) = [1_000, 500, 100, 50, 10, 5, 1].into_iter().find(|step| round(*step) >= low) {
            return format!("{}/{unit}", round(step));
        }
    }
    format!("{}/h", 3_600_000_000 / interval)
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
    fn every_rate_is_read_back_as_the_same_interval() {
        for count in 1..=5_000 {
            for unit in ["s", "min", "h"] {
                let interval = rate(&format!("{count}/{unit}")).expect("a rate");
                assert_eq!(rate(&print_rate(interval)), Some(interval), "{count}/{unit}");
            }
        }
        assert_eq!(print_rate(rate("1500/s").unwrap()), "1500/s");
        assert_eq!(rate("0/s"), None);
        assert_eq!(rate("2000000/s"), None);
    }

    #[test]
    fn sizes_are_read_and_written_in_binary_units() {
        assert_eq!(size("16KiB"), Some(16_384));
        assert_eq!(size("9GiB"), None);
        assert_eq!(print_size(1 << 20), "1MiB");
        assert_eq!(print_size(100), "100");
    }
}
