//! Says in words why `CloudFormation` failed, what to do, and which page tells more.

/// Something that happened to a resource.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
}

impl Failure {
    /// Whether it failed by itself, and not because of another.
    pub(super) fn is_own(&self) -> bool {
        let stopped = ["cancelled", "The following resource(s) failed", "Rollback requested"];
        self.status.ends_with("_FAILED")
            && !self.reason.is_empty()
            && !stopped.iter().any(|of| self.reason.contains(of))
    }

    /// As a line.
    pub(crate) fn in_words(&self) -> String {
        format!("{} ({}): {}", self.id, self.kind, Reason::of(&self.reason).in_words())
    }
}

/// A reason, and what follows from it.
#[derive(Debug)]
pub(crate) struct Reason<'r> {
    told: &'r str,
    next: &'static str,
    page: &'static str,
}

/// What a reason contains, what to do, and the page. The first that fits counts.
const KNOWN: [(&[&str], &str, &str); 8] = [
    (
        &["scheduled for deletion"],
        "the secret was deleted and can be had back: take it back first",
        "docs/runbook/stack-again.md",
    ),
    (
        &["already exists", "AlreadyExists"],
        "its name is taken, as of a stack that was deleted: take what is there into the new stack",
        "docs/runbook/stack-again.md",
    ),
    (
        &["AccessDenied", "not authorized", "is not allowed", "Unauthorized"],
        "the credentials may not do that: let them, then run `ops deploy` again",
        "docs/ops.md",
    ),
    (
        &["UnreservedConcurrentExecution", "ConcurrentExecutions"],
        "the account may not run so many functions: deploy with ReservedConcurrency=0, or ask AWS for more",
        "docs/limits.md",
    ),
    (&["imit exceeded", "LimitExceeded", "quota"], "a limit of the account is reached", "docs/limits.md"),
    (
        &["alarm", "Alarm", "CodeDeploy", "Deployment"],
        "an alarm took the new version back: mend what it tells, or deploy with Shift=AllAtOnce",
        "docs/runbook/update-failed.md",
    ),
    (
        &["arn:aws:kms", "KMS", "kms"],
        "the key of KmsKey does not let this in: look at its policy",
        "docs/configuration.md",
    ),
    (&["certificate", "Certificate"], "look at DomainCertificate: same region, issued", "docs/configuration.md"),
];

impl<'r> Reason<'r> {
    pub(crate) fn of(told: &'r str) -> Self {
        let known = KNOWN.iter().find(|(parts, ..)| parts.iter().any(|part| told.contains(part)));
        let (next, page) = known.map_or(("", "docs/runbook/update-failed.md"), |(_, next, page)| (*next, *page));
        Self { told, next, page }
    }

    pub(crate) fn in_words(&self) -> String {
        let next = if self.next.is_empty() { String::new() } else { format!(" → {}", self.next) };
        format!("{}{next} ({})", self.told.trim_end_matches('.'), self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_to_do_and_names_a_page_that_is_there() {
        let reasons = [
            ("lmotos-bridge already exists in stack arn:x", "stack-again"),
            ("a secret with this name is already scheduled for deletion", "taken back"),
            ("User: arn:x is not authorized to perform: iam:CreateRole", "may not do that"),
            (
                "decreases account's UnreservedConcurrentExecution below its minimum value of [10]",
                "ReservedConcurrency=0",
            ),
            ("CodeDeploy rolled back: One or more alarms have been activated", "Shift=AllAtOnce"),
            ("something nobody knows", "update-failed"),
        ];
        for (told, part) in reasons {
            let words = Reason::of(told).in_words();
            assert!(words.contains(part) || part == "taken back" && words.contains("take it back"), "{words}");
        }
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        assert!(KNOWN.iter().all(|(.., page)| root.join(page).is_file()));
    }

    #[test]
    fn what_was_only_stopped_is_no_reason() {
        let failure = |reason: &str| Failure {
            id: "Table".to_owned(),
            kind: "AWS::DynamoDB::Table".to_owned(),
            status: "CREATE_FAILED".to_owned(),
            reason: reason.to_owned(),
        };
        assert!(failure("lmotos-bridge already exists").is_own());
        assert!(!failure("Resource creation cancelled").is_own() && !failure("").is_own());
    }
}
