//! One token until near its end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use tokio::sync::Mutex;

use super::{Fresh, Minter, TokenSource};
use crate::secret::Secret;

/// A token is not given out when it ends within this: the call that it is for must still arrive.
const RESERVE: Duration = Duration::from_secs(60);

/// Keeps the tokens of a minter.
pub(super) struct Cached<M> {
    minter: M,
    /// Key: `None` for the access token, else the ID token's audience. Held while minting, so that
    /// calls at the same time do not mint twice.
    kept: Mutex<HashMap<Option<String>, Kept>>,
}

struct Kept {
    secret: Secret,
    good_until: Instant,
}

impl<M: Minter> Cached<M> {
    pub(super) fn new(minter: M) -> Self {
        Self {
            minter,
            kept: Mutex::new(HashMap::new()),
        }
    }

    async fn token(&self, audience: Option<&str>) -> Result<Secret, Diagnostic> {
        let mut kept = self.kept.lock().await;
        let key = audience.map(str::to_owned);
        if let Some(known) = kept.get(&key)
            && Instant::now() < known.good_until
        {
            return Ok(known.secret.clone());
        }
        let Fresh { secret, lifetime } = match audience {
            None => self.minter.access_token().await?,
            Some(audience) => self.minter.id_token(audience).await?,
        };
        let good_until = Instant::now() + lifetime.saturating_sub(RESERVE);
        kept.insert(
            key,
            Kept {
                secret: secret.clone(),
                good_until,
            },
        );
        Ok(secret)
    }
}

#[async_trait]
impl<M: Minter> TokenSource for Cached<M> {
    async fn access_token(&self) -> Result<Secret, Diagnostic> {
        self.token(None).await
    }

    async fn id_token(&self, audience: &str) -> Result<Secret, Diagnostic> {
        self.token(Some(audience)).await
    }

    fn describe(&self) -> String {
        self.minter.describe()
    }

    fn member(&self) -> Option<String> {
        self.minter.member()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counter {
        made: AtomicUsize,
        lifetime: Duration,
    }

    impl Counter {
        fn next(&self) -> Fresh {
            let number = self.made.fetch_add(1, Ordering::SeqCst);
            Fresh {
                secret: Secret::new(format!("token-{number}")),
                lifetime: self.lifetime,
            }
        }
    }

    #[async_trait]
    impl Minter for Counter {
        async fn access_token(&self) -> Result<Fresh, Diagnostic> {
            Ok(self.next())
        }
        async fn id_token(&self, _audience: &str) -> Result<Fresh, Diagnostic> {
            Ok(self.next())
        }
        fn describe(&self) -> String {
            "a counter".to_owned()
        }
    }

    fn cached(lifetime: u64) -> Cached<Counter> {
        Cached::new(Counter {
            made: AtomicUsize::new(0),
            lifetime: Duration::from_secs(lifetime),
        })
    }

    #[tokio::test]
    async fn a_token_is_kept_one_for_each_audience() {
        let source = cached(3600);
        let first = source.access_token().await.unwrap();
        assert_eq!(source.access_token().await.unwrap(), first);
        let one = source.id_token("https://one").await.unwrap();
        let two = source.id_token("https://two").await.unwrap();
        assert_ne!(one, two);
        assert_eq!(source.id_token("https://one").await.unwrap(), one);
        assert_eq!(source.minter.made.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_token_that_ends_within_a_minute_is_made_anew() {
        let source = cached(60);
        let first = source.access_token().await.unwrap();
        assert_ne!(source.access_token().await.unwrap(), first);
    }
}
