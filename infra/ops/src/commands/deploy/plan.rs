//! What a deploy would change, to be read before it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::template::rests_on;
use crate::formation::{Action, Change};

type Parameters = BTreeMap<String, String>;

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

    /// By what the template says alone, where nobody else compares.
    pub(super) fn between(old: (&Value, &Parameters), new: (&Value, &Parameters)) -> Self {
        let mut changes = Self::of_new(new.0).0;
        let before = &old.0["Resources"];
        changes.retain_mut(|change| {
            let resource = &new.0["Resources"][&change.id];
            let Some(known) = before.get(&change.id) else { return true };
            change.action = Action::Changed;
            let mut on = BTreeSet::new();
            rests_on(resource, new.0, &mut on);
            known != resource || on.iter().any(|name| old.1.get(name) != new.1.get(name))
        });
        let gone = before.as_object().into_iter().flatten().filter(|(id, _)| new.0["Resources"].get(id).is_none());
        changes.extend(gone.map(|(id, resource)| Change {
            action: Action::Removed,
            id: id.clone(),
            kind: resource["Type"].as_str().unwrap_or_default().to_owned(),
        }));
        changes.sort();
        Self(changes)
    }

    /// Which of these it would make anew or take away.
    pub(super) fn replaces<'n>(&self, ids: &[&'n str]) -> Vec<&'n str> {
        let is_lost = |id: &&str| {
            self.0.iter().any(|change| change.id == **id && matches!(change.action, Action::Replaced | Action::Removed))
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
