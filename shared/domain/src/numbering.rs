//! Lists the national spellings of a phone number, as numbering plans allow them.
//!
//! Meta writes the same mobile with and without a digit behind the country code: whatsapp-cloud-api.md §9 lists the contacts that
//! others split over it. A rule must not be wider than the plan, or two people become one:
//!
//! | country | the digit | belongs to |
//! |---|---|---|
//! | Mexico, 52 | `1` before ten digits | every number; the plan dropped it in 2019 |
//! | Argentina, 54 | `9` before ten digits | mobiles; the ten digits are assigned once, to a mobile or to a landline |
//! | Brazil, 55 | `9` before the last eight digits | mobiles whose eight digits begin with 6, 8 or 9, which had no ninth digit until 2016 |
//!
//! Two numbers that are both valid in the plan are two people. A Brazilian landline begins with 2 to 5, trunked radio with 7,
//! and a mobile with any of them behind its `9`: `11 3234-5678` and `11 93234-5678` are two people, and so are `11 7812-3456`
//! and `11 97812-3456`.
//! The tests hold the rules against the metadata of `libphonenumber`, which has both spellings of a Mexican number, and of an
//! Argentine one wherever it does not know whether a block is a mobile's.

/// The canonical spelling of a number in digits: without the optional digit.
pub(crate) fn canonical(digits: &str) -> Option<String> {
    let without = |country: &str, digit: &str, is_subscriber: fn(&str) -> bool| {
        let rest = digits.strip_prefix(country)?.strip_prefix(digit)?;
        is_subscriber(rest).then(|| format!("{country}{rest}"))
    };
    without("52", "1", is_mexican).or_else(|| without("54", "9", is_argentine)).or_else(|| {
        let (area, local) = brazilian_area(digits)?;
        let old = local.strip_prefix('9')?;
        is_old_brazilian_mobile(area, old).then(|| format!("55{area}{old}"))
    })
}

/// The longer spelling of a canonical number, if it has one.
pub(crate) fn longer(canonical: &str) -> Option<String> {
    let with = |country: &str, digit: &str, is_subscriber: fn(&str) -> bool| {
        let rest = canonical.strip_prefix(country)?;
        is_subscriber(rest).then(|| format!("{country}{digit}{rest}"))
    };
    with("52", "1", is_mexican).or_else(|| with("54", "9", is_argentine)).or_else(|| {
        let (area, local) = brazilian_area(canonical)?;
        is_old_brazilian_mobile(area, local).then(|| format!("55{area}9{local}"))
    })
}

/// Ten digits; no area code begins with 0 or 1.
fn is_mexican(national: &str) -> bool {
    is_number(national, 10) && !national.starts_with(['0', '1'])
}

/// Ten digits; area codes are 11 or begin with 2, 3 or 6.
fn is_argentine(national: &str) -> bool {
    is_number(national, 10) && (national.starts_with("11") || national.starts_with(['2', '3', '6']))
}

/// The area code of a Brazilian number, which has no zero, and what follows.
fn brazilian_area(digits: &str) -> Option<(&str, &str)> {
    let (area, local) = digits.strip_prefix("55")?.split_at_checked(2)?;
    area.bytes().all(|digit| matches!(digit, b'1'..=b'9')).then_some((area, local))
}

/// Eight digits of a mobile from before the ninth digit. The plan has numbers of shared cost that begin with 4864.
fn is_old_brazilian_mobile(area: &str, local: &str) -> bool {
    let is_shared_cost = area == "48" && local.starts_with("64");
    is_number(local, 8) && local.starts_with(['6', '8', '9']) && !is_shared_cost
}

fn is_number(digits: &str, length: usize) -> bool {
    digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use phonenumber::{Type, metadata::DATABASE};
    use proptest::prelude::*;

    use crate::WaId;

    fn kind(digits: &str) -> Option<Type> {
        let number = phonenumber::parse(None, format!("+{digits}")).ok()?;
        number.is_valid().then(|| number.number_type(&DATABASE))
    }

    #[test]
    fn two_numbers_that_the_plan_both_has_are_two_people() {
        for (other, mobile, of) in [
            ("551132345678", "5511932345678", Type::FixedLine),
            ("552125551234", "5521925551234", Type::FixedLine),
            ("551178123456", "5511978123456", Type::Mobile),
            ("554864000000", "5548964000000", Type::SharedCost),
        ] {
            assert_eq!((kind(other), kind(mobile)), (Some(of), Some(Type::Mobile)));
            assert!(!WaId::are_same(other, mobile));
            assert_eq!(WaId::new(other).spellings(), [WaId::new(other)]);
            assert_eq!(WaId::new(mobile).spellings(), [WaId::new(mobile)]);
        }
    }

    #[test]
    fn what_is_no_number_of_the_plan_has_one_spelling() {
        for digits in [
            "5210555550123",
            "521055555012",
            "5490115555014",
            "5498155550145",
            "5501987654321",
            "55119876543210",
            "52",
            "55",
            "551",
            "",
        ] {
            assert_eq!(WaId::new(digits).spellings(), [WaId::new(digits)], "{digits}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// Both valid means two people. Of Mexico the metadata has both spellings of a mobile; of Argentina it has both for any
        /// number of a block that may be of either kind: there the plan assigns the ten digits once.
        #[test]
        fn no_rule_is_wider_than_the_plan(number in "52[0-9]{10,11}|54[0-9]{10,11}|55[0-9]{10,11}|(1|57|34|44)[0-9]{8,11}") {
            let all = WaId::new(number.clone()).spellings();
            for one in &all {
                prop_assert_eq!(one.canonical(), all[0].canonical());
                prop_assert_eq!(one.spellings().len(), all.len());
            }
            if let [one, other] = all.as_slice() {
                let kinds = [kind(one.as_str()), kind(other.as_str())];
                let country = &number[..2];
                prop_assert!(["52", "54", "55"].contains(&country));
                let both = kinds.iter().all(Option::is_some);
                let may_be_both = match country {
                    "54" => true,
                    "52" => !kinds.contains(&Some(Type::FixedLine)),
                    _ => false,
                };
                prop_assert!(!both || may_be_both, "{:?} {:?}", all, kinds);
            }
        }

        /// A mobile that Meta may write in two ways is found in both, unless the plan gives the shorter one to another person.
        #[test]
        fn no_rule_is_narrower_than_the_plan(number in "5219[0-9]{9}|5255[0-9]{8}|549(11|2[0-9]|3[0-9])[0-9]{8}|55[1-9][1-9]9[689][0-9]{7}") {
            let is_anothers = number.starts_with("55") && kind(&format!("{}{}", &number[..4], &number[5..])).is_some();
            if !is_anothers && kind(&number).is_some_and(|kind| matches!(kind, Type::Mobile | Type::FixedLineOrMobile)) {
                prop_assert_eq!(WaId::new(number).spellings().len(), 2);
            }
        }
    }
}
