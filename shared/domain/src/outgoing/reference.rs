//! A reference lets a status name the call it is about.

use crate::{AccountId, ConversationId, MessageId};

/// What we write into `biz_opaque_callback_data`: Meta echoes it in every status of the message, and so names a call
/// whose answer we never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation in it.
    pub conversation: ConversationId,
    /// The agent's message.
    pub message: MessageId,
    /// The part of it, from 0.
    pub part: usize,
    /// The call for that part, from 1.
    pub attempt: u32,
}

impl Reference {
    /// As text; at most 512 characters are allowed.
    pub fn compose(&self) -> String {
        format!("lm1:{}:{}:{}:{}:{}", self.account, self.conversation, self.message, self.part, self.attempt)
    }

    /// Reads one of ours; any other text belongs to another system.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix("lm1:")?.split(':');
        let reference = Self {
            account: AccountId(fields.next()?.parse().ok()?),
            conversation: ConversationId(fields.next()?.parse().ok()?),
            message: MessageId(fields.next()?.parse().ok()?),
            part: fields.next()?.parse().ok()?,
            attempt: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_and_others_are_not_ours() {
        let reference = Reference {
            account: AccountId(3),
            conversation: ConversationId(482),
            message: MessageId(90_210),
            part: 1,
            attempt: 2,
        };
        assert_eq!(Reference::parse(&reference.compose()), Some(reference));
        assert_eq!(Reference::parse("cw:acct=1;msg=88412"), None);
        assert_eq!(Reference::parse("lm1:3:482:90210:1:2:9"), None);
    }
}
