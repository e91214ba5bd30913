//! Fills a template with its values.

use std::collections::BTreeMap;

use super::{Button, Category, Fault, Header, Picked, Standing, Template, Text};
use crate::message::MediaKind;

/// Meta's limits for filled texts, in characters.
const MAX_BODY: usize = 1024;
const MAX_HEADER: usize = 60;
/// The longest code to copy.
const MAX_CODE: usize = 15;
/// The longest end of a button's address.
const MAX_URL: usize = 2000;
/// What comes back from a button may be as long as a reply button's id.
const MAX_PAYLOAD: usize = 256;
/// This many blanks in a row are refused.
const BLANKS: &str = "     ";

/// A template with its values, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What it is for.
    pub category: Category,
    /// Whether the values go by name.
    pub named: bool,
    /// What the header needs.
    pub header: Option<FilledHeader>,
    /// Names and values of the body.
    pub body: Vec<(String, String)>,
    /// What the buttons need, by their position from 0.
    pub buttons: Vec<(usize, FilledButton)>,
}

/// What a header needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilledHeader {
    /// Names and values of its line.
    Text(Vec<(String, String)>),
    /// A file.
    File {
        /// Of this kind.
        kind: MediaKind,
        /// From this address.
        url: String,
        /// With this name.
        name: Option<String>,
    },
}

/// What a button needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilledButton {
    /// The end of its address.
    Url(String),
    /// What comes back when it is tapped.
    QuickReply(String),
    /// The code.
    CopyCode(String),
    /// A form that starts at its own start.
    Flow,
}

impl Template {
    /// Whether agents should be offered it.
    pub fn is_offered(&self) -> bool {
        self.standing == Standing::Approved && !self.beyond_us && self.category != Category::Authentication
    }

    /// The template filled with what was picked, or what is wrong with that. Values that were not asked for are left out.
    pub fn fill(&self, picked: &Picked) -> Result<Filled, Fault> {
        match self.standing {
            Standing::Approved => {}
            Standing::Paused => return Err(Fault::Paused),
            Standing::Closed => return Err(Fault::Closed),
        }
        if self.beyond_us {
            let sign_in = self.category == Category::Authentication;
            return Err(if sign_in { Fault::SignIn } else { Fault::BeyondUs });
        }
        let header = match &self.header {
            Some(Header::Text(text)) if !text.names().is_empty() => {
                Some(FilledHeader::Text(filled(text, &picked.header, MAX_HEADER)?))
            }
            Some(Header::File(kind)) => {
                let url = picked.file.as_deref().map(str::trim).filter(|url| !url.is_empty()).ok_or(Fault::NoFile)?;
                Some(FilledHeader::File { kind: *kind, url: url.to_owned(), name: picked.filename.clone() })
            }
            Some(Header::Text(_)) | None => None,
        };
        let body = filled(&self.body, &picked.body, MAX_BODY)?;
        let mut buttons = Vec::new();
        for (at, button) in self.buttons.iter().enumerate() {
            let value =
                picked.buttons.get(at).and_then(Option::as_deref).map(str::trim).filter(|value| !value.is_empty());
            let needed = |most| checked(value.ok_or(Fault::NoButton)?, most);
            let filled = match button {
                Button::Url(text) if !text.names().is_empty() => FilledButton::Url(needed(MAX_URL)?),
                Button::CopyCode => FilledButton::CopyCode(needed(MAX_CODE)?),
                Button::QuickReply => match value {
                    Some(value) => FilledButton::QuickReply(checked(value, MAX_PAYLOAD)?),
                    None => continue,
                },
                Button::Flow => FilledButton::Flow,
                Button::Url(_) | Button::Fixed => continue,
            };
            buttons.push((at, filled));
        }
        let (name, language) = (self.name.clone(), self.language.clone());
        Ok(Filled { name, language, category: self.category, named: self.named, header, body, buttons })
    }

    /// The values of the template in the order a person reads them: the header's, the body's, those of its buttons.
    pub fn pick(&self, values: &[&str]) -> Result<Picked, Fault> {
        let mut left = values.iter().map(|value| value.trim().to_owned());
        let mut next = || left.next().ok_or(Fault::Count);
        let mut picked = Picked { name: self.name.clone(), language: Some(self.language.clone()), ..Picked::default() };
        match &self.header {
            Some(Header::Text(text)) => {
                for name in text.names() {
                    picked.header.insert(name.to_owned(), next()?);
                }
            }
            Some(Header::File(_)) => picked.file = Some(next()?),
            None => {}
        }
        for name in self.body.names() {
            picked.body.insert(name.to_owned(), next()?);
        }
        for button in &self.buttons {
            picked.buttons.push(if button.takes_value() { Some(next()?) } else { None });
        }
        if left.next().is_some() { Err(Fault::Count) } else { Ok(picked) }
    }

    /// How many values [`Template::pick`] takes.
    pub fn values(&self) -> usize {
        let header = match &self.header {
            Some(Header::Text(text)) => text.names().len(),
            Some(Header::File(_)) => 1,
            None => 0,
        };
        header + self.body.names().len() + self.buttons.iter().filter(|button| button.takes_value()).count()
    }
}

impl Button {
    fn takes_value(&self) -> bool {
        match self {
            Self::CopyCode => true,
            Self::Url(text) => !text.names().is_empty(),
            Self::QuickReply | Self::Flow | Self::Fixed => false,
        }
    }
}

/// The values of a text, each checked, and the text with them.
fn filled(text: &Text, values: &BTreeMap<String, String>, most: usize) -> Result<Vec<(String, String)>, Fault> {
    let value = |name: &str| {
        let value = values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        Ok((name.to_owned(), checked(value.ok_or(Fault::NoValue)?, most)?))
    };
    let found: Vec<(String, String)> = text.names().into_iter().map(value).collect::<Result<_, _>>()?;
    if !found.is_empty() && text.filled(&found.iter().cloned().collect()).chars().count() > most {
        return Err(Fault::TooLong);
    }
    Ok(found)
}

fn checked(value: &str, most: usize) -> Result<String, Fault> {
    if value.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']) || value.contains(BLANKS) {
        return Err(Fault::Blanks);
    }
    if value.chars().count() > most {
        return Err(Fault::TooLong);
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template {
            name: "cotizacion".into(),
            language: "es_MX".into(),
            category: Category::Utility,
            standing: Standing::Approved,
            named: false,
            header: Some(Header::Text(Text::read("Hola {{1}}"))),
            body: Text::read("Tu {{2}} por {{1}}"),
            buttons: vec![
                Button::QuickReply,
                Button::Url(Text::read("https://x.example/{{1}}")),
                Button::CopyCode,
                Button::Fixed,
                Button::Flow,
            ],
            beyond_us: false,
        }
    }

    #[test]
    fn values_in_order_fill_it_whole() {
        let template = template();
        assert_eq!(template.values(), 5);
        let picked = template.pick(&["Ana", "$9", "RX 150", "88412", "MOTO10"]).unwrap();
        let filled = template.fill(&picked).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(filled.header, Some(FilledHeader::Text(vec![pair("1", "Ana")])));
        assert_eq!(filled.body, [pair("1", "$9"), pair("2", "RX 150")]);
        assert_eq!(
            filled.buttons,
            [
                (1, FilledButton::Url("88412".into())),
                (2, FilledButton::CopyCode("MOTO10".into())),
                (4, FilledButton::Flow)
            ]
        );
        assert_eq!(template.pick(&["Ana"]), Err(Fault::Count));
        assert_eq!(template.pick(&["a"; 6]), Err(Fault::Count));
    }

    #[test]
    fn each_fault_has_its_name() {
        let good = template().pick(&["Ana", "$9", "RX", "8", "C"]).unwrap();
        let with = |change: fn(&mut Template, &mut Picked)| {
            let (mut template, mut picked) = (template(), good.clone());
            change(&mut template, &mut picked);
            template.fill(&picked).unwrap_err()
        };
        assert_eq!(with(|template, _| template.standing = Standing::Paused), Fault::Paused);
        assert_eq!(with(|template, _| template.standing = Standing::Closed), Fault::Closed);
        assert_eq!(with(|template, _| template.beyond_us = true), Fault::BeyondUs);
        let sign_in = |template: &mut Template, _: &mut Picked| {
            (template.beyond_us, template.category) = (true, Category::Authentication);
        };
        assert_eq!(with(sign_in), Fault::SignIn);
        assert_eq!(with(|template, _| template.header = Some(Header::File(MediaKind::Image))), Fault::NoFile);
        assert_eq!(with(|_, picked| picked.body.clear()), Fault::NoValue);
        assert_eq!(with(|_, picked| _ = picked.body.insert("1".into(), "  ".into())), Fault::NoValue);
        assert_eq!(with(|_, picked| picked.buttons.clear()), Fault::NoButton);
        for blanks in ["a\nb", "a\tb", "a     b", "a\u{2028}b", "a\u{2029}b"] {
            let mut picked = good.clone();
            picked.body.insert("1".into(), blanks.into());
            assert_eq!(template().fill(&picked), Err(Fault::Blanks), "{blanks:?}");
        }
        assert_eq!(with(|_, picked| _ = picked.body.insert("1".into(), "x".repeat(1020))), Fault::TooLong);
        assert_eq!(with(|_, picked| _ = picked.header.insert("1".into(), "x".repeat(56))), Fault::TooLong);
        assert_eq!(with(|_, picked| picked.buttons[2] = Some("x".repeat(16))), Fault::TooLong);
        assert_eq!(with(|_, picked| picked.buttons[0] = Some("x".repeat(257))), Fault::TooLong);
        assert_eq!(with(|_, picked| picked.buttons[0] = Some("a\nb".into())), Fault::Blanks);
    }
}
