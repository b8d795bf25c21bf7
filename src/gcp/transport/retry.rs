//! Which calls are repeated, how often, after which pauses.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::gcp::error::{Failure, GcpError};

/// How often and how long a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first among them.
    pub attempts: u32,
    /// The first pause; each further one doubles.
    pub first_pause: Duration,
    /// No pause is longer, whatever the server wishes.
    pub longest_pause: Duration,
    /// No try begins later than this after the first.
    pub longest_total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(20),
            longest_total: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// The pause after the failed try number `attempt`, or `None` when it was the last one. `chance`
    /// is from 0 to 1.
    pub(super) fn pause(
        &self,
        attempt: u32,
        retry_after: Option<Duration>,
        elapsed: Duration,
        chance: f64,
    ) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = self
            .first_pause
            .saturating_mul(1 << attempt.saturating_sub(1).min(16));
        // Half of it is fixed, half by chance: many clients must not come back at one moment.
        let jittered = doubled / 2 + doubled.mul_f64(chance / 2.0);
        let pause = retry_after.unwrap_or(jittered).max(jittered);
        let pause = pause.min(self.longest_pause);
        (elapsed + pause <= self.longest_total).then_some(pause)
    }
}

/// From 0 to 1. The keys of a hasher are random; nothing secret hangs on it.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}

/// True when sending it once more can help and does no harm.
pub(super) fn may_repeat(error: &GcpError, repeatable: bool) -> bool {
    match error {
        GcpError::Refused { refusal, .. } => match refusal.http {
            // Turned away before it was looked at.
            429 => true,
            408 | 500 | 502 | 503 | 504 => repeatable,
            _ => false,
        },
        GcpError::Unanswered { failure, .. } => match failure {
            Failure::NobodyListens | Failure::NotSent => false,
            Failure::NotConnected => true,
            Failure::TimedOut | Failure::Lost => repeatable,
        },
        GcpError::Unreadable { .. } | GcpError::Credentials(_) => false,
    }
}

/// Why it is repeated, without text of the server.
pub(super) fn reason(error: &GcpError) -> String {
    match error {
        GcpError::Refused { refusal, .. } => format!("answered {}", refusal.http),
        GcpError::Unanswered { failure, .. } => failure.to_string(),
        GcpError::Unreadable { .. } | GcpError::Credentials(_) => "failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_stay_bounded_and_end() {
        let policy = RetryPolicy {
            attempts: 4,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(300),
            longest_total: Duration::from_secs(1),
        };
        for _ in 0..50 {
            let first = policy.pause(1, None, Duration::ZERO, chance()).unwrap();
            assert!((50..=100).contains(&first.as_millis()), "{first:?}");
            let third = policy.pause(3, None, Duration::ZERO, chance()).unwrap();
            assert!((200..=300).contains(&third.as_millis()), "{third:?}");
        }
        assert_eq!(policy.pause(4, None, Duration::ZERO, chance()), None);
        assert_eq!(
            policy.pause(1, None, Duration::from_secs(1), chance()),
            None
        );
    }

    #[test]
    fn the_servers_wish_counts_up_to_the_longest_pause() {
        let policy = RetryPolicy::default();
        let wish = Some(Duration::from_secs(7));
        assert_eq!(policy.pause(1, wish, Duration::ZERO, chance()), wish);
        let long = Some(Duration::from_secs(600));
        assert_eq!(
            policy.pause(1, long, Duration::ZERO, chance()),
            Some(policy.longest_pause)
        );
    }
}
