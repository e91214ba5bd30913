//! Says which versions of Chatwoot the bridge was tested with.

/// The version that is tested and supported; what others do is to be asked with the suite (docs/local.md).
pub const TESTED_VERSION: &str = "4.14.2";

/// The first version that signs callbacks.
const SIGNS_FROM: (u32, u32) = (4, 13);

/// What is known of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionStanding {
    /// Tested and supported.
    Tested,
    /// Not tested.
    Untested,
    /// Not tested, and it does not sign its callbacks.
    Unsigned,
    /// No version that can be read.
    Unreadable,
}

/// What is known of a version, such as `4.14.2`.
pub fn standing(version: &str) -> VersionStanding {
    if version == TESTED_VERSION {
        return VersionStanding::Tested;
    }
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < SIGNS_FROM => VersionStanding::Unsigned,
        (Some(_), Some(_)) => VersionStanding::Untested,
        _ => VersionStanding::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tested_version_is_called_tested() {
        for (version, expected) in [
            ("4.14.2", VersionStanding::Tested),
            ("4.14.3", VersionStanding::Untested),
            ("5.0.0-rc1", VersionStanding::Untested),
            ("4.12.9", VersionStanding::Unsigned),
            ("3.9.0", VersionStanding::Unsigned),
            ("latest", VersionStanding::Unreadable),
            ("", VersionStanding::Unreadable),
        ] {
            assert_eq!(standing(version), expected, "{version}");
        }
    }
}
