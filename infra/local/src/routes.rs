//! Which function an API request belongs to.

use std::collections::BTreeMap;

use crate::template::{Route, Template};

/// The routes of the HTTP API, most exact first.
#[derive(Debug)]
pub(crate) struct Routes(Vec<(Route, String)>);

/// A request's route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Match<'a> {
    pub(crate) function: &'a str,
    /// As API Gateway names it, `POST /webhooks/meta`.
    pub(crate) key: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Routes {
    /// All of `template`.
    pub(crate) fn new(template: &Template) -> Self {
        let mut routes: Vec<_> = template
            .functions
            .iter()
            .flat_map(|function| function.routes.iter().map(|route| (route.clone(), function.name.clone())))
            .collect();
        routes.sort_by_key(|(route, _)| route.path.matches('{').count());
        Self(routes)
    }

    /// The one that takes `method` on `path`.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<Match<'_>> {
        self.0.iter().find_map(|(route, function)| {
            if route.method != method && route.method != "ANY" {
                return None;
            }
            let parameters = bind(&route.path, path)?;
            Some(Match { function, key: format!("{} {}", route.method, route.path), parameters })
        })
    }
}

fn bind(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if !given.is_empty() => {
                    parameters.insert(name.to_owned(), decode(given));
                }
                None if wanted == given => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// `%41` is `A`; what is no valid escape stays as it is.
fn decode(segment: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let route = |method: &str, path: &str, function: &str| {
            (Route { method: method.into(), path: path.into() }, function.to_owned())
        };
        Routes(vec![
            route("GET", "/webhooks/meta", "webhook"),
            route("POST", "/callbacks/{number}", "callback"),
            route("POST", "/callbacks/{number}/{secret}", "callback"),
        ])
    }

    #[test]
    fn variables_bind_whole_decoded_segments() {
        let routes = routes();
        let found = routes.find("POST", "/callbacks/100/s%20e%2").unwrap();
        assert_eq!((found.function, found.key.as_str()), ("callback", "POST /callbacks/{number}/{secret}"));
        assert_eq!(found.parameters["number"], "100");
        assert_eq!(found.parameters["secret"], "s e%2");
    }

    #[test]
    fn anything_else_has_no_route() {
        for (method, path) in [
            ("POST", "/webhooks/meta"),
            ("GET", "/webhooks/meta/"),
            ("GET", "/webhooks"),
            ("POST", "/callbacks/"),
            ("POST", "/callbacks/1/2/3"),
        ] {
            assert_eq!(routes().find(method, path), None, "{method} {path}");
        }
    }
}
