//! The points of a check: each is asked and noted by its name, also behind one that does not hold.

use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// What a check asked one by one, and how the answer was wrong where it was.
#[derive(Debug, Default)]
pub(crate) struct Points(Mutex<Vec<(String, Option<String>)>>);

impl Points {
    /// Notes a point. Two of one name could not be told apart.
    #[track_caller]
    pub(crate) fn holds(&self, what: &str, held: bool, otherwise: impl Debug) {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(points.iter().all(|point| point.0 != what), "two points of one name: {what}");
        points.push((what.to_owned(), (!held).then(|| format!("{otherwise:.400?}"))));
    }

    /// Notes whether a call was refused with this code, in words that hold these.
    #[track_caller]
    pub(crate) fn refused<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(
        &self,
        what: &str,
        outcome: &Result<T, SdkError<E, R>>,
        (code, words): (&str, &str),
    ) {
        let held = outcome.as_ref().is_err_and(|error| {
            let message = ProvideErrorMetadata::message(error).unwrap_or_default();
            ProvideErrorMetadata::code(error) == Some(code) && message.contains(words)
        });
        self.holds(what, held, outcome);
    }

    /// The names of all points so far.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|point| point.0.clone()).collect()
    }

    /// Those that do not hold, with what came instead.
    pub(crate) fn differences(&self) -> Vec<(String, String)> {
        let points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        points.iter().filter_map(|(name, wrong)| Some((name.clone(), wrong.clone()?))).collect()
    }

    /// The end of a check where no difference is known.
    #[track_caller]
    pub(crate) fn all_hold(&self) {
        assert_eq!(self.differences(), []);
    }
}
