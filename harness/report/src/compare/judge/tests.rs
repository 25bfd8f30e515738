//! Runs made by hand, and what is said of them.

mod conduct;
mod history;
mod made_up;
mod metrics;
mod run;
