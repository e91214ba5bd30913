//! Looks at everything the bridge needs, and says of each thing whether it is well, and what to do.

mod chatwoot;
mod cloud;
mod meta;
mod probe;
mod rounds;

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    output::List,
    session::Session,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Sends a real message to this phone, and follows it through. It must have written to the number within 24 hours.
    #[arg(long, value_name = "PHONE")]
    probe: Option<String>,
    /// The number that sends it, where there are several.
    #[arg(long, value_name = "PHONE_NUMBER_ID", requires = "probe")]
    from: Option<String>,
}

/// How well a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// The findings, shown as they come.
struct Findings<'o> {
    list: List<'o>,
    worst: Level,
}

impl Doctor {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let mut findings = Findings { list: session.output.list(&[]), worst: Level::Ok };
        session.output.progress("looking at AWS");
        let looked = cloud::look(&stack, &mut findings).await;
        findings.unless("AWS", looked)?;
        match stack.clients().await {
            Ok(clients) => {
                session.output.progress("asking Chatwoot");
                let looked = chatwoot::look(&stack, &clients, &mut findings).await;
                findings.unless("Chatwoot", looked)?;
                if let Err(error) = clients.channels.all().await {
                    let next = "nothing of the numbers can be looked at before that";
                    findings.fail("numbers", &format!("they cannot be read: {error}"), next, "docs/setup.md")?;
                    session.output.progress_over();
                    return Ok(findings.list.end("")?.ending(Exit::SomethingWrong));
                }
                session.output.progress("asking Meta");
                let looked = Box::pin(meta::look(&stack, &clients, &mut findings)).await;
                findings.unless("Meta", looked)?;
                let looked = rounds::look(&stack, &clients, &mut findings).await;
                findings.unless("schedules", looked)?;
                if let Some(phone) = &self.probe {
                    session.output.progress("sending a message, and following it");
                    let looked = Box::pin(probe::look(&clients, phone, self.from.as_deref(), &mut findings)).await;
                    findings.unless("probe", looked)?;
                }
            }
            Err(error) => {
                let next = "nothing else can be looked at before that";
                findings.fail("settings", &format!("{error:#}"), next, "docs/setup.md")?;
            }
        }
        session.output.progress_over();
        let exit = if findings.worst == Level::Fail { Exit::SomethingWrong } else { Exit::Done };
        Ok(findings.list.end("")?.ending(exit))
    }
}

impl Findings<'_> {
    /// A thing is well.
    fn ok(&mut self, check: &str, words: &str) -> anyhow::Result<()> {
        self.say(Level::Ok, check, words, "", "")
    }

    /// A thing ought to be looked after.
    fn warn(&mut self, check: &str, words: &str, next: &str, page: &str) -> anyhow::Result<()> {
        self.say(Level::Warn, check, words, next, page)
    }

    /// A thing does not work.
    fn fail(&mut self, check: &str, words: &str, next: &str, page: &str) -> anyhow::Result<()> {
        self.say(Level::Fail, check, words, next, page)
    }

    /// What could not be looked at is a finding, too, and ends nothing else.
    fn unless(&mut self, check: &str, looked: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = looked else { return Ok(()) };
        self.fail(check, &format!("cannot be looked at: {error:#}"), "let these credentials do it", "docs/ops.md")
    }

    fn say(&mut self, level: Level, check: &str, words: &str, next: &str, page: &str) -> anyhow::Result<()> {
        self.worst = self.worst.max(level);
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let row = json!({ "level": level, "check": check, "words": words, "next": some(next), "page": some(page) });
        let word = match level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        let mut text = format!("{word:<5} {check}: {words}");
        if !next.is_empty() {
            let _ = write!(text, " → {next} ({page})");
        }
        self.list.paragraph(&row, &text, 6)
    }
}
