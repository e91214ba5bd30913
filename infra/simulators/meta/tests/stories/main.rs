//! Stories of the double itself, over real HTTP.

mod control;
mod dialog;
mod life;
mod media;
mod numbers;
mod objects;
mod sending;
mod signup;
mod stage;
mod templates;
mod webhooks;
