//! What a server can be asked for on the command line.

use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Place, encoded};
use super::show;
use crate::catalogue;

/// Make a link
#[derive(Args, Debug)]
pub(super) struct Create {
    /// Name of the link
    name: String,

    /// Listen on this address; port 0 is any free port
    #[arg(long, short, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,

    /// Connect to this address
    #[arg(long, short, value_name = "ADDR")]
    upstream: String,

    /// Carry datagrams
    #[arg(long)]
    udp: bool,

    /// Leave it down
    #[arg(long)]
    disabled: bool,
}

impl Create {
    pub(super) fn order(self) -> Order {
        let mut link = json!({
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": !self.disabled,
        });
        if self.udp {
            link["protocol"] = "udp".into();
        }
        Order::Create(link)
    }
}

/// What can be done with a toxic.
#[derive(Debug, Subcommand)]
pub(super) enum ToxicCommand {
    /// Add a toxic to a link
    Add {
        /// Name of the link
        link: String,

        /// Kind of toxic; "harness toxics kinds" lists them
        #[arg(long = "type", short, value_name = "TYPE")]
        kind: String,

        /// Name of the toxic [default: its kind and direction]
        #[arg(long, short, value_name = "NAME")]
        name: Option<String>,

        /// Direction: upstream (to the server) or downstream
        #[arg(long, value_name = "STREAM", default_value = "downstream")]
        stream: crate::toxic::Direction,

        /// Share of connections that it affects, from 0 to 1
        #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
        toxicity: f64,

        /// An attribute; may be given several times
        #[arg(long = "attribute", short, value_name = "KEY=NUMBER", value_parser = attribute)]
        attributes: Vec<(String, Value)>,
    },
    /// Change attributes of a toxic; those that are not named stay
    Update {
        /// Name of the link
        link: String,

        /// Name of the toxic
        toxic: String,

        /// Share of connections that it affects, from 0 to 1 [default: as it is]
        #[arg(long, value_name = "SHARE")]
        toxicity: Option<f64>,

        /// An attribute; may be given several times
        #[arg(long = "attribute", short, value_name = "KEY=NUMBER", value_parser = attribute)]
        attributes: Vec<(String, Value)>,
    },
    /// Remove a toxic; what it held moves on
    #[command(visible_alias = "delete")]
    Remove {
        /// Name of the link
        link: String,

        /// Name of the toxic
        toxic: String,
    },
}

impl ToxicCommand {
    /// What to ask for.
    ///
    /// # Errors
    /// That there is no such kind, or that it has no such attribute.
    pub(super) fn order(self) -> Result<Order, String> {
        Ok(match self {
            Self::Add {
                link,
                kind,
                name,
                stream,
                toxicity,
                attributes,
            } => {
                check_attributes(&kind, &attributes)?;
                let mut toxic = json!({
                    "type": kind,
                    "stream": stream.name(),
                    "toxicity": toxicity,
                    "attributes": object(attributes),
                });
                if let Some(name) = name {
                    toxic["name"] = name.into();
                }
                Order::AddToxic(link, toxic)
            }
            Self::Update {
                link,
                toxic,
                toxicity,
                attributes,
            } => {
                let mut change = json!({ "attributes": object(attributes) });
                if let Some(toxicity) = toxicity {
                    change["toxicity"] = toxicity.into();
                }
                Order::UpdateToxic(link, toxic, change)
            }
            Self::Remove { link, toxic } => Order::RemoveToxic(link, toxic),
        })
    }
}

fn object(attributes: Vec<(String, Value)>) -> Map<String, Value> {
    attributes.into_iter().collect()
}

fn attribute(text: &str) -> Result<(String, Value), String> {
    let wrong = || format!("expected KEY=NUMBER such as latency=100, got {text:?}");
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    match serde_json::from_str::<Value>(value) {
        Ok(number @ Value::Number(_)) => Ok((key.to_owned(), number)),
        _ => Err(wrong()),
    }
}

/// The API passes over what it does not know; a person has mistyped it.
fn check_attributes(kind: &str, given: &[(String, Value)]) -> Result<(), String> {
    let Some(kind) = catalogue::find(kind) else {
        let names: Vec<_> = catalogue::KINDS.iter().map(|kind| kind.name).collect();
        return Err(format!("no toxic {kind:?}; there is {}", names.join(", ")));
    };
    for (name, _) in given {
        if kind
            .attributes
            .iter()
            .all(|attribute| attribute.name != name)
        {
            let names: Vec<_> = kind.attributes.iter().map(|a| a.name).collect();
            let has = match names.len() {
                0 => "none".to_owned(),
                _ => names.join(", "),
            };
            return Err(format!(
                "{} has no attribute {name:?}; it has {has}",
                kind.name
            ));
        }
    }
    Ok(())
}

/// Something to ask the server for.
#[derive(Debug)]
pub(super) enum Order {
    List,
    Create(Value),
    Toggle(String),
    Inspect(String),
    Delete(String),
    AddToxic(String, Value),
    UpdateToxic(String, String, Value),
    RemoveToxic(String, String),
    Reset,
}

fn link_path(name: &str) -> String {
    format!("/proxies/{}", encoded(name))
}

fn toxic_path(link: &str, toxic: &str) -> String {
    format!("{}/toxics/{}", link_path(link), encoded(toxic))
}

impl Order {
    /// Asks for it and shows the answer.
    pub(super) fn carry_out(self, place: &Place) -> io::Result<ExitCode> {
        let ask = |method, path: &str, body: Option<&Value>| place.ask(method, path, body);
        let text = match self {
            Self::List => show::links(&ask("GET", "/proxies", None)?),
            Self::Create(link) => show::link(&ask("POST", "/proxies", Some(&link))?, None),
            Self::Toggle(name) => {
                let path = link_path(&name);
                let is_up = ask("GET", &path, None)?["enabled"] == true;
                let change = json!({ "enabled": !is_up });
                show::link(&ask("PATCH", &path, Some(&change))?, None)
            }
            Self::Inspect(name) => {
                let link = ask("GET", &link_path(&name), None)?;
                // A server of another make has no record.
                let record = ask("GET", "/record", None).ok();
                let record = record.map(|record| record["links"][&name].clone());
                show::link(&link, record.as_ref())
            }
            Self::Delete(name) => {
                ask("DELETE", &link_path(&name), None)?;
                format!("deleted {name}\n")
            }
            Self::AddToxic(link, toxic) => {
                let path = format!("{}/toxics", link_path(&link));
                show::toxic(&ask("POST", &path, Some(&toxic))?, None)
            }
            Self::UpdateToxic(link, toxic, change) => {
                let path = toxic_path(&link, &toxic);
                show::toxic(&ask("PATCH", &path, Some(&change))?, None)
            }
            Self::RemoveToxic(link, toxic) => {
                ask("DELETE", &toxic_path(&link, &toxic), None)?;
                format!("removed {toxic} from {link}\n")
            }
            Self::Reset => {
                ask("POST", "/reset", None)?;
                "every proxy is up, without toxics\n".to_owned()
            }
        };
        Ok(show::print(&text))
    }
}
