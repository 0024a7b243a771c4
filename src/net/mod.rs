//! What stands in front of sockets and HTTP alike: the listener with its time limits, TLS, the client's address.

mod crowd;
pub(crate) mod json;
mod serve;
mod source;
mod stream;
mod tls;

pub(crate) use crowd::Crowd;
pub(crate) use serve::{Connections, SOCKET_PATH, free_connections, free_files, serve};
pub(crate) use source::{Origins, Peer, client_address};
pub(crate) use stream::{Parked, Stream};
pub(crate) use tls::acceptor;
