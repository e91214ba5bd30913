//! Every key is written and read back, and no two are alike.

use std::{collections::HashSet, mem::discriminant};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;

fn keys() -> impl Strategy<Value = ItemKey> {
    let number = || "[0-9]{1,17}".prop_map(PhoneNumberId::new);
    let customer = || "[0-9a-f]{8}-[0-9a-f]{4}".prop_map(CustomerId::new);
    let code = || "[0-9a-f]{32}".prop_map(ConfirmationCode::new);
    let account = || any::<i64>().prop_map(AccountId);
    let id = || any::<i64>().prop_map(ConversationId);
    let message = || (0..=i64::MAX).prop_map(MessageId);
    let hash = || "[0-9a-f]{32}";
    let day = || 0..100_000_i64;
    let group = (number(), hash()).prop_map(|(at, of)| MessageGroup::Person(at, KeyedHash::new(of)));
    let customers = prop_oneof![
        number().prop_map(ItemKey::Channel),
        customer().prop_map(ItemKey::Customer),
        (customer(), number()).prop_map(|(of, at)| ItemKey::Thread(of, at)),
        (account(), hash()).prop_map(|(at, of)| ItemKey::Alias(at, KeyedHash::new(of))),
        (account(), id()).prop_map(|(at, of)| ItemKey::Conversation(at, of)),
        (account(), id(), message()).prop_map(|(at, of, id)| ItemKey::Outgoing(at, of, id)),
    ];
    let inbound = prop_oneof![
        hash().prop_map(|of| ItemKey::Link(KeyedHash::new(of))),
        hash().prop_map(|of| ItemKey::Revocation(KeyedHash::new(of))),
        (number(), hash()).prop_map(|(at, of)| ItemKey::OrphanStatus(at, KeyedHash::new(of))),
        (number(), "[0-9]{15}").prop_map(|(at, of)| ItemKey::MediaAtMeta(at, MediaId::new(of))),
        (number(), hash()).prop_map(|(at, of)| ItemKey::PendingFile(at, KeyedHash::new(of))),
        hash().prop_map(|of| ItemKey::Claim(KeyedHash::new(of))),
        ("[0-9]{15}|account", day(), "[0-9a-f]{2}").prop_map(|(at, day, row)| ItemKey::LedgerRow(at, day, row)),
    ];
    let outbound = prop_oneof![
        number().prop_map(ItemKey::NumberRate),
        (number(), account(), id()).prop_map(|(at, of, id)| ItemKey::Watch(at, of, id)),
        number().prop_map(ItemKey::Round),
        number().prop_map(ItemKey::Blind),
        Just(ItemKey::Missed),
    ];
    let erasures = prop_oneof![
        code().prop_map(ItemKey::Erasure),
        code().prop_map(ItemKey::DataSubject),
        code().prop_map(ItemKey::Receipt),
        code().prop_map(ItemKey::Dropped),
        (code(), "inbound|outbound", group).prop_map(|(of, at, group)| ItemKey::DrainMarker(of, at, group)),
        (code(), hash()).prop_map(|(of, alias)| ItemKey::LearntAlias(of, KeyedHash::new(alias))),
        code().prop_map(ItemKey::OpenErasure),
        number().prop_map(ItemKey::Transfer),
        (number(), hash()).prop_map(|(at, of)| ItemKey::PastPerson(at, KeyedHash::new(of))),
        (number(), hash(), hash())
            .prop_map(|(at, of, slice)| { ItemKey::PastSlice(at, KeyedHash::new(of), KeyedHash::new(slice)) }),
        account().prop_map(ItemKey::ImportRate),
        (hash(), prop::option::of(account())).prop_map(|(of, at)| ItemKey::PastTombstone(KeyedHash::new(of), at)),
        hash().prop_map(|of| ItemKey::Request(KeyedHash::new(of))),
        (hash(), proptest::option::of(account())).prop_map(|(of, at)| ItemKey::Tombstone(KeyedHash::new(of), at)),
        code().prop_map(ItemKey::Marks),
        "overdue|contacts|Quiet#[0-9]{15}".prop_map(ItemKey::Sweep),
        (number(), day()).prop_map(|(at, day)| ItemKey::SweepAsked(at, day)),
        hash().prop_map(|of| ItemKey::Administrator(KeyedHash::new(of))),
        hash().prop_map(|id| ItemKey::Signup(SignupId::new(id))),
        number().prop_map(ItemKey::SignupNumber),
        number().prop_map(ItemKey::TokenCheck),
        any::<u64>().prop_map(ItemKey::Access),
        Just(ItemKey::LastAccess),
        proptest::sample::select(&Side::ALL[..]).prop_map(ItemKey::Silence),
        hash().prop_map(|id| ItemKey::SignupTold(SignupId::new(id))),
        hash().prop_map(|id| ItemKey::SignupHint(WabaId::new(id))),
        number().prop_map(ItemKey::PastAsked),
        (account(), id(), 1..i64::MAX).prop_map(|(at, of, one)| ItemKey::ErasedMessage(at, of, MessageId(one))),
        Just(ItemKey::Absent),
    ];
    prop_oneof![customers, inbound, outbound, erasures]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(item in keys()) {
        let key = Key::from(item.clone());
        prop_assert!(key.can_be());
        prop_assert_eq!(ItemKey::read(&key), Some(item));
        prop_assert_eq!(Key::of(&key.attributes()), Some(key));
    }

    #[test]
    fn two_items_never_share_a_key((one, other) in (keys(), keys())) {
        prop_assert_eq!(Key::from(one.clone()) == Key::from(other.clone()), one == other);
    }

    #[test]
    fn any_key_is_read_without_harm(pk in ".{0,30}", sk in ".{0,30}") {
        let _ = ItemKey::read(&Key { pk, sk });
    }
}

#[test]
fn every_kind_is_tried() {
    let mut runner = TestRunner::deterministic();
    let tried = (0..3_000).map(|_| discriminant(&keys().new_tree(&mut runner).unwrap().current()));
    assert_eq!(tried.collect::<HashSet<_>>().len(), 47, "a new kind of item has to be in `keys`, too");
}

#[test]
fn messages_of_a_conversation_are_in_the_order_of_their_ids() {
    let key = |id| Key::from(ItemKey::Outgoing(AccountId(1), ConversationId(2), MessageId(id)));
    assert!(key(9) < key(10) && key(10) < key(i64::MAX));
}

#[test]
fn no_item_has_a_key_that_dynamodb_refuses() {
    let item = |id: &str| Key::from(ItemKey::MediaAtMeta(PhoneNumberId::new("1"), MediaId::new(id)));
    assert!(item("m").can_be() && !item("").can_be() && !item(&"m".repeat(1025)).can_be());
}
