//! Reads a location from a message's text. Chatwoot has no button for a location, so a message that is nothing but a
//! link with coordinates is one. The bridge writes a customer's location in the same form, so that an agent can pass it on by
//! copying it.

use domain::message::Location;

const MAP_LINKS: [&str; 4] = [
    "https://maps.google.com/?q=",
    "https://www.google.com/maps?q=",
    "https://www.google.com/maps/search/?api=1&query=",
    "geo:",
];

/// Stands before the name of a location, above its link.
const PIN: &str = "📍";

/// The most lines: a name, an address, the link.
const MAX_LOCATION_LINES: usize = 3;

/// The location that `text` is, if it is one: its last line is the link, above it at most a name and an address, the first of
/// which begins with a pin.
pub(crate) fn read(text: &str, generic: &str) -> Option<Location> {
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (latitude, longitude) = coordinates(lines.pop()?)?;
    let mut words = Vec::new();
    if let Some((first, more)) = lines.split_first() {
        let first = first.strip_prefix(PIN)?.trim();
        words.extend(
            [first].into_iter().chain(more.iter().copied()).filter(|line| !line.is_empty() && *line != generic),
        );
    }
    if words.len() >= MAX_LOCATION_LINES {
        return None;
    }
    let mut words = words.into_iter().map(str::to_owned);
    Some(Location { latitude, longitude, name: words.next(), address: words.next(), url: None })
}

fn coordinates(link: &str) -> Option<(f64, f64)> {
    let rest = MAP_LINKS.iter().find_map(|start| link.strip_prefix(start))?;
    let rest = rest.split(['?', '&', ';']).next()?;
    let (latitude, longitude) = rest.split_once(',').or_else(|| rest.split_once("%2C"))?;
    let degrees = |text: &str, most: f64| {
        // `NaN` and `1e3` would parse as numbers, too.
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        text.parse::<f64>().ok().filter(|degrees| plain && degrees.abs() <= most)
    };
    Some((degrees(latitude, 90.0)?, degrees(longitude, 180.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(text: &str) -> Option<(f64, f64, Option<String>, Option<String>)> {
        read(text, "Ubicación").map(|location| (location.latitude, location.longitude, location.name, location.address))
    }

    #[test]
    fn a_link_with_coordinates_alone_is_a_place() {
        for link in [
            "geo:19.43,-99.13",
            "geo:19.43,-99.13?z=15",
            "https://maps.google.com/?q=19.43,-99.13",
            "https://www.google.com/maps?q=19.43%2C-99.13&z=3",
        ] {
            assert_eq!(located(link), Some((19.43, -99.13, None, None)), "{link}");
        }
    }

    #[test]
    fn what_the_bridge_makes_of_a_customers_place_is_one_again() {
        let named = |name: &str| Some((19.43, -99.13, Some(name.to_owned()), None));
        let link = "https://maps.google.com/?q=19.43,-99.13";
        assert_eq!(located(&format!("📍 Ubicación\n{link}")), Some((19.43, -99.13, None, None)));
        assert_eq!(located(&format!("📍 Ubicación\nTaller\n{link}")), named("Taller"));
        assert_eq!(located(&format!("📍 Taller\n{link}")), named("Taller"));
        let address = located(&format!("📍 Ubicación\nTaller\nJuárez 1\n{link}"));
        assert_eq!(address, Some((19.43, -99.13, Some("Taller".into()), Some("Juárez 1".into()))));
    }

    #[test]
    fn whatever_says_more_stays_a_text() {
        let link = "https://maps.google.com/?q=19.43,-99.13";
        for text in [
            format!("Estamos aquí: {link}"),
            format!("Estamos aquí\n{link}"),
            format!("{link}\n¿viene?"),
            format!("📍 a\nb\nc\n{link}"),
            "https://maps.app.goo.gl/abc".to_owned(),
            "https://www.google.com/maps/@19.43,-99.13,17z".to_owned(),
            "geo:91,0".to_owned(),
            "geo:NaN,0".to_owned(),
            String::new(),
        ] {
            assert_eq!(located(&text), None, "{text}");
        }
    }
}
