//! Shows what is personal without what tells who it is.

/// A phone or an id without all but its last two characters, and without those as well where they are a good part of it.
pub(crate) fn masked(value: &str) -> String {
    let length = value.chars().count();
    let shown = if length < 7 { 0 } else { 2 };
    value.chars().enumerate().map(|(at, letter)| if at + shown < length { '•' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_personal_is_masked() {
        assert_eq!(masked("+5215555550123"), "••••••••••••23");
        assert_eq!(masked("ñandú"), "•••••");
    }
}
