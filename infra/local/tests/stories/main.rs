//! The whole pipeline as stories: both outside worlds simulated, the functions' own handlers, the embedded AWS, one clock.

mod both_ways;
mod crashes;
mod shop;
