//! Builds reply buttons and lists within Meta's limits (§4.2).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::split::length;

const MAX_BUTTONS: usize = 3;
const MAX_BUTTON_TITLE: usize = 20;
const MAX_ROWS: usize = 10;
const MAX_ROW_TITLE: usize = 24;
const MAX_DESCRIPTION: usize = 72;
/// Some of Meta's pages say 4,096 for lists; a text within this limit fits there.
const MAX_BODY: usize = 1024;
const MAX_BUTTON_ID: usize = 256;
const MAX_ROW_ID: usize = 200;

/// One of several answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractiveChoice {
    /// The id that comes back with the answer.
    pub id: String,
    /// What the customer reads and taps; one line.
    pub title: String,
    /// A description, if any.
    pub description: Option<String>,
}

/// A question with the answers to choose from, as Meta takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    body: String,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Buttons(Vec<InteractiveChoice>),
    List { label: String, rows: Vec<InteractiveChoice> },
}

impl Menu {
    /// Up to three short answers become buttons, up to ten a list behind a button that says `label` (at most 20 characters).
    /// `None` if Meta would take neither.
    pub fn new(body: String, label: &str, choices: Vec<InteractiveChoice>) -> Option<Self> {
        let titles: HashSet<&str> = choices.iter().map(|choice| choice.title.as_str()).collect();
        let fits = !body.trim().is_empty() && length(&body) <= MAX_BODY;
        if !fits || choices.is_empty() || titles.len() < choices.len() || titles.contains("") {
            return None;
        }
        let short = |most: usize| choices.iter().all(|choice| length(&choice.title) <= most);
        let described = |choice: &InteractiveChoice| choice.description.is_some();
        let shape = if choices.len() <= MAX_BUTTONS && short(MAX_BUTTON_TITLE) && !choices.iter().any(described) {
            Shape::Buttons(with_ids(choices, MAX_BUTTON_ID))
        } else if choices.len() <= MAX_ROWS
            && short(MAX_ROW_TITLE)
            && choices
                .iter()
                .filter_map(|choice| choice.description.as_deref())
                .all(|text| length(text) <= MAX_DESCRIPTION)
        {
            Shape::List { label: label.to_owned(), rows: with_ids(choices, MAX_ROW_ID) }
        } else {
            return None;
        };
        Some(Self { body, shape })
    }

    /// The member `interactive` of the call.
    pub(crate) fn compose(&self) -> Value {
        let body = json!({ "text": self.body });
        match &self.shape {
            Shape::Buttons(buttons) => {
                let button = |choice: &InteractiveChoice| json!({ "type": "reply", "reply": { "id": choice.id, "title": choice.title } });
                let buttons: Vec<Value> = buttons.iter().map(button).collect();
                json!({ "type": "button", "body": body, "action": { "buttons": buttons } })
            }
            Shape::List { label, rows } => {
                let rows: Vec<Value> = rows.iter().map(row).collect();
                json!({ "type": "list", "body": body, "action": { "button": label, "sections": [{ "rows": rows }] } })
            }
        }
    }
}

fn row(choice: &InteractiveChoice) -> Value {
    let mut row = json!({ "id": choice.id, "title": choice.title });
    if let Some(description) = &choice.description {
        row["description"] = json!(description);
    }
    row
}

/// Ids have to differ and to fit into `most`; one that does not is replaced by a number: its position, unless another has that.
fn with_ids(mut choices: Vec<InteractiveChoice>, most: usize) -> Vec<InteractiveChoice> {
    let mut taken = HashSet::new();
    let mut unfit = Vec::new();
    for (at, choice) in choices.iter().enumerate() {
        let id = choice.id.as_str();
        let fits = !id.is_empty() && id.trim() == id && length(id) <= most;
        if !fits || !taken.insert(id.to_owned()) {
            unfit.push(at);
        }
    }
    for at in unfit {
        let mut numbers = (at + 1..=at + choices.len()).map(|number| number.to_string());
        let free = numbers.find(|number| taken.insert(number.clone()));
        choices[at].id = free.unwrap_or_default();
    }
    choices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choice(title: &str) -> InteractiveChoice {
        InteractiveChoice { id: title.to_lowercase(), title: title.to_owned(), description: None }
    }

    fn kind(body: &str, choices: Vec<InteractiveChoice>) -> Option<String> {
        Menu::new(body.to_owned(), "Ver", choices).map(|menu| menu.compose()["type"].as_str().unwrap().to_owned())
    }

    fn many(count: usize, length: usize) -> Vec<InteractiveChoice> {
        (0..count).map(|n| choice(&format!("{n:0length$}"))).collect()
    }

    #[test]
    fn each_limit_holds_to_the_character() {
        for (count, length, expected) in [
            (1, 20, Some("button")),
            (3, 20, Some("button")),
            (3, 21, Some("list")),
            (4, 1, Some("list")),
            (10, 24, Some("list")),
            (11, 2, None),
            (2, 25, None),
            (0, 0, None),
        ] {
            assert_eq!(kind("¿Cuál?", many(count, length)).as_deref(), expected, "{count} of {length}");
        }
        assert_eq!(kind(&"x".repeat(1024), many(1, 1)).as_deref(), Some("button"));
        assert_eq!(kind(&"x".repeat(1025), many(1, 1)), None);
        assert_eq!(kind(" ", many(1, 1)), None);
    }

    #[test]
    fn what_is_described_is_a_list() {
        let described = |length: usize| InteractiveChoice { description: Some("x".repeat(length)), ..choice("Sí") };
        assert_eq!(kind("¿Va?", vec![described(72)]).as_deref(), Some("list"));
        assert_eq!(kind("¿Va?", vec![described(73)]), None);
    }

    fn ids(choices: Vec<InteractiveChoice>) -> Vec<String> {
        match Menu::new("¿Va?".into(), "Ver", choices).unwrap().shape {
            Shape::Buttons(all) | Shape::List { rows: all, .. } => all.into_iter().map(|one| one.id).collect(),
        }
    }

    #[test]
    fn the_same_title_twice_is_no_menu() {
        assert_eq!(kind("¿Va?", vec![choice("Sí"), choice("Sí")]), None);
    }

    #[test]
    fn only_an_id_that_does_not_fit_is_replaced() {
        let with = |title: &str, id: &str| InteractiveChoice { id: id.to_owned(), ..choice(title) };
        let long = "y".repeat(256);
        assert_eq!(ids(vec![with("Sí", &long), with("No", "no")]), [&long, "no"]);
        assert_eq!(ids(vec![with("Sí", "si"), with("No", &format!("{long}y"))]), ["si", "2"]);
        assert_eq!(ids(vec![with("Sí", "x"), with("No", "x")]), ["x", "2"]);
        assert_eq!(ids(vec![with("Sí", ""), with("No", "1"), with("Tal vez", "2")]), ["3", "1", "2"]);
        let row = |title: &str, id: &str| InteractiveChoice { description: Some("hoy".into()), ..with(title, id) };
        assert_eq!(ids(vec![row("Sí", &long[..200]), row("No", &long[..201])]), [&long[..200], "2"]);
    }

    #[test]
    fn it_is_written_as_meta_reads_it() {
        let menu = Menu::new("¿Va?".into(), "Ver", vec![choice("Sí")]).unwrap();
        let reply = json!({ "type": "reply", "reply": { "id": "sí", "title": "Sí" } });
        assert_eq!(
            menu.compose(),
            json!({ "type": "button", "body": { "text": "¿Va?" }, "action": { "buttons": [reply] } })
        );
        let row = InteractiveChoice { description: Some("hoy".into()), ..choice("Sí") };
        let rows = json!([{ "rows": [{ "id": "sí", "title": "Sí", "description": "hoy" }] }]);
        assert_eq!(
            Menu::new("¿Va?".into(), "Ver", vec![row]).unwrap().compose()["action"],
            json!({ "button": "Ver", "sections": rows })
        );
    }

    proptest! {
        #[test]
        fn a_menu_is_never_more_than_meta_takes(
            titles in proptest::collection::vec("[a-z🏍️ñ ]{0,26}", 0..13),
            ids in proptest::collection::vec("[ab ]{0,3}", 13),
        ) {
            let choices = titles.iter().zip(&ids).map(|(title, id)| InteractiveChoice { id: id.clone(), ..choice(title) }).collect();
            if let Some(menu) = Menu::new("¿Va?".into(), "Ver", choices) {
                let (most, title, all) = match &menu.shape {
                    Shape::Buttons(all) => (3, 20, all),
                    Shape::List { rows, .. } => (10, 24, rows),
                };
                prop_assert!((1..=most).contains(&all.len()));
                prop_assert!(all.iter().all(|one| (1..=title).contains(&length(&one.title)) && !one.id.trim().is_empty()));
                prop_assert_eq!(all.iter().map(|one| &one.id).collect::<HashSet<_>>().len(), all.len());
            }
        }
    }
}
