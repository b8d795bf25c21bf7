//! The service answers as the new release.

use std::time::Duration;

use delivery::name::RevisionName;
use delivery::plan::Address;
use delivery::plan::render::serving_in_words;
use delivery::release::Commit;
use delivery::snapshot::Serving;
use tokio::time::Instant;

use super::Execution;
use super::failure::Failure;
use super::seam::Identity;
use super::step::{Place, tick};

/// Fewest answers in a row that must come from the commit: one alone may be luck while the split
/// changes.
const ANSWERS: u32 = 3;
/// How likely, at most, all answers come from the commit while an earlier split still lingers.
const LUCK: f64 = 1e-3;
/// Most answers that are asked for: a split that leaves others so little has long been watched.
const MOST_ANSWERS: u32 = 50;
/// Longest time for one answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Pause between two right answers while callers may still meet something else.
const BETWEEN: Duration = Duration::from_secs(1);
/// First and longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What confirms.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// So many right answers in a row.
    answers: u32,
    /// The last of them after this.
    lags: Option<Instant>,
    /// All of it before this.
    until: Instant,
}

impl Execution<'_> {
    /// `trafficStatuses` shows everything on the revision, and consecutive answers through the
    /// service's address come from the commit, where there is one and the API tells it.
    pub(super) async fn confirm(
        &mut self,
        revision: &RevisionName,
        commit: Option<&Commit>,
    ) -> Result<String, Failure> {
        let place = self.place(&Address::Service).await?;
        let commit = commit.filter(|_| self.verifier.tells_commit());
        let lags = self.lags_until(revision, commit);
        let until = Instant::now() + self.guard.confirm_grace;
        let until = lags.map_or(until, |lags| until.max(lags + ANSWER_TIME));
        let mut seen = Vec::new();
        let answers = answers_after(self.earlier_share(revision));
        let wanted = Wanted {
            answers,
            lags,
            until,
        };
        let looking = self.look(&place, revision, commit, wanted, &mut seen);
        let confirmed = tokio::select! {
            biased;
            stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
            confirmed = looking => confirmed,
            never = tick(self.sink, "confirm") => match never {},
        };
        if !confirmed {
            return Err(Failure::NotConfirmed {
                seen,
                seconds: self.guard.confirm_grace.as_secs(),
            });
        }
        Ok(match commit {
            Some(commit) => format!(
                "{answers} answers in a row from commit {} at {}",
                commit.short(),
                place.url
            ),
            None => format!("`{revision}` serves 100 % at {}", place.url),
        })
    }

    /// Looks until it is so; false when the time has passed, with what was seen last.
    async fn look(
        &self,
        place: &Place,
        revision: &RevisionName,
        commit: Option<&Commit>,
        wanted: Wanted,
        seen: &mut Vec<String>,
    ) -> bool {
        let Wanted {
            answers: enough,
            lags,
            until,
        } = wanted;
        let mut pause = PAUSES.0;
        // The write that shifted the traffic may have shown it already.
        let shown = self.live.as_ref().map(|live| &live.serving);
        let mut serves = shown.is_some_and(|serving| serves_alone(serving, revision));
        seen.extend(shown.map(|serving| format!("traffic: {}", serving_in_words(serving))));
        let mut answers = 0;
        loop {
            if !serves {
                let traffic = match self.cloud.read().await {
                    Ok(Some(live)) => {
                        serves = serves_alone(&live.serving, revision);
                        serving_in_words(&live.serving)
                    }
                    Ok(None) => "the service is gone".to_owned(),
                    Err(problem) => problem.title,
                };
                *seen = vec![format!("traffic: {traffic}")];
            }
            if serves {
                let Some(commit) = commit else {
                    // Nothing tells the answers apart. Somebody may move the traffic while this waits.
                    if let Some(until) = lags.filter(|until| *until > Instant::now()) {
                        tokio::time::sleep_until(until).await;
                        serves = false;
                        continue;
                    }
                    return true;
                };
                let asked = self
                    .verifier
                    .identity(&place.url, place.audience.as_deref());
                let identity = tokio::time::timeout(ANSWER_TIME, asked).await;
                let identity = identity.ok().flatten();
                seen.truncate(1);
                seen.push(answer_in_words(identity.as_ref()));
                if identity.is_some_and(|one| one.commit == commit.as_str()) {
                    answers += 1;
                    pause = PAUSES.0;
                    // It answers as it should: the next look needs no pause until it is the last.
                    if answers < enough {
                        continue;
                    }
                    match lags.filter(|lags| Instant::now() < *lags) {
                        None => return true,
                        Some(lags) => {
                            let next = Instant::now() + BETWEEN;
                            tokio::time::sleep_until(next.min(lags)).await;
                        }
                    }
                    continue;
                }
                answers = 0;
            }
            if Instant::now() + pause > until {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }
}

/// Answers in a row that are hardly luck if the revision may still have so many percent only.
fn answers_after(percent: u32) -> u32 {
    let share = f64::from(percent.min(99)) / 100.0;
    let mut luck = share;
    let mut answers = 1;
    while luck > LUCK && answers < MOST_ANSWERS {
        luck *= share;
        answers += 1;
    }
    answers.max(ANSWERS)
}

fn serves_alone(serving: &[Serving], revision: &RevisionName) -> bool {
    let own = serving.iter().filter(|entry| entry.revision == *revision);
    own.map(|entry| entry.percent).sum::<u32>() == 100
}

fn answer_in_words(identity: Option<&Identity>) -> String {
    match identity {
        Some(Identity { commit, version }) => format!(
            "last answer through the service's address: commit {commit}, version {}",
            version.as_deref().unwrap_or("not told")
        ),
        None => "last answer through the service's address: none that tells its commit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::answers_after;

    #[test]
    fn a_split_that_lingers_asks_for_more_answers() {
        let table = [(0, 3), (5, 3), (25, 5), (50, 10), (90, 50), (99, 50)];
        for (percent, answers) in table {
            assert_eq!(answers_after(percent), answers, "{percent} %");
        }
    }
}
