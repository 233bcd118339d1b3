//! The SSRF guard's judgement: which addresses stages may reach, and which URLs may be saved.
//!
//! Whoever may write an action makes this machine send requests, so that without a guard they
//! would reach what trusts this machine: its own ports, its network, the cloud's metadata service.
//! Only addresses of the public internet are allowed, and what the operator lists.
//! [`client`](super::client) asks for the address that is really connected to;
//! [`Addresses::check_url`] answers sooner, on save, when the URL already says it.
//!
//! Sources: the IANA special-purpose address registries (RFC 6890), RFC 6052 and RFC 8215 (NAT64).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Longest URL in characters: what every server and log takes.
pub const URL_CHARS_MAX: usize = 2_048;

/// The setting that allows more, named in every refusal.
const SETTING: &str = "BELFRY_ALLOW_TARGETS";

/// IPv4 that is not the public internet.
const REFUSED_V4: [(Ipv4Net, &str); 16] = [
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([168, 63, 129, 16], 32), "cloud metadata"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved or broadcast"),
];

/// IPv6 that is not the public internet; everything outside [`GLOBAL_V6`] is refused anyway, these
/// names only say why.
const REFUSED_V6: [(Ipv6Net, &str); 16] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// All that IANA has given out of IPv6 as global unicast.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What stages may reach: the public internet, and what the operator lists.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    allow: Vec<IpNet>,
}

impl Addresses {
    /// The public internet and the networks of `allow`. A network is matched against the address
    /// as it is connected to: `127.0.0.0/8` does not stand for `::ffff:127.0.0.1`.
    #[must_use]
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether stages may connect to `ip`.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        range_of(ip).is_none() || self.allow.iter().any(|net| net.contains(&ip))
    }

    /// Reads the URL of a request as a user wrote it and judges what it already says: an address
    /// in any notation, or `localhost`. Other names are judged when they are resolved.
    ///
    /// # Errors
    /// A sentence that says what was expected; it never repeats the URL.
    pub fn check_url(&self, text: &str) -> Result<Url, String> {
        let url = parse_url(text)?;
        self.judge(&url)?;
        Ok(url)
    }

    /// Whether a request may go to `url`, as far as its host says.
    ///
    /// # Errors
    /// A sentence that names the address, its range and the setting that would allow it.
    pub fn judge(&self, url: &Url) -> Result<(), String> {
        match url.host() {
            Some(Host::Ipv4(ip)) => self.judge_ip(ip.into()),
            Some(Host::Ipv6(ip)) => self.judge_ip(ip.into()),
            Some(Host::Domain(name)) if is_localhost(name) => {
                let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
                if loopback.into_iter().any(|ip| self.allows(ip)) {
                    return Ok(());
                }
                Err(refusal(name, "loopback"))
            }
            Some(Host::Domain(_)) => Ok(()),
            None => Err("expected a URL with a host".to_owned()),
        }
    }

    fn judge_ip(&self, ip: IpAddr) -> Result<(), String> {
        if self.allows(ip) {
            return Ok(());
        }
        Err(refusal(&ip.to_string(), range_of(ip).unwrap_or("reserved")))
    }
}

/// Reads an absolute http or https URL of at most [`URL_CHARS_MAX`] characters.
///
/// # Errors
/// A sentence that says what was expected; it never repeats the URL.
pub fn parse_url(text: &str) -> Result<Url, String> {
    let expected = "expected an absolute URL such as https://example.com/hook";
    if URL_CHARS_MAX < text.chars().count() {
        return Err(format!("expected at most {URL_CHARS_MAX} characters"));
    }
    // The URL standard mends both silently; what was sent would not be what was saved.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("{expected}, without blanks and control characters"));
    }
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err(format!("{expected}: only http and https"));
    }
    let url = Url::parse(text).map_err(|error| format!("{expected}: {error}"))?;
    if url.host().is_none() { Err(expected.to_owned()) } else { Ok(url) }
}

/// `url` as it may be read by anybody: user name, password and the values of the query, any of
/// which may be a credential, are hidden; the fragment, which is never sent, is left out.
#[must_use]
pub fn shown(url: &Url) -> String {
    let has_user = !url.username().is_empty() || url.password().is_some();
    let user = if has_user { "***@" } else { "" };
    let mut text = format!("{}://{user}{}{}", url.scheme(), host_of(url), url.path());
    if let Some(query) = url.query() {
        let hidden = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        });
        text.push('?');
        text.push_str(&hidden.collect::<Vec<_>>().join("&"));
    }
    text
}

/// Host and port of `url`, the port only when it is not that of the scheme.
#[must_use]
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Why an address was refused, in the same words on save and at run.
#[must_use]
pub fn refusal(target: &str, range: &str) -> String {
    format!("{target} is not a public address ({range}); {SETTING} may allow it")
}

/// The name of the range that keeps `ip` from being public; `None` when it is public.
#[must_use]
pub fn range_of(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => named(&REFUSED_V4, |net| net.contains(&ip)),
        IpAddr::V6(ip) => named(&REFUSED_V6, |net| net.contains(&ip))
            .or_else(|| (!GLOBAL_V6.contains(&ip)).then_some("reserved")),
    }
}

fn named<N>(ranges: &[(N, &'static str)], holds: impl Fn(&N) -> bool) -> Option<&'static str> {
    ranges.iter().find(|(net, _)| holds(net)).map(|(_, name)| *name)
}

/// RFC 6761: `localhost` and everything below it is this machine.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last address before a range, its first and last, and the first past it; `None` where
    /// the neighbour is refused for another reason.
    const EDGES: [(Option<&str>, &str, &str, Option<&str>); 32] = [
        (None, "0.0.0.0", "0.255.255.255", Some("1.0.0.0")),
        (Some("9.255.255.255"), "10.0.0.0", "10.255.255.255", Some("11.0.0.0")),
        (Some("100.63.255.255"), "100.64.0.0", "100.127.255.255", Some("100.128.0.0")),
        (Some("126.255.255.255"), "127.0.0.0", "127.255.255.255", Some("128.0.0.0")),
        (Some("168.63.129.15"), "168.63.129.16", "168.63.129.16", Some("168.63.129.17")),
        (Some("169.253.255.255"), "169.254.0.0", "169.254.255.255", Some("169.255.0.0")),
        (Some("172.15.255.255"), "172.16.0.0", "172.31.255.255", Some("172.32.0.0")),
        (Some("191.255.255.255"), "192.0.0.0", "192.0.0.255", Some("192.0.1.0")),
        (Some("192.0.1.255"), "192.0.2.0", "192.0.2.255", Some("192.0.3.0")),
        (Some("192.88.98.255"), "192.88.99.0", "192.88.99.255", Some("192.88.100.0")),
        (Some("192.167.255.255"), "192.168.0.0", "192.168.255.255", Some("192.169.0.0")),
        (Some("198.17.255.255"), "198.18.0.0", "198.19.255.255", Some("198.20.0.0")),
        (Some("198.51.99.255"), "198.51.100.0", "198.51.100.255", Some("198.51.101.0")),
        (Some("203.0.112.255"), "203.0.113.0", "203.0.113.255", Some("203.0.114.0")),
        (Some("223.255.255.255"), "224.0.0.0", "239.255.255.255", None),
        (None, "240.0.0.0", "255.255.255.255", None),
        (None, "::", "::1", None),
        (None, "::2", "::ffff:ffff", None),
        (None, "::1:0:0", "::fffe:ffff:ffff", None),
        (None, "::ffff:0.0.0.0", "::ffff:255.255.255.255", None),
        (None, "::ffff:8.8.8.8", "::ffff:0:0:0", None),
        (None, "64:ff9b::", "64:ff9b::ffff:ffff", None),
        (None, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", None),
        (None, "100::", "100::ffff:ffff:ffff:ffff", None),
        (None, "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1fff::", Some("2000::")),
        (
            Some("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "2001::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2001:200::"),
        ),
        (
            Some("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2001:db9::"),
        ),
        (
            Some("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "2002::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2003::"),
        ),
        (
            Some("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("3fff:1000::"),
        ),
        (Some("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "4000::", "fbff::", None),
        (None, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        (None, "fe80::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn every_range_is_refused_from_its_first_to_its_last_address_and_no_further() {
        let public = Addresses::default();
        for (before, first, last, after) in EDGES {
            for refused in [first, last] {
                assert!(!public.allows(ip(refused)), "{refused} must be refused");
            }
            for allowed in [before, after].into_iter().flatten() {
                assert!(public.allows(ip(allowed)), "{allowed} must be allowed");
            }
        }
    }

    #[test]
    fn every_named_range_is_refused_at_both_ends_under_its_name() {
        let v4 = REFUSED_V4.map(|(net, name)| (IpNet::V4(net), name));
        let v6 = REFUSED_V6.map(|(net, name)| (IpNet::V6(net), name));
        for (net, name) in v4.into_iter().chain(v6) {
            for end in [net.network(), net.broadcast()] {
                let found = range_of(end).expect("it is refused");
                // A range within a range has the narrower name at the shared end.
                let is_shared = matches!(name, "IPv4-compatible" | "reserved");
                assert!(found == name || is_shared, "{end}: {found} instead of {name}");
            }
        }
    }

    #[test]
    fn the_operator_may_allow_a_network_and_nothing_beside_it() {
        let addresses = Addresses::new(vec!["10.1.0.0/16".parse().expect("a network")]);
        assert!(addresses.allows(ip("10.1.0.0")) && addresses.allows(ip("10.1.255.255")));
        assert!(!addresses.allows(ip("10.0.255.255")) && !addresses.allows(ip("10.2.0.0")));
        assert!(!addresses.allows(ip("::ffff:10.1.0.1")));
        assert!(addresses.check_url("http://10.1.2.3/").is_ok());
    }

    #[test]
    fn every_notation_of_a_refused_address_is_refused_on_save() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "169.254.169.254",
            "localhost",
            "LOCALHOST.",
            "api.localhost",
            "0",
        ] {
            let refused = Addresses::default().check_url(&format!("http://{host}:80/x"));
            let message = refused.expect_err(host);
            assert!(message.contains("BELFRY_ALLOW_TARGETS"), "{host}: {message}");
        }
    }

    #[test]
    fn localhost_is_allowed_with_either_loopback() {
        for net in ["127.0.0.0/8", "::1/128"] {
            let addresses = Addresses::new(vec![net.parse().expect("a network")]);
            assert!(addresses.check_url("http://localhost:9000/").is_ok(), "{net}");
        }
    }

    #[test]
    fn only_absolute_http_urls_up_to_the_limit_are_read() {
        let at_limit = format!("http://example.com/{}", "a".repeat(URL_CHARS_MAX - 19));
        assert_eq!(at_limit.len(), URL_CHARS_MAX);
        assert!(parse_url(&at_limit).is_ok());
        assert!(parse_url(&format!("{at_limit}a")).is_err());
        assert!(parse_url("HTTPS://user:pass@Example.com:8443/a?b=c#d").is_ok());
        for bad in [
            "",
            "/hook",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "http:/a",
            "http:example.com",
            "http://",
            "http://a b/",
            "http://example.com/\n",
            "http://[::1",
            " http://example.com",
            "http://256.256.256.256/",
            "http://example.com:99999/",
        ] {
            assert!(parse_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn credentials_are_hidden() {
        let url = parse_url("https://ada:s3cret@example.com:8443/a?token=s3cret&s3cret#s3cret");
        let shown = shown(&url.expect("a URL"));
        assert_eq!(shown, "https://***@example.com:8443/a?token=***&***");
        let message = parse_url("http://ada:s3cret@exa mple.com/").expect_err("a blank");
        assert!(!message.contains("s3cret"));
    }
}
