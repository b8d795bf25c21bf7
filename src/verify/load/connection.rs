//! One HTTP/1.1 connection for each request under way: TCP and TLS, timed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::record::Failure;
use super::request::Target;
use crate::verify::caller::chain;

/// A connection that takes the next request.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Makes connections to one target.
pub(super) struct Connector {
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// Looks the host up, once: a load measures one server.
    ///
    /// # Errors
    /// Why no connection can be made, in one line.
    pub(super) async fn new(target: &Target) -> Result<Self, String> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<SocketAddr> = found
            .map_err(|error| format!("the host `{}` is not known: {error}", target.host))?
            .collect();
        if addresses.is_empty() {
            return Err(format!("the host `{}` has no address", target.host));
        }
        let tls = if target.tls {
            let mut config = ClientConfig::with_platform_verifier()
                .map_err(|error| format!("TLS cannot be set up: {error}"))?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| format!("`{}` is no name for TLS", target.host))?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self { addresses, tls })
    }

    /// A new connection, and how long it took. Must be called within a `LocalSet`.
    pub(super) async fn connect(&self) -> Result<(Sender, Duration), Failure> {
        let start = Instant::now();
        let stream = self.tcp().await?;
        let sender = match &self.tls {
            None => handshake(stream).await?,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                handshake(stream.map_err(|error| Failure::Connect(error.to_string()))?).await?
            }
        };
        Ok((sender, start.elapsed()))
    }

    async fn tcp(&self) -> Result<TcpStream, Failure> {
        let mut last = String::new();
        for address in &self.addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Without it a small request may wait for the acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error.to_string(),
            }
        }
        Err(Failure::Connect(last))
    }
}

async fn handshake<S>(stream: S) -> Result<Sender, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| Failure::Connect(chain(&error)))?;
    // Ends when the sender is dropped or the server closes; what goes wrong is told to the sender.
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
