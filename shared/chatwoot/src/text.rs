//! Texts that have to fit into a field of Chatwoot's.

/// The first `limit` characters of a text, on one line.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(limit).collect::<String>().trim().to_owned()
}
