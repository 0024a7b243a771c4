//! Where a request comes from: the client's address behind trusted proxies, and the page's origin.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::domain::text::shown;

/// The other end of the TCP connection; in every request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The client's address: the peer's, unless the peer is a trusted proxy; then what the proxies said, read from the
/// right until the first address that is not a trusted proxy's. Strangers' headers are never believed.
pub(crate) fn client_address(headers: &HeaderMap, peer: Peer, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.0.ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut claims = claims(headers);
    while is_trusted(address) {
        // What can't be read ends the chain: the last proxy that is known speaks for itself.
        match claims.pop() {
            Some(Some(claimed)) => address = claimed.to_canonical(),
            Some(None) | None => break,
        }
    }
    address
}

/// What proxies appended, oldest first. A proxy that writes one of the two headers passes a stranger's other one on, so
/// when they disagree neither is believed.
fn claims(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let list = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
        let values = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("?"));
        values.flat_map(|value| value.split(',')).map(|item| read(item.trim())).collect::<Vec<_>>()
    };
    let (standard, common) = (list(FORWARDED, forwarded_for), list(X_FORWARDED_FOR, parse_node));
    match (standard.is_empty(), common.is_empty()) {
        (true, _) => common,
        (_, true) => standard,
        _ if standard == common => common,
        _ => Vec::new(),
    }
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let node = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?.1;
    parse_node(node.trim().trim_matches('"'))
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn parse_node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The origins whose pages may open sockets and send what changes something.
#[derive(Clone, Debug)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// The public URL's own, those that the settings allow, and those that mean the same listener.
    pub(crate) fn new(own: impl IntoIterator<Item = String>, allowed: &[String]) -> Self {
        Self(own.into_iter().chain(allowed.iter().cloned()).collect())
    }

    /// Whether this origin is listed.
    pub(crate) fn knows(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// The origin that a browser sent if it is not listed; whatever is no single origin is `null`.
    pub(crate) fn foreign(&self, headers: &HeaderMap) -> Option<String> {
        let mut sent = headers.get_all(ORIGIN).into_iter();
        let (first, second) = (sent.next()?, sent.next());
        let origin = first.to_str().ok().filter(|_| second.is_none()).map(shown);
        let origin = origin.filter(|origin| !origin.is_empty()).unwrap_or_else(|| "null".to_owned());
        (!self.knows(&origin)).then_some(origin)
    }

    /// Whether the request may go on: no `Origin` (no browser page sent it), or one that is listed. `null` never is.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(ORIGIN).into_iter();
        match (sent.next(), sent.next()) {
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.knows(origin)),
            (Some(_), Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        client_address(&map, Peer(SocketAddr::new(peer.parse().unwrap(), 1)), &trusted).to_string()
    }

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(address("192.0.2.9", &[("x-forwarded-for", "198.51.100.1")]), "192.0.2.9");
    }

    #[test]
    fn the_chain_is_read_from_the_right() {
        let xff = |value| address("10.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(xff("198.51.100.1"), "198.51.100.1");
        assert_eq!(xff("203.0.113.5, 198.51.100.1, 10.0.0.2"), "198.51.100.1");
        assert_eq!(xff("203.0.113.5, nonsense, 10.0.0.2"), "10.0.0.2");
        assert_eq!(xff("10.0.0.3"), "10.0.0.3");
        assert_eq!(
            address("10.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2:80")]),
            "2.2.2.2"
        );
    }

    #[test]
    fn the_standard_header_is_read_and_two_that_disagree_are_not_believed() {
        let standard = |value| address("::1", &[("forwarded", value)]);
        assert_eq!(standard("proto=https;For=\"[2001:db8::7]:4711\";by=x"), "2001:db8::7");
        assert_eq!(standard("for=unknown"), "::1");
        assert_eq!(address("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
        let both = |value| address("10.0.0.1", &[("x-forwarded-for", "192.0.2.9"), ("forwarded", value)]);
        assert_eq!(both("for=192.0.2.9"), "192.0.2.9");
        assert_eq!(both("for=203.0.113.5"), "10.0.0.1", "a stranger chose the address");
    }

    #[test]
    fn only_listed_origins_pass_and_null_never() {
        let origins = Origins::new(["https://login.example".to_owned()], &["https://app.example".to_owned()]);
        let passes = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ORIGIN, value.parse().unwrap());
            }
            origins.allow(&headers)
        };
        assert!(passes(&[]) && passes(&["https://login.example"]) && passes(&["https://APP.example"]));
        for bad in
            ["null", "", "http://login.example", "https://login.example.evil", "https://login.example:444"]
        {
            assert!(!passes(&[bad]), "{bad}");
        }
        assert!(!passes(&["https://login.example", "https://login.example"]));
    }
}
