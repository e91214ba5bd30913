//! Reports what Meta says of a number and its templates.

use crate::{Locale, pick};

/// How many templates of a kind are named.
const MAX_NAMES_LISTED: usize = 10;

/// What Meta says of the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberReport {
    /// Its words for it.
    Told {
        /// `CONNECTED` and others.
        status: String,
        /// `GREEN` and others.
        quality: String,
        /// `TIER_1K` and others; empty if this version of Graph does not tell.
        limit: String,
    },
    /// It refuses the token.
    Forbidden,
    /// It does not answer now.
    Silent,
}

/// What Meta says of the account's templates. One that exists in several languages is named once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplatesReport {
    /// So many may be sent.
    pub approved: usize,
    /// Those that customers complained of.
    pub paused: Vec<String>,
    /// Those it refused.
    pub rejected: Vec<String>,
    /// Those it switched off.
    pub disabled: Vec<String>,
}

impl NumberReport {
    /// What follows the number's own state.
    pub(super) fn text(&self, locale: Locale) -> String {
        let (status, quality, limit) = match self {
            Self::Told { status, quality, limit } => (status, quality, limit),
            Self::Forbidden => {
                let (es, en) = (
                    "WhatsApp rechaza el permiso (token) del puente: nada sale hasta renovarlo; avisa al operador.",
                    "WhatsApp refuses the bridge's permission (token): nothing goes out until it is renewed; tell the operator.",
                );
                return pick(locale, es, en).to_owned();
            }
            Self::Silent => {
                let (es, en) = (
                    "WhatsApp no dice ahora su calidad ni su límite.",
                    "WhatsApp does not tell its quality and its limit now.",
                );
                return pick(locale, es, en).to_owned();
            }
        };
        let quality = match quality.as_str() {
            "GREEN" => pick(locale, "alta (verde)", "high (green)"),
            "YELLOW" => pick(locale, "media (amarilla)", "medium (yellow)"),
            "RED" => pick(
                locale,
                "baja (roja): hay quejas de clientes; envía menos plantillas",
                "low (red): customers complain; send fewer templates",
            ),
            _ => pick(locale, "sin calificar", "not rated"),
        };
        let mut told = vec![format!("{} {quality}", pick(locale, "Calidad:", "Quality:"))];
        told.extend(people(limit, locale));

        told.push(pick(locale, "permiso (token): vigente", "permission (token): valid").to_owned());
        if !matches!(status.as_str(), "CONNECTED" | "") {
            let word: String = status.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
            told.push(format!("{} `{word}`", pick(locale, "Meta lo llama", "Meta calls it")));
        }
        format!("{}.", told.join("; "))
    }
}

/// How many people a day may be written to first.
fn people(limit: &str, locale: Locale) -> Option<String> {
    let tier = limit.strip_prefix("TIER_")?;
    if tier == "UNLIMITED" {
        return Some(pick(locale, "plantillas sin límite diario", "templates without a daily limit").to_owned());
    }
    let count = match tier.strip_suffix('K') {
        Some(thousands) => thousands.parse::<u32>().ok()?.checked_mul(1000)?,
        None => tier.parse().ok()?,
    };
    Some(match locale {
        Locale::Es => format!("límite: plantillas a {count} personas en 24 h"),
        Locale::En => format!("limit: templates to {count} people in 24 h"),
    })
}

impl TemplatesReport {
    /// The line, as Markdown.
    pub(super) fn text(&self, locale: Locale) -> String {
        let mut told = vec![match (self.approved, locale) {
            (0, Locale::Es) => "ninguna aprobada".to_owned(),
            (0, Locale::En) => "none approved".to_owned(),
            (1, Locale::Es) => "1 aprobada".to_owned(),
            (count, Locale::Es) => format!("{count} aprobadas"),
            (count, Locale::En) => format!("{count} approved"),
        }];
        let kinds = [
            (&self.paused, "en pausa", "paused"),
            (&self.rejected, "rechazadas", "rejected"),
            (&self.disabled, "desactivadas", "switched off"),
        ];
        for (names, es, en) in kinds.into_iter().filter(|(names, _, _)| !names.is_empty()) {
            let listed: Vec<_> = names.iter().take(MAX_NAMES_LISTED).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > MAX_NAMES_LISTED { "…" } else { "" };
            told.push(format!("{}: {}{more}", pick(locale, es, en), listed.join(", ")));
        }
        format!("{}.", told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metas_words_become_the_agents() {
        let told = |status: &str, quality: &str, limit: &str| {
            let [status, quality, limit] = [status, quality, limit].map(str::to_owned);
            NumberReport::Told { status, quality, limit }.text(Locale::Es)
        };
        let green = "Calidad: alta (verde); límite: plantillas a 10000 personas en 24 h; permiso (token): vigente.";
        assert_eq!(told("CONNECTED", "GREEN", "TIER_10K"), green);
        assert!(told("FLAGGED", "RED", "TIER_250").contains("baja (roja)"));
        assert!(
            told("FLAGGED", "RED", "TIER_250")
                .ends_with("a 250 personas en 24 h; permiso (token): vigente; Meta lo llama `FLAGGED`.")
        );
        assert_eq!(told("", "", "new"), "Calidad: sin calificar; permiso (token): vigente.");
        assert!(NumberReport::Forbidden.text(Locale::En).contains("refuses the bridge's permission"));
    }
}
