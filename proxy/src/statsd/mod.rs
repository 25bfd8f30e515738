mod settings;
mod worker;
