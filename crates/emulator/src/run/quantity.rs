//! Quantities: CPU, memory, durations.

/// Thousandths of a CPU in `1`, `0.5` or `500m`.
pub(crate) fn cpu_millis(text: &str) -> Option<u64> {
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().ok();
    }
    let cpus: f64 = text.parse().ok()?;
    (cpus.is_finite() && (0.0..1000.0).contains(&cpus)).then(|| (cpus * 1000.0).round() as u64)
}

/// Bytes in `512Mi`, `2Gi`, `1G` or `1000000`.
pub(crate) fn memory_bytes(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
    ];
    for (suffix, unit) in UNITS {
        if let Some(number) = text.strip_suffix(suffix) {
            let number: f64 = number.parse().ok()?;
            return (number.is_finite() && number >= 0.0).then_some((number * *unit as f64) as u64);
        }
    }
    text.parse().ok()
}

/// Milliseconds in a duration such as `300s` or `1.5s`.
pub(crate) fn duration_millis(text: &str) -> Option<u64> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        assert_eq!(cpu_millis("1"), Some(1000));
        assert_eq!(cpu_millis("0.08"), Some(80));
        assert_eq!(cpu_millis("2000m"), Some(2000));
        assert_eq!(cpu_millis("many"), None);
        assert_eq!(memory_bytes("512Mi"), Some(512 << 20));
        assert_eq!(memory_bytes("1.5Gi"), Some(3 << 29));
        assert_eq!(memory_bytes("1G"), Some(1_000_000_000));
        assert_eq!(memory_bytes("lots"), None);
        assert_eq!(duration_millis("300s"), Some(300_000));
        assert_eq!(duration_millis("0.5s"), Some(500));
        assert_eq!(duration_millis("300"), None);
    }
}
