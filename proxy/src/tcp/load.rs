//! From the command line and the files it names to all that can be known beforehand.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::config::{ConfigError, Source};
use super::options::Options;
use super::plan::Plan;
use super::tls::{ClientCertificates, Terminator};
use crate::watch::Stamps;

/// The command line, which stays what it is at every reload.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) config: Option<PathBuf>,
    pub(super) flags: Options,
}

/// What was read.
pub(super) struct Loaded {
    pub(super) plan: Plan,
    pub(super) tls: Option<Arc<Terminator>>,
    /// The files that it came from, as they were.
    pub(super) stamps: Stamps,
}

impl Origin {
    /// Reads everything: the configuration, certificates, keys.
    ///
    /// # Errors
    /// Names what is wrong and where.
    pub(super) fn load(&self) -> Result<Loaded, ConfigError> {
        // Before they are read, so that no change is missed.
        let mut stamps = Stamps::of(self.config.iter().cloned());
        let source = self.config.as_deref().map(Source::read).transpose()?;
        let of_file = source.as_ref().map(Source::parse).transpose()?;
        let options = self.flags.clone().or(of_file.unwrap_or_default());
        let plan = Plan::new(&options, source.as_ref())?;
        try_sources(&plan.sources)?;
        let mut tls = None;
        if let Some(options) = &plan.tls {
            let pairs = options.certificates.iter();
            let files = pairs.flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]);
            let authorities = match &options.client_certificates {
                ClientCertificates::Off => None,
                ClientCertificates::Optional(file) | ClientCertificates::Required(file) => {
                    Some(file.clone())
                }
            };
            stamps.add(files.chain(authorities));
            let terminator = Terminator::open(options)
                .map_err(|error| ConfigError::Options(error.to_string()))?;
            tls = Some(Arc::new(terminator));
        }
        Ok(Loaded { plan, tls, stamps })
    }
}

/// An address that is not ours would let everything start, and then every dial fail.
fn try_sources(sources: &[IpAddr]) -> Result<(), ConfigError> {
    for &source in sources {
        let bound = eventloop::net::open(SocketAddr::new(source, 0))
            .and_then(|socket| Ok(eventloop::net::bind_source(&socket, source)?));
        if let Err(error) = bound {
            let text = format!("--source {source}: cannot connect from there: {error}");
            return Err(ConfigError::Options(text));
        }
    }
    Ok(())
}

impl Loaded {
    /// Logs what should be looked at, although it keeps nothing from starting.
    pub(super) fn warn(&self) {
        for warning in self.tls.iter().flat_map(|tls| tls.warnings()) {
            tracing::warn!("{warning}");
        }
    }
}
