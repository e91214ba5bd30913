//! Shortens texts to fit into Chatwoot's fields.

/// The first `limit` characters of a text, on one line.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(limit).collect::<String>().trim().to_owned()
}
