//! Reads lists and pairs of the query protocol's XML.

use std::collections::BTreeMap;

use roxmltree::Node;

/// The text of a child; empty where there is none.
pub(super) fn child(node: Node<'_, '_>, name: &str) -> String {
    let found = node.children().find(|child| child.tag_name().name() == name);
    found.and_then(|child| child.text()).unwrap_or_default().trim().to_owned()
}

/// The members of the first list of that name.
pub(super) fn members<'a, 'i: 'a>(root: Node<'a, 'i>, list: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    let list = root.descendants().find(|node| node.tag_name().name() == list);
    list.into_iter().flat_map(|list| list.children().filter(|child| child.tag_name().name() == "member"))
}

/// A list of keys and values.
pub(super) fn pairs(node: Node<'_, '_>, list: &str, key: &str, value: &str) -> BTreeMap<String, String> {
    members(node, list).map(|member| (child(member, key), child(member, value))).collect()
}
