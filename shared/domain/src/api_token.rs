//! Holds an API token and renews it after a refusal.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

/// The work of a [`TokenSource`].
pub type Renewal<'a> = Pin<Box<dyn Future<Output = Option<SecretString>> + Send + 'a>>;

/// Where newer tokens come from.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// The token to call with after `refused`; nothing if there is no other.
    fn renew<'a>(&'a self, refused: &'a SecretString) -> Renewal<'a>;
}

/// The token of a client. Its clones share what was renewed.
#[derive(Clone, Debug)]
pub struct ApiToken {
    current: Arc<Mutex<SecretString>>,
    source: Option<Arc<dyn TokenSource>>,
}

impl ApiToken {
    /// A token that `source` renews.
    pub fn new(current: SecretString, source: Arc<dyn TokenSource>) -> Self {
        Self { current: Arc::new(Mutex::new(current)), source: Some(source) }
    }

    /// A token that is not renewed: to ask what it may do.
    pub fn fixed(current: SecretString) -> Self {
        Self { current: Arc::new(Mutex::new(current)), source: None }
    }

    /// The token to call with.
    pub fn current(&self) -> SecretString {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gets a newer token after `refused` was refused, and keeps it; nothing if there is none.
    pub async fn renew(&self, refused: &SecretString) -> Option<SecretString> {
        let renewed = self.source.as_ref()?.renew(refused).await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
        Some(renewed)
    }
}
