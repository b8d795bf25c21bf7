//! Several executions that go together: none gets ahead of the others at a meeting point, and when
//! one fails the others are told, so that they go back too.

use std::sync::Arc;

use delivery::plan::Action;
use tokio::sync::watch;

/// Where the members of a convoy wait for each other, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Each has a plan: before anybody's first write.
    Planned,
    /// Before a candidate gets this percent of the traffic: all candidates have passed so far.
    Traffic(u32),
    /// Before the record is closed: all are confirmed.
    Record,
    /// Each has done its last step: from here on none is taken back.
    End,
    /// Nothing more is to be done.
    Gone,
}

impl Point {
    /// The meeting point before an action, if it has one.
    pub(super) fn before(action: &Action) -> Option<Self> {
        match action {
            Action::ShiftTraffic {
                revision, traffic, ..
            } => Some(Self::Traffic(traffic.percent_of(revision))),
            Action::Record { .. } => Some(Self::Record),
            _ => None,
        }
    }
}

/// How far each member is, and who failed first.
#[derive(Debug, Clone)]
struct Standing {
    reached: Vec<Option<Point>>,
    broken_by: Option<Arc<str>>,
}

/// One of several executions that go together.
#[derive(Debug, Clone)]
pub struct Member {
    standing: Arc<watch::Sender<Standing>>,
    index: usize,
    name: Arc<str>,
}

/// Makes one member for each name.
pub fn convoy<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Member> {
    let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
    let (standing, _) = watch::channel(Standing {
        reached: vec![None; names.len()],
        broken_by: None,
    });
    let standing = Arc::new(standing);
    let member = |(index, name)| Member {
        standing: Arc::clone(&standing),
        index,
        name,
    };
    names.into_iter().enumerate().map(member).collect()
}

impl Member {
    /// Waits until all others have come at least as far, for ever where one has failed. A member that
    /// is past the point does not go back.
    pub async fn meet(&self, point: Point) {
        self.reach(point);
        let all_here = |standing: &Standing| {
            let mut reached = standing.reached.iter();
            standing.broken_by.is_none() && reached.all(|reached| *reached >= Some(point))
        };
        // The sender lives in `self`.
        let _ = self.standing.subscribe().wait_for(all_here).await;
    }

    /// This one has nothing more to do: nobody waits for it.
    pub fn leave(&self) {
        self.reach(Point::Gone);
    }

    /// This one failed: the others stop and go back. The first failure is the one that is told.
    pub fn fail(&self) {
        self.standing.send_modify(|standing| {
            standing
                .broken_by
                .get_or_insert_with(|| Arc::clone(&self.name));
        });
    }

    /// Returns once another one has failed, with its name.
    pub async fn broken(&self) -> String {
        let by_another = |standing: &Standing| {
            let by = standing.broken_by.as_ref();
            by.is_some_and(|by| *by != self.name)
        };
        let mut receiver = self.standing.subscribe();
        match receiver.wait_for(by_another).await {
            Ok(standing) => standing.broken_by.as_deref().unwrap_or_default().to_owned(),
            Err(_) => std::future::pending().await,
        }
    }

    fn reach(&self, point: Point) {
        self.standing.send_modify(|standing| {
            if let Some(own) = standing.reached.get_mut(self.index) {
                *own = (*own).max(Some(point));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Time passes at once while nothing else can be done.
    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn nobody_gets_ahead_and_who_is_past_a_point_is_not_waited_for() {
        let members = convoy(["a", "b"]);
        let (a, b) = (&members[0], &members[1]);
        assert!(timeout(LONG, a.meet(Point::Traffic(5))).await.is_err());
        tokio::join!(a.meet(Point::Traffic(5)), b.meet(Point::Traffic(5)));
        // Its plan was made anew: an earlier point is no reason to wait.
        b.meet(Point::Planned).await;
        assert!(timeout(LONG, b.meet(Point::Record)).await.is_err());
        a.leave();
        b.meet(Point::End).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_told_to_all_others() {
        let members = convoy(["a", "b", "c"]);
        assert!(timeout(LONG, members[0].broken()).await.is_err());
        members[1].fail();
        members[2].fail();
        assert_eq!(members[0].broken().await, "b");
        assert_eq!(members[2].broken().await, "b");
        assert!(timeout(LONG, members[1].broken()).await.is_err());
    }

    #[test]
    fn points_are_in_order() {
        let order = [
            Point::Planned,
            Point::Traffic(5),
            Point::Traffic(100),
            Point::Record,
            Point::End,
            Point::Gone,
        ];
        assert!(order.is_sorted());
    }
}
