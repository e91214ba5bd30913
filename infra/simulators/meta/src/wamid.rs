//! Message ids in Meta's framing: base64 that carries the other person's digits.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Which way a message goes; part of its id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// From the customer.
    In,
    /// Sent through the API.
    Out,
    /// Sent from the phone app.
    Echo,
}

/// A new id for a message exchanged with `peer` (digits).
pub(crate) fn mint(peer: &str, direction: Direction) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    let (marker, id) = match direction {
        Direction::In => (0x12, format!("3A{}", &random[..18])),
        Direction::Out => (0x11, random[..18].to_owned()),
        Direction::Echo => (0x11, format!("3EB0{}", &random[..16])),
    };
    let mut raw = vec![0x1c];
    push(&mut raw, peer);
    raw.extend([0x15, 0x02, 0x00, marker]);
    push(&mut raw, &id);
    raw.push(0x00);
    format!("wamid.{}", STANDARD.encode(raw))
}

fn push(raw: &mut Vec<u8>, text: &str) {
    raw.extend([0x18, u8::try_from(text.len()).unwrap_or(u8::MAX)]);
    raw.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_framing_of_real_ones() {
        let real = STANDARD.decode("HBgNNTIxNTU1NTU1MDEyMxUCABEYEjhGOTZCNTk3QjU5MkY2NEI5QwA=").unwrap();
        let minted = mint("5215555550123", Direction::Out);
        let ours = STANDARD.decode(minted.strip_prefix("wamid.").unwrap()).unwrap();
        assert_eq!(ours.len(), real.len());
        assert_eq!(ours[..22], real[..22]);
        assert_eq!(ours.last(), Some(&0));
    }
}
