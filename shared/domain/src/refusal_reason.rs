//! Names the reasons for which an item is refused.
//! Dead letters carry them, and the item ledger counts by them.

crate::documented! {
    /// Why an item was refused. The comments say what happened and, of a dead letter, what the operator does about it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum RefusalReason {
        /// Meta signed a body that is not JSON of a webhook. `encoding` may be `base64`; `part` says `1/3` if it was cut, and
        /// `letter` is the same for all its pieces.
        ///
        /// Look at it. If Meta changed its format, a new version has to read it.
        UnreadableBody = "unreadable_body",
        /// A message for a phone number id that is not in the table. A status for one is only counted.
        ///
        /// Add the channel, then redrive. If the number is not ours, remove the webhook subscription and delete the letter.
        UnknownChannel = "unknown_channel",
        /// A webhook field this version does not handle.
        ///
        /// Redrive after the version that knows it is deployed.
        UnknownField = "unknown_field",
        /// An item without a person or of the wrong shape.
        ///
        /// Look at it; most often Meta added something.
        UnreadableItem = "unreadable_item",
        /// An item of more than 1 MiB.
        ///
        /// Look at it; most often Meta added something. `part` numbers its pieces.
        TooLargeForTheQueue = "too_large_for_the_queue",
        /// A task of a version that is not this one.
        ///
        /// Deploy the version that knows it, then redrive.
        UnreadableTask = "unreadable_task",
        /// Five attempts ended without a word.
        ///
        /// Find the crash in the logs of `forward` at the times of the letter, fix it, then redrive.
        CrashesTheFunction = "crashes_the_function",
        /// Chatwoot refused for half an hour (400, 409, 413, 422), or a file kept breaking off on its way into Chatwoot.
        ///
        /// Check inbox and account in Chatwoot, and what stands before it (time-outs, the size of uploads), then redrive.
        RefusedByChatwoot = "refused_by_chatwoot",
        /// The table holds an item this version cannot read.
        ///
        /// A fault of ours: keep the letter and look at the logs.
        UnusableItem = "unusable_item",
        /// A person being erased wrote anew, and the erasure did not come to its end in 12 days.
        ///
        /// See [what it waits for](runbook/erasure.md), then redrive once it is done.
        ErasureTakesTooLong = "erasure_takes_too_long",
        /// It was sent before an erasure of its person.
        Erased = "erased",
        /// It came more than 15 days after it happened, and Meta repeats for seven only: most likely a webhook that was captured
        /// and is posted again.
        TooOld = "too_old",
        /// A status of a message that did not become known within a day: mostly another app of the business sent it.
        UnknownMessage = "unknown_message",
        /// A status this version does not know.
        UnknownStatus = "unknown_status",
        /// A status of something else than a message, such as a payment.
        NotAboutAMessage = "not_about_a_message",
        /// An event for another product of the app.
        NotForUs = "not_for_us",
        /// News of a person who is no customer.
        NeverWrote = "never_wrote",
        /// The business wrote it to its own number.
        NoteToOneself = "note_to_oneself",
        /// A message of the phone's past that is older than what is kept.
        PastRetention = "past_retention",
        /// A message of the phone's past that does not say who wrote it.
        NoSide = "no_side",
        /// A reaction, an edit or a deletion of the phone's past whose message came in another part of it.
        AboutAnotherMessage = "about_another_message",
        /// A file of the phone's past: it stays on the phone.
        FileOnThePhone = "file_on_the_phone",
        /// The shop shares no history, or Meta sends none.
        NotShared = "not_shared",
        /// A name of the phone's contact book for which there is no contact, or which an agent changed.
        NameNotUsed = "name_not_used",
    }
}

impl RefusalReason {
    /// Its name in dead letters and in the ledger.
    pub const fn word(self) -> &'static str {
        Self::DOCUMENTED[self as usize].0
    }
}
