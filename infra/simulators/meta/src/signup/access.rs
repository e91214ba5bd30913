//! What a token sees: its accounts, the numbers in them, and whether it is alive at all.

use domain::Timestamp;

use crate::{Meta, Number, TokenFacts, state::State};

/// The subcode of a token whose time is over.
const EXPIRED: u32 = 463;

/// What a token may use.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) numbers: Vec<Number>,
    pub(crate) accounts: Vec<String>,
    pub(crate) facts: TokenFacts,
}

impl State {
    /// What a token sees, the newest account first; else the subcode that says why it is dead, if there is one.
    pub(crate) fn access(&self, token: &str, now: Timestamp) -> Result<Access, Option<u32>> {
        if let Some(subcode) = self.signup.ended.get(token) {
            return Err(Some(*subcode));
        }
        let facts = self.subscriptions.facts(token);
        let fixed = |number: &&Number| !token.is_empty() && number.access_token == token;
        let kept = |number: &&Number| !self.withdrawn.contains(&number.phone_number_id);
        let mut numbers: Vec<_> = self.numbers.iter().filter(fixed).filter(kept).cloned().collect();
        let mut accounts: Vec<_> = numbers.iter().map(|number| number.waba_id.clone()).collect();
        for account in self.signup.grants.get(token).into_iter().flat_map(|grant| &grant.accounts) {
            let own: Vec<_> = self.numbers.iter().filter(|number| number.waba_id == *account).collect();
            // Whose owner has withdrawn every number has withdrawn the account.
            if !own.is_empty() && own.iter().all(|number| self.withdrawn.contains(&number.phone_number_id)) {
                continue;
            }
            accounts.push(account.clone());
            let listed =
                |number: &Number| self.lines.get(&number.phone_number_id).is_some_and(|line| line.is_listed(now));
            numbers.extend(own.into_iter().filter(|number| kept(number) && listed(number)).cloned());
        }
        accounts.dedup();
        if accounts.is_empty() {
            return Err(None);
        }
        if facts.expires_at.is_some_and(|end| end <= now.as_secs()) {
            return Err(Some(EXPIRED));
        }
        numbers.retain(|number| !self.signup.hidden.contains(&number.phone_number_id));
        Ok(Access { numbers, accounts, facts })
    }
}

impl Meta {
    /// The tokens that codes were exchanged for, in order.
    pub fn issued_tokens(&self) -> Vec<String> {
        self.world.state().signup.issued.clone()
    }

    /// Every token of a signup that sees this account is dead from now on; the subcode says how: 460 the password, 463 its time,
    /// 467 the session, 458 the app was removed.
    pub fn end_tokens(&self, waba_id: &str, subcode: u32) {
        self.world.state().end_tokens(waba_id, subcode);
    }

    /// A number that no token sees any more, though it sees the account; or sees again.
    pub fn hide_number(&self, phone_number_id: &str, hidden: bool) {
        let all = &mut self.world.state().signup.hidden;
        if hidden {
            all.insert(phone_number_id.into());
        } else {
            all.remove(phone_number_id);
        }
    }
}

impl State {
    pub(crate) fn end_tokens(&mut self, waba_id: &str, subcode: u32) {
        let seeing = self.signup.grants.iter().filter(|(_, grant)| grant.accounts.iter().any(|own| own == waba_id));
        let tokens: Vec<_> = seeing.map(|(token, _)| token.clone()).collect();
        let fixed = self.numbers.iter().filter(|number| number.waba_id == waba_id && !number.access_token.is_empty());
        let tokens: Vec<_> = tokens.into_iter().chain(fixed.map(|number| number.access_token.clone())).collect();
        // The first cause stays.
        for token in tokens {
            self.signup.ended.entry(token).or_insert(subcode);
        }
    }
}
