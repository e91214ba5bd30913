//! Reads settings from the environment, once at start.
//! Everything missing or wrong is reported in one message.

use std::str::FromStr;

use url::Url;

use crate::Setting;

/// Everything that is wrong with the environment.
#[derive(Debug, thiserror::Error)]
#[error("the environment is not complete: {}", faults.join("; "))]
pub struct ConfigError {
    faults: Vec<String>,
}

/// Reads settings and collects what is wrong with them.
#[derive(Debug, Default)]
pub struct Environment {
    faults: Vec<String>,
    lookup: Lookup,
}

#[derive(Debug, Default)]
enum Lookup {
    #[default]
    Process,
    Given(Vec<(String, String)>),
}

impl Environment {
    /// The environment of the process.
    pub fn process() -> Self {
        Self::default()
    }

    /// A given environment, for tests that build a function without touching the process.
    pub fn given(settings: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { faults: Vec::new(), lookup: Lookup::Given(settings.into_iter().collect()) }
    }

    /// A copy with one setting changed.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        let Lookup::Given(mut settings) = self.lookup else { return self };
        settings.retain(|(key, _)| key != name);
        settings.push((name.to_owned(), value.to_owned()));
        Self { lookup: Lookup::Given(settings), ..self }
    }

    /// Reads settings. Whatever is wrong with any of them is one error; until then a default stands for it.
    pub fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T, ConfigError> {
        let settings = read(&mut self);
        if self.faults.is_empty() { Ok(settings) } else { Err(ConfigError { faults: self.faults }) }
    }

    /// A setting that must be there.
    pub fn text(&mut self, setting: Setting) -> String {
        self.optional(setting).unwrap_or_else(|| {
            self.faults.push(format!("{} is missing", setting.name()));
            String::new()
        })
    }

    /// Records what is wrong with a setting that was read by itself.
    pub fn fault(&mut self, setting: Setting, why: &impl std::fmt::Display) {
        self.faults.push(format!("{}: {why}", setting.name()));
    }

    /// A setting that may be absent; empty is absent.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn optional(&self, setting: Setting) -> Option<String> {
        let name = setting.name();
        let value = match &self.lookup {
            Lookup::Process => std::env::var(name).ok(),
            Lookup::Given(settings) => settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A setting, parsed as a type.
    pub fn parsed<T: Default + FromStr<Err: std::fmt::Display>>(&mut self, setting: Setting) -> T {
        self.parsed_as(setting).unwrap_or_default()
    }

    /// A base URL with a host.
    pub fn url(&mut self, setting: Setting) -> Url {
        let nowhere = || Url::parse("http://localhost").unwrap_or_else(|_| unreachable!("this is an address"));
        let url = self.parsed_as(setting).unwrap_or_else(nowhere);
        if url.cannot_be_a_base() || !matches!(url.scheme(), "http" | "https") {
            self.fault(setting, &"must be an http or https address");
        }
        url
    }

    fn parsed_as<T: FromStr<Err: std::fmt::Display>>(&mut self, setting: Setting) -> Option<T> {
        let Some(text) = self.optional(setting) else {
            self.faults.push(format!("{} is missing", setting.name()));
            return None;
        };
        text.parse().map_err(|error| self.fault(setting, &error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_come_in_one_message() {
        let given = [("TABLE_NAME", ""), ("RETENTION_DAYS", "x"), ("GRAPH_URL", "ftp://h")];
        let env = Environment::given(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let read = env.read(|env| {
            (env.parsed::<u32>(Setting::RetentionDays), env.text(Setting::TableName), env.url(Setting::GraphUrl))
        });
        assert_eq!(
            read.unwrap_err().to_string(),
            "the environment is not complete: RETENTION_DAYS: invalid digit found in string; TABLE_NAME is missing; \
             GRAPH_URL: must be an http or https address"
        );
    }
}
