//! Says whether a receipt is ours, and unchanged.

use clap::Args;
use domain::erasure::{ReceiptCheck, SignedReceipt};
use serde_json::json;
use store::ErasureLedger;

use crate::{
    input,
    session::Session,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file it is in; `-` reads standard input.
    file: String,
}

impl Verify {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let text = input::read(&self.file)?;
        let stack = session.stack().await?;
        let key = stack.key().await?;
        let mut checked = ReceiptCheck::Forged;
        if let Ok(signed) = serde_json::from_str::<SignedReceipt>(&text) {
            checked = signed.check(&key);
            // The key is not what it was; the receipt that was kept is.
            if checked == ReceiptCheck::OtherKey
                && let Some(kept) = ErasureLedger::new(stack.table()).receipt(&signed.receipt.code).await?
            {
                checked = if kept == signed { ReceiptCheck::Genuine } else { ReceiptCheck::Forged };
            }
        }
        let words = match checked {
            ReceiptCheck::Genuine => "the receipt is genuine",
            ReceiptCheck::Forged => "the receipt is NOT genuine",
            ReceiptCheck::OtherKey => "the receipt is signed with another version of the key: this one cannot tell",
        };
        let genuine = checked == ReceiptCheck::Genuine;
        let told = json!({ "genuine": genuine, "checked": checked, "key": key.receipt_key_version() });
        Ok(Told::new(told, words).ending(if genuine { Exit::Done } else { Exit::NoSuchThing }))
    }
}
