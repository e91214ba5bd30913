//! Formats amounts of money as people write them.

use crate::Locale;

/// Currencies that have no smaller coin in use.
const WHOLE: [&str; 7] = ["CLP", "COP", "CRC", "JPY", "KRW", "PYG", "VND"];

/// Currencies whose Spanish or Portuguese speakers write a comma before the cents.
const WITH_COMMA: [&str; 9] = ["ARS", "BOB", "BRL", "CLP", "COP", "EUR", "PYG", "UYU", "VES"];

/// Currencies that use the sign of a dollar or a peso.
const WITH_SIGN: [&str; 10] = ["ARS", "AUD", "CAD", "CLP", "COP", "DOP", "MXN", "NIO", "USD", "UYU"];

/// An amount with separators, and its currency: `$1,799.00 MXN`. In Spanish the separators are those of the currency's country.
pub fn money(amount: f64, currency: &str, locale: Locale) -> String {
    let code = currency.trim().to_ascii_uppercase();
    let is = |list: &[&str]| list.contains(&code.as_str());
    let whole = is(&WHOLE) && amount.fract().abs() < 0.005;
    let (thousands, point) = if locale == Locale::Es && is(&WITH_COMMA) { ('.', ',') } else { (',', '.') };
    let digits = if whole { format!("{:.0}", amount.abs()) } else { format!("{:.2}", amount.abs()) };
    let (units, cents) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut number = String::with_capacity(digits.len() + units.len() / 3 + 2);
    for (at, digit) in units.char_indices() {
        if at > 0 && (units.len() - at).is_multiple_of(3) {
            number.push(thousands);
        }
        number.push(digit);
    }
    if !cents.is_empty() {
        number.push(point);
        number.push_str(cents);
    }
    let minus = if amount < 0.0 { "-" } else { "" };
    let sign = if is(&WITH_SIGN) { "$" } else { "" };
    format!("{minus}{sign}{number} {code}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_where_its_money_is_used() {
        for (amount, currency, es, en) in [
            (2499.0, "MXN", "$2,499.00 MXN", "$2,499.00 MXN"),
            (899.5, "mxn", "$899.50 MXN", "$899.50 MXN"),
            (1_234_567.5, "USD", "$1,234,567.50 USD", "$1,234,567.50 USD"),
            (8_990_000.0, "COP", "$8.990.000 COP", "$8,990,000 COP"),
            (1799.0, "EUR", "1.799,00 EUR", "1,799.00 EUR"),
            (1799.0, "BRL", "1.799,00 BRL", "1,799.00 BRL"),
            (12.345, "PEN", "12.35 PEN", "12.35 PEN"),
            (1000.0, "", "1,000.00", "1,000.00"),
            (-1000.0, "MXN", "-$1,000.00 MXN", "-$1,000.00 MXN"),
            (0.0, "CLP", "$0 CLP", "$0 CLP"),
        ] {
            assert_eq!(
                (money(amount, currency, Locale::Es).as_str(), money(amount, currency, Locale::En).as_str()),
                (es, en)
            );
        }
    }
}
