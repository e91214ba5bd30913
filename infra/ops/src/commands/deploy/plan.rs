//! What a deploy would change, to be read before it is done.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::formation::{Action, Change};

/// The changes, in the order of what becomes of the resources.
#[derive(Debug, Default)]
pub(super) struct Plan(pub(super) Vec<Change>);

const ACTIONS: [(Action, &str); 4] = [
    (Action::Added, "added"),
    (Action::Changed, "changed"),
    (Action::Replaced, "replaced"),
    (Action::Removed, "removed"),
];

impl Plan {
    /// Of a stack that is not there: all of it is added, whatever its conditions leave out.
    pub(super) fn of_new(template: &Value) -> Self {
        let resources = template["Resources"].as_object().into_iter().flatten();
        let unconditional = resources.filter(|(_, resource)| resource.get("Condition").is_none());
        Self(
            unconditional
                .map(|(id, resource)| Change {
                    action: Action::Added,
                    id: id.clone(),
                    kind: resource["Type"].as_str().unwrap_or_default().to_owned(),
                })
                .collect(),
        )
    }

    /// Which of these it would make anew or take away.
    pub(super) fn replaces<'n>(&self, ids: &[&'n str]) -> Vec<&'n str> {
        let is_lost = |id: &&str| {
            self.0.iter().any(|change| {
                change.id == **id && matches!(change.action, Action::Replaced | Action::Removed)
            })
        };
        ids.iter().filter(|id| is_lost(id)).copied().collect()
    }

    pub(super) fn json(&self) -> Value {
        let of = |action: Action| -> Vec<Value> {
            let changes = self.0.iter().filter(|change| change.action == action);
            changes.map(|change| json!({ "id": change.id, "type": change.kind })).collect()
        };
        ACTIONS.iter().map(|(action, word)| ((*word).to_owned(), Value::from(of(*action)))).collect()
    }

    /// Such as `3 changed, 1 removed`.
    pub(super) fn counts(&self) -> String {
        let count = |action: Action| self.0.iter().filter(|change| change.action == action).count();
        let counts = ACTIONS.iter().map(|(action, word)| (count(*action), *word)).filter(|(count, _)| *count > 0);
        counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// A line for each of what is not merely added; what is added, by its kind.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        let mut added = BTreeMap::<&str, usize>::new();
        for change in self.0.iter().filter(|change| change.action == Action::Added) {
            *added.entry(&change.kind).or_default() += 1;
        }
        for (kind, count) in added {
            let _ = writeln!(words, "  {:<9} {count} × {kind}", "added");
        }
        for (action, word) in &ACTIONS[1..] {
            for change in self.0.iter().filter(|change| change.action == *action) {
                let _ = writeln!(words, "  {word:<9} {} ({})", change.id, change.kind);
            }
        }
        words
    }
}
