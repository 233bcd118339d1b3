//! `Accept`: which media type an answer of `/graphql` has. RFC 9110, 12.5.1.
//!
//! Of the types on offer the one with the highest `q` wins; a type's `q` is that of the most
//! specific range that names it. Among equals the range that the client wrote first decides, then
//! the order of the offer, so that `*/*` gets `application/json`.

use axum::http::{HeaderMap, header};

/// The parameter by which a client says that it knows multipart subscriptions.
const SPEC_PARAMETER: &str = "subscriptionSpec";
/// The version that is spoken here.
const SPEC_VERSION: &str = "1.0";

/// A media type that `/graphql` can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`: request errors have the status 200.
    Json,
    /// `application/graphql-response+json`: request errors have the status 400.
    GraphqlResponse,
    /// `text/html`: a browser, to be sent to the playground.
    Html,
    /// `text/event-stream`: server-sent events.
    EventStream,
    /// `multipart/mixed` with `subscriptionSpec=1.0`: Apollo's multipart subscriptions.
    Multipart,
}

impl Media {
    /// What a POST may be answered with, the default first.
    pub const OF_POST: [Self; 4] =
        [Self::Json, Self::GraphqlResponse, Self::EventStream, Self::Multipart];
    /// What a GET may be answered with, the default first.
    pub const OF_GET: [Self; 5] =
        [Self::Json, Self::GraphqlResponse, Self::Html, Self::EventStream, Self::Multipart];

    /// The `Content-Type` of an answer that is one JSON document, as every refusal is; who asked
    /// for a stream gets it as plain JSON.
    #[must_use]
    pub fn of_one_answer(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            _ => "application/json; charset=utf-8",
        }
    }

    /// Whether the answer goes on: such a type is taken only when it is named in full.
    fn is_stream(self) -> bool {
        matches!(self, Self::EventStream | Self::Multipart)
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::GraphqlResponse => ("application", "graphql-response+json"),
            Self::Html => ("text", "html"),
            Self::EventStream => ("text", "event-stream"),
            Self::Multipart => ("multipart", "mixed"),
        }
    }
}

/// The best of `offer` for a client that sent `headers`; the first one when it named nothing.
/// `None`: the client accepts none of them.
#[must_use]
pub fn negotiate(headers: &HeaderMap, offer: &[Media]) -> Option<Media> {
    let lines = headers.get_all(header::ACCEPT).iter();
    let accept = lines.filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(",");
    let ranges: Vec<Range> = accept.split(',').filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return offer.first().copied();
    }
    let mut best: Option<(Media, &Range)> = None;
    for &media in offer {
        let Some(range) = most_specific(&ranges, media) else { continue };
        if range.millis == 0 {
            continue;
        }
        let better = best.is_none_or(|(_, best)| {
            best.millis < range.millis
                || (best.millis == range.millis && range.is_before(best, &ranges))
        });
        if better {
            best = Some((media, range));
        }
    }
    best.map(|(media, _)| media)
}

fn most_specific<'a, 'b>(ranges: &'b [Range<'a>], media: Media) -> Option<&'b Range<'a>> {
    let matching = ranges.iter().filter_map(|range| Some((range.specificity(media)?, range)));
    // `rev`: of equally specific ranges the first, where `max_by_key` takes the last.
    let mut matching: Vec<_> = matching.collect();
    matching.reverse();
    matching.into_iter().max_by_key(|(specificity, _)| *specificity).map(|(_, range)| range)
}

/// One element of `Accept`, such as `application/*;q=0.5`.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// `q` in thousandths.
    millis: u16,
    /// Whether it says `subscriptionSpec=1.0`.
    has_spec: bool,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let mut range = Self { main, sub, millis: 1_000, has_spec: false };
        let pairs = parts.filter_map(|part| part.split_once('='));
        for (name, value) in pairs.map(|(name, value)| (name.trim(), value.trim())) {
            if name.eq_ignore_ascii_case("q") {
                range.millis = millis(value);
                break;
            }
            let is_spec = name.eq_ignore_ascii_case(SPEC_PARAMETER);
            range.has_spec |= is_spec && value.trim_matches('"') == SPEC_VERSION;
        }
        Some(range)
    }

    /// How closely this range names `media`: 2 exactly, 1 by `main/*`, 0 by `*/*`.
    fn specificity(&self, media: Media) -> Option<u8> {
        let (main, sub) = media.parts();
        if media.is_stream() && (self.sub == "*" || (media == Media::Multipart && !self.has_spec)) {
            return None;
        }
        match (self.main, self.sub) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(main) => Some(1),
            (own, rest) if own.eq_ignore_ascii_case(main) && rest.eq_ignore_ascii_case(sub) => {
                Some(2)
            }
            _ => None,
        }
    }

    fn is_before(&self, other: &Self, ranges: &[Self]) -> bool {
        let place = |of: &Self| ranges.iter().position(|range| std::ptr::eq(range, of));
        place(self) < place(other)
    }
}

/// `0.35` as 350. What is not a `qvalue` counts as 1.
fn millis(q: &str) -> u16 {
    let value = q.parse::<f32>().ok().filter(|value| (0.0..=1.0).contains(value)).unwrap_or(1.0);
    // Within 0..=1000, so the cast cannot lose anything.
    (value * 1_000.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::{Media, negotiate};
    use axum::http::{HeaderMap, HeaderValue, header};

    fn chosen(accept: &'static str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        negotiate(&headers, &Media::OF_GET)
    }

    #[test]
    fn the_client_decides_by_q_then_specificity_then_order() {
        let json = Some(Media::Json);
        let graphql = Some(Media::GraphqlResponse);
        for (accept, media) in [
            ("", json),
            ("*/*", json),
            ("application/*", json),
            ("application/json; charset=utf-8", json),
            ("APPLICATION/JSON", json),
            ("application/graphql-response+json", graphql),
            ("application/graphql-response+json, application/json;q=0.9", graphql),
            ("application/graphql-response+json, application/json", graphql),
            ("application/json, application/graphql-response+json", json),
            ("application/graphql-response+json;q=0.5, application/json;q=0.8", json),
            ("application/json;q=0, */*;q=0.1", graphql),
            ("application/json;q=0.2, */*", graphql),
            ("text/event-stream, application/json;q=0.1", Some(Media::EventStream)),
            ("text/event-stream;q=0.1, application/json", json),
            ("application/json, multipart/mixed", json),
            ("multipart/mixed", None),
            ("multipart/mixed; deferSpec=20220824, application/json", json),
            ("multipart/mixed;subscriptionSpec=2.0, application/json", json),
            ("multipart/mixed; subscriptionSpec=\"1.0\", application/json", Some(Media::Multipart)),
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9",
                Some(Media::Multipart),
            ),
            ("multipart/*", None),
            ("text/*;q=0.9, text/html;q=0", None),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Media::Html)),
            ("text/*", Some(Media::Html)),
            ("text/event-stream", Some(Media::EventStream)),
            ("application/json;q=0", None),
            ("image/png, application/xml", None),
        ] {
            assert_eq!(chosen(accept), media, "{accept}");
        }
    }

    #[test]
    fn without_the_header_the_first_offer_is_taken() {
        assert_eq!(negotiate(&HeaderMap::new(), &Media::OF_POST), Some(Media::Json));
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("text/event-stream;q=0"));
        headers
            .append(header::ACCEPT, HeaderValue::from_static("application/graphql-response+json"));
        assert_eq!(negotiate(&headers, &Media::OF_POST), Some(Media::GraphqlResponse));
    }
}
