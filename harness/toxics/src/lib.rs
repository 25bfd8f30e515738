//! wip
pub mod attributes;
pub mod catalogue;
pub mod decision;
pub mod evidence;
pub mod item;
pub mod lane;
pub mod link;
pub mod record;
pub mod stage;
pub mod toxic;
pub mod worker;
