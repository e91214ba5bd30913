//! Repeats a conditional write until it wins, or has lost too often.

use std::ops::ControlFlow;

use crate::StoreError;

/// How often a write may lose to other writers before it is left to a later try.
pub(crate) const MAX_TRIES: usize = 8;

/// Reads, changes and writes until a write wins. `attempt` returns nothing when another writer came between; it then reads
/// again what it changes. All compare-and-swap loops are this one.
pub(crate) async fn until_written<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<Option<T>, StoreError>>,
{
    until_written_from((), |()| {
        let attempt = attempt();
        async { Ok(attempt.await?.map_or(ControlFlow::Continue(()), ControlFlow::Break)) }
    })
    .await
}

/// The same, for a write that depends on what was read before. `attempt` goes on with what it has read since.
pub async fn until_written_from<S, T, E, F>(mut seen: S, mut attempt: impl FnMut(S) -> F) -> Result<T, E>
where
    E: From<StoreError>,
    F: Future<Output = Result<ControlFlow<T, S>, E>>,
{
    for _ in 0..MAX_TRIES {
        // On the heap: futures of callers would hold it twice.
        match Box::pin(attempt(seen)).await? {
            ControlFlow::Break(written) => return Ok(written),
            ControlFlow::Continue(since) => seen = since,
        }
    }
    Err(StoreError::Contended.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wins_at(win: usize) -> Result<usize, StoreError> {
        let attempt =
            async |tries| Ok(if tries == win { ControlFlow::Break(tries) } else { ControlFlow::Continue(tries + 1) });
        until_written_from(1, attempt).await
    }

    #[tokio::test]
    async fn the_first_write_that_wins_is_the_last() {
        assert!(matches!(wins_at(1).await, Ok(1)));
        assert!(matches!(wins_at(MAX_TRIES).await, Ok(MAX_TRIES)));
    }

    #[tokio::test]
    async fn a_write_that_always_loses_is_given_up() {
        assert!(matches!(wins_at(MAX_TRIES + 1).await, Err(StoreError::Contended)));
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let mut tries = 0;
        let outcome: Result<(), _> = until_written(|| {
            tries += 1;
            async { Err(StoreError::Missing) }
        })
        .await;
        assert!(matches!(outcome, Err(StoreError::Missing)));
        assert_eq!(tries, 1);
    }
}
