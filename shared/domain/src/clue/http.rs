//! Finds the HTTP status of a web address in Meta's sentences.

/// Words directly before the status of an answer.
const SAY_SO: [&str; 9] =
    ["http", "code", "status", "statuscode", "httpcode", "httpstatus", "httpstatuscode", "responsecode", "response"];

/// The same where the number counts nothing else: `returned 403`, but not `returned 500 rows`.
const VERBS: [&str; 6] = ["returned", "responded", "answered", "replied", "got", "received"];

/// What stands behind a status that stands alone (RFC 9110, §15.5 and §15.6), by the first word.
const REASONS: [(&str, u16); 12] = [
    ("unauthorized", 401),
    ("forbidden", 403),
    ("not", 404),
    ("method", 405),
    ("request", 408),
    ("gone", 410),
    ("content", 413),
    ("payload", 413),
    ("internal", 500),
    ("bad", 502),
    ("service", 503),
    ("gateway", 504),
];

/// Words that may follow a status and count nothing.
const GO_ON: [&str; 9] = ["error", "errors", "status", "response", "for", "from", "when", "while", "and"];

/// The HTTP status of a fetch that failed: a number of that size directly after a word that says so. Any other number may count
/// pixels.
pub(super) fn status(details: &str) -> Option<u16> {
    let outside = details.split_whitespace().filter(|word| !word.contains("://"));
    let words = outside.flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is = |word: &str, names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    words.iter().enumerate().find_map(|(at, word)| {
        let found = word.parse().ok().filter(|status| word.len() == 3 && (400..600).contains(status))?;
        // Between the word and the number there may be the version of HTTP, "with", "a" and "an".
        let small = |word: &&&str| word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit());
        let versions = words[..at].iter().rev().take_while(small).count();
        let before = &words[..at - versions];
        if before.last().is_some_and(|word| is(word, if versions > 0 { &SAY_SO[..1] } else { &SAY_SO })) {
            return Some(found);
        }
        // `HTTP error 403`.
        if let [.., http, error] = before
            && is(http, &SAY_SO[..1])
            && is(error, &["error"])
        {
            return Some(found);
        }
        let next = words.get(at + 1);
        if next.is_some_and(|next| REASONS.iter().any(|(word, of)| *of == found && next.eq_ignore_ascii_case(word))) {
            return Some(found);
        }
        let filler = |word: &&&str| is(word, &["with", "a", "an"]);
        let fillers = before.iter().rev().take_while(filler).count();
        let counts = next.is_some_and(|next| next.starts_with(|c: char| c.is_lowercase()) && !is(next, &GO_ON));
        let said = versions == 0 && before[..before.len() - fillers].last().is_some_and(|word| is(word, &VERBS));
        (said && !counts).then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn what_an_address_answered_is_a_number_behind_a_word_that_says_so() {
        for (details, expected) in [
            ("Downloading media from weblink failed with http code 403, status message Forbidden", 403),
            ("HTTP 503.", 503),
            ("Status: 404", 404),
            ("response code=500", 500),
            ("HTTP/1.1 403 Forbidden", 403),
            ("HTTP/2 404", 404),
            ("The server returned 403", 403),
            ("The server returned 403 Forbidden", 403),
            ("Media host responded with 403", 403),
            ("Media host responded with a 502 error", 502),
            ("statusCode=403", 403),
            ("httpStatus: 410", 410),
            ("response code: 403", 403),
            ("HTTP error 403", 403),
            ("response 403", 403),
            ("Error: received 403 from the media host", 403),
            ("Weblink download: 403 Forbidden", 403),
            ("404 Not Found", 404),
        ] {
            assert_eq!(status(details), Some(expected), "{details}");
        }
        for other in [
            "The image must be 512 x 512 pixels",
            "Sticker size exceeds 500 KB",
            "131053 4096 px",
            "size 40300",
            "413",
            "status of 480 frames",
            "received 480 frames",
            "an error 403 rows long",
            "The query returned 500 rows",
            "Codec 1.1 404",
            "Could not fetch https://cdn.lmotos.mx/http/404?code=403",
        ] {
            assert_eq!(status(other), None, "{other}");
        }
    }
}
