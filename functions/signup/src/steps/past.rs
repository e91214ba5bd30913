//! Asks for what the phone knows: its contact book, then its chats. Meta takes each of the two once for an onboarding, within a day.

use domain::{
    PhoneNumberId,
    history::ASKED_TOO_LATE,
    signup::{INTENT_TTL, OnceOnly, SignupFault, SignupStep, Spent},
};
use secrecy::SecretString;
use store::PastRequest;
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
    /// That stands with the number, whichever link it came by.
    async fn ask_once(&mut self, past: Past) -> Result<(), Stop> {
        if !self.signup.wants_past() {
            return Ok(());
        }
        let (token, number, now) = (self.token().await?, self.number()?, self.now());
        match self.handler.past_asked.state(&number, request(past)).await? {
            OnceOnly::None => {}
            OnceOnly::Intent { at } if now.since(at) < INTENT_TTL => return Err(Stop::Wait(None)),
            OnceOnly::Intent { .. } => {
                // Whoever was about to send it has died: the webhooks will show whether it was taken.
                return self.set(past, &number, OnceOnly::Spent { at: now, why: Spent::Unknown }).await;
            }
            state => {
                self.show(past, state);
                return Ok(());
            }
        }
        if !self.signup.may_ask(now) {
            return self.too_late(past, &number).await;
        }
        self.fields_are_ticked().await?;
        if past == Past::History {
            self.handler.clients.imports.asked(&number).await?;
        }
        if !self.handler.past_asked.begin(&number, request(past), now).await? {
            return Err(Stop::Wait(None));
        }
        self.send(past, &number, &token).await
    }

    async fn send(&mut self, past: Past, number: &PhoneNumberId, token: &SecretString) -> Result<(), Stop> {
        let asked = self.handler.clients.graph_api.ask_past(number, past, token).await;
        let at = self.now();
        match asked {
            Ok(()) => self.set(past, number, OnceOnly::Asked { at }).await,
            Err(error) if error.code() == Some(SYNC_ASKED_ALREADY) => {
                self.set(past, number, OnceOnly::Asked { at }).await
            }
            Err(error) if error.code() == Some(SYNC_TOO_LATE) => self.too_late(past, number).await,
            Err(error) if was_not_taken(&error) => {
                self.set(past, number, OnceOnly::None).await?;
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(%error, channel.id = %number, "it is not known whether Meta sends a phone's past");
                self.set(past, number, OnceOnly::Spent { at, why: Spent::Unknown }).await
            }
        }
    }

    async fn too_late(&mut self, past: Past, number: &PhoneNumberId) -> Result<(), Stop> {
        let at = self.now();
        tracing::warn!(channel.id = %number, since = ?self.onboarded_at(), "it is too late to ask for a phone's past");
        if past == Past::History {
            self.handler.clients.imports.refused(number, ASKED_TOO_LATE).await?;
        }
        self.set(past, number, OnceOnly::Spent { at, why: Spent::TooLate }).await
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

    async fn set(&mut self, past: Past, number: &PhoneNumberId, state: OnceOnly) -> Result<(), Stop> {
        self.handler.past_asked.set(number, request(past), state).await?;
        self.show(past, state);
        Ok(())
    }

    fn show(&mut self, past: Past, state: OnceOnly) {
        match past {
            Past::Contacts => self.signup.contacts = state,
            Past::History => self.signup.history = state,
        }
    }
}

fn request(past: Past) -> PastRequest {
    match past {
        Past::Contacts => PastRequest::Contacts,
        Past::History => PastRequest::History,
    }
}
