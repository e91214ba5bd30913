//! One secret: its versions, and which stage each is in.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The stage that is read unless another is asked for.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// The stage of what was current before.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";

/// What a version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) text: Option<String>,
    /// In base64, as it came.
    pub(super) binary: Option<String>,
}

/// A version of a secret.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) content: Content,
    pub(super) stages: BTreeSet<String>,
    pub(super) created: Timestamp,
}

/// A secret.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) versions: BTreeMap<String, Version>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    /// When it goes, once it was deleted with time to change one's mind.
    pub(super) deleted: Option<Timestamp>,
    pub(super) tags: Vec<Value>,
    /// The key it was made with, where one was named.
    pub(super) key: Option<String>,
}

impl Secret {
    /// A secret without a value.
    pub(super) fn new(name: &str, now: Timestamp) -> Self {
        let suffix = &hex::encode(Sha256::digest(name))[..6];
        Self {
            name: name.to_owned(),
            arn: format!("arn:aws:secretsmanager:{}:{}:secret:{name}-{suffix}", crate::REGION, crate::ACCOUNT),
            description: None,
            versions: BTreeMap::new(),
            created: now,
            changed: now,
            deleted: None,
            tags: Vec::new(),
            key: None,
        }
    }

    /// Whether `id` means this secret: its name, its ARN, or that without the suffix.
    pub(super) fn is_meant_by(&self, id: &str) -> bool {
        id == self.name || id == self.arn || self.arn.rsplit_once('-').is_some_and(|(partial, _)| id == partial)
    }

    /// The current version.
    pub(super) fn current(&self) -> Option<&Version> {
        self.in_stage(CURRENT).map(|(_, version)| version)
    }

    /// The version in a stage.
    pub(super) fn in_stage(&self, stage: &str) -> Option<(&String, &Version)> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage))
    }

    /// Adds a version and moves the stages to it.
    pub(super) fn add(&mut self, id: String, content: Content, stages: &[String], now: Timestamp) {
        self.versions.insert(id.clone(), Version { content, stages: BTreeSet::new(), created: now });
        for stage in stages {
            self.stage(stage, Some(&id));
        }
        self.changed = now;
        // AWS drops versions without a stage in time; at once is in time.
        self.versions.retain(|_, version| !version.stages.is_empty());
    }

    /// Moves a stage to a version, or away from all; what was current becomes the previous one.
    pub(super) fn stage(&mut self, stage: &str, to: Option<&str>) {
        let from = self.in_stage(stage).map(|(id, _)| id.clone());
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
        if let Some(version) = to.and_then(|to| self.versions.get_mut(to)) {
            version.stages.insert(stage.to_owned());
        }
        if stage == CURRENT
            && from.as_deref() != to
            && let Some(from) = from
        {
            self.stage(PREVIOUS, Some(&from));
        }
    }

    /// Which version is in which stages.
    pub(super) fn stages(&self) -> Value {
        let stages = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        stages.map(|(id, version)| (id.clone(), json!(version.stages))).collect::<serde_json::Map<_, _>>().into()
    }
}
