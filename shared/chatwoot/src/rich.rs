//! Reads messages with choices, cards, forms or articles (§2.5, §3.4). Bots, automations and the API make them; a dashboard
//! user has no button for them.

use serde::Deserialize;
use serde_json::Value;

/// What a message shows beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RichContent {
    /// `input_select`: choose one of these.
    Choices(Vec<RichChoice>),
    /// `cards`, side by side.
    Cards(Vec<RichCard>),
    /// `form`: questions to be answered.
    Form(Vec<FormField>),
    /// `article`: pages of the help center.
    Articles(Vec<ArticleCard>),
}

/// One of several answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RichChoice {
    /// What the customer reads.
    #[serde(deserialize_with = "text")]
    pub title: String,
    /// The value by which the bot knows it.
    #[serde(deserialize_with = "text")]
    pub value: String,
    /// More about it; versions up to 4.15 refuse it.
    #[serde(deserialize_with = "text")]
    pub description: String,
}

/// A card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RichCard {
    /// Its headline.
    #[serde(deserialize_with = "text")]
    pub title: String,
    /// Its text.
    #[serde(deserialize_with = "text")]
    pub description: String,
    /// The address of its picture.
    #[serde(deserialize_with = "text")]
    pub media_url: String,
    /// Its buttons.
    #[serde(deserialize_with = "each")]
    pub actions: Vec<CardAction>,
}

/// A button of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CardAction {
    /// Its label.
    #[serde(deserialize_with = "text")]
    pub text: String,
    /// The address it opens; empty if it only answers.
    #[serde(deserialize_with = "text")]
    pub uri: String,
}

/// A question of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FormField {
    /// The question.
    #[serde(deserialize_with = "text")]
    pub label: String,
    /// Its name, where it has no label.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// An example.
    #[serde(deserialize_with = "text")]
    pub placeholder: String,
    /// The answers to choose from, if it is not free.
    #[serde(deserialize_with = "each")]
    pub options: Vec<FormAnswer>,
}

/// An answer to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FormAnswer {
    /// The label.
    #[serde(deserialize_with = "text")]
    pub label: String,
    /// The label in other versions.
    #[serde(deserialize_with = "text")]
    pub title: String,
}

/// A page of the help center.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ArticleCard {
    /// Its headline.
    #[serde(deserialize_with = "text")]
    pub title: String,
    /// What it is about.
    #[serde(deserialize_with = "text")]
    pub description: String,
    /// Its address.
    #[serde(deserialize_with = "text")]
    pub link: String,
}

/// The items of a message of this type; `None` if there are none, or the type has none.
pub(crate) fn read(content_type: Option<&str>, items: &[Value]) -> Option<RichContent> {
    let rich = match content_type? {
        "input_select" => RichContent::Choices(all(items, |choice: &RichChoice| !choice.title.is_empty())),
        "cards" => RichContent::Cards(all(items, |card| *card != RichCard::default())),
        "form" => RichContent::Form(all(items, |field| *field != FormField::default())),
        "article" => RichContent::Articles(all(items, |article| *article != ArticleCard::default())),
        _ => return None,
    };
    let empty = match &rich {
        RichContent::Choices(items) => items.is_empty(),
        RichContent::Cards(items) => items.is_empty(),
        RichContent::Form(items) => items.is_empty(),
        RichContent::Articles(items) => items.is_empty(),
    };
    (!empty).then_some(rich)
}

/// The items that can be read and are not empty.
fn all<T: for<'de> Deserialize<'de>>(items: &[Value], says: impl Fn(&T) -> bool) -> Vec<T> {
    items.iter().filter_map(|item| T::deserialize(item).ok()).filter(says).collect()
}

/// One line of text; a number counts as text, anything else is absent.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    })
}

fn each<'de, D: serde::Deserializer<'de>, T: for<'a> Deserialize<'a>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(all(value.as_array().map(Vec::as_slice).unwrap_or_default(), |_| true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(value: &Value) -> &[Value] {
        value.as_array().unwrap()
    }

    #[test]
    fn an_odd_item_does_not_cost_the_others() {
        let odd = json!([{ "title": " Sí ", "value": 7 }, 3, { "value": "x" }, { "title": null }, { "title": ["a"] }]);
        let choice = RichChoice { title: "Sí".into(), value: "7".into(), description: String::new() };
        assert_eq!(read(Some("input_select"), items(&odd)), Some(RichContent::Choices(vec![choice])));
    }

    #[test]
    fn without_items_it_is_only_words() {
        assert_eq!(read(Some("input_select"), &[]), None);
        assert_eq!(read(Some("cards"), items(&json!([{}, null]))), None);
        assert_eq!(read(Some("text"), items(&json!([{ "title": "x" }]))), None);
    }

    #[test]
    fn a_card_has_its_buttons() {
        let card = json!([{ "title": "RX150", "media_url": "https://x.example/a.png",
            "actions": [{ "type": "link", "text": "Ver", "uri": "https://x.example" }, { "text": "Quiero", "payload": "p" }] }]);
        let Some(RichContent::Cards(cards)) = read(Some("cards"), items(&card)) else { panic!() };
        assert_eq!((cards[0].title.as_str(), cards[0].actions.len()), ("RX150", 2));
        assert_eq!(cards[0].actions[1], CardAction { text: "Quiero".into(), uri: String::new() });
    }
}
