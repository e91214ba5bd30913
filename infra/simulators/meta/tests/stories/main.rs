//! Stories of the double itself, over real HTTP.

mod control;
mod media;
mod objects;
mod sending;
mod stage;
mod templates;
mod webhooks;
