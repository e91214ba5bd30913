//! Asks for what the phone knows: its contact book, then its chats. Meta takes each of the two once for an onboarding, within a day.

use domain::{
    PhoneNumberId,
    history::ASKED_TOO_LATE,
    signup::{INTENT_TTL, OnceOnly, SignupFault, SignupStep, Spent},
};
use secrecy::SecretString;
use whatsapp::signup::{Past, SYNC_ASKED_ALREADY, SYNC_TOO_LATE};

use super::Walk;
use crate::stop::{Stop, was_not_taken};

/// Webhooks without which what comes of it would be lost.
const FIELDS: [&str; 2] = ["history", "smb_app_state_sync"];

impl Walk<'_> {
    pub(super) async fn contacts(&mut self) -> Result<(), Stop> {
        self.ask_once(Past::Contacts).await?;
        self.done(SignupStep::Contacts);
        Ok(())
    }

    pub(super) async fn history(&mut self) -> Result<(), Stop> {
        self.ask_once(Past::History).await?;
        self.done(SignupStep::History);
        Ok(())
    }

    /// Asks, unless it was asked or need not be. Written before it is sent; an outcome nobody knows is never asked for again.
    async fn ask_once(&mut self, past: Past) -> Result<(), Stop> {
        if !self.signup.wants_past() {
            return Ok(());
        }
        let now = self.now();
        match self.state(past) {
            OnceOnly::Asked { .. } | OnceOnly::Spent { .. } => return Ok(()),
            OnceOnly::Intent { at } if now.since(at) < INTENT_TTL => return Err(Stop::Wait(None)),
            OnceOnly::Intent { .. } => {
                // Whoever was about to send it has died: the webhooks will show whether it was taken.
                self.set(past, OnceOnly::Spent { at: now, why: Spent::Unknown });
                return Ok(());
            }
            OnceOnly::None => {}
        }
        let (token, number) = (self.token().await?, self.number()?);
        if !self.signup.may_ask(now) {
            return self.too_late(past, &number).await;
        }
        self.fields_are_ticked().await?;
        if past == Past::History {
            self.handler.clients.imports.asked(&number).await?;
        }
        self.set(past, OnceOnly::Intent { at: now });
        self.save().await?;
        self.send(past, &number, &token).await
    }

    async fn send(&mut self, past: Past, number: &PhoneNumberId, token: &SecretString) -> Result<(), Stop> {
        let asked = self.handler.clients.graph_api.ask_past(number, past, token).await;
        let at = self.now();
        match asked {
            Ok(()) => self.set(past, OnceOnly::Asked { at }),
            Err(error) if error.code() == Some(SYNC_ASKED_ALREADY) => self.set(past, OnceOnly::Asked { at }),
            Err(error) if error.code() == Some(SYNC_TOO_LATE) => return self.too_late(past, number).await,
            Err(error) if was_not_taken(&error) => {
                self.set(past, OnceOnly::None);
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!(%error, channel.id = %number, "it is not known whether Meta sends a phone's past");
                self.set(past, OnceOnly::Spent { at, why: Spent::Unknown });
            }
        }
        Ok(())
    }

    async fn too_late(&mut self, past: Past, number: &PhoneNumberId) -> Result<(), Stop> {
        let at = self.now();
        tracing::warn!(channel.id = %number, since = ?self.onboarded_at(), "it is too late to ask for a phone's past");
        if past == Past::History {
            self.handler.clients.imports.refused(number, ASKED_TOO_LATE).await?;
        }
        self.set(past, OnceOnly::Spent { at, why: Spent::TooLate });
        Ok(())
    }

    /// Meta sends it once, and what is not ticked is lost.
    async fn fields_are_ticked(&self) -> Result<(), Stop> {
        let url = self.api_url()?;
        let app = self.onboarding(&url).app().await?;
        let there = self.handler.clients.graph_api.app_subscription(&app).await?;
        let is_ticked = |field: &&str| there.as_ref().is_some_and(|there| there.fields.contains(*field));
        let missing: Vec<_> = FIELDS.into_iter().filter(|field| !is_ticked(field)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        tracing::error!(
            missing = missing.join(" "),
            page = "docs/runbook/signup.md",
            "webhooks are not ticked at Meta: a phone's past is not asked for before they are"
        );
        Err(Stop::Wait(Some(SignupFault::Fields)))
    }

    fn state(&self, past: Past) -> OnceOnly {
        match past {
            Past::Contacts => self.signup.contacts,
            Past::History => self.signup.history,
        }
    }

    fn set(&mut self, past: Past, state: OnceOnly) {
        match past {
            Past::Contacts => self.signup.contacts = state,
            Past::History => self.signup.history = state,
        }
    }
}
