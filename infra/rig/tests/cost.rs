//! The document about costs says what the functions do.

use rig::{cost, functions};

#[tokio::test]
async fn the_document_tells_what_is_counted() {
    let text = std::fs::read_to_string(functions::top().join("docs/cost.md")).unwrap();
    let costs = cost::all().await.unwrap();
    let now = cost::document(&text, &costs).unwrap();
    assert!(now == text, "docs/cost.md is old; run: cargo run -p rig -- cost --write\n{}", cost::table(&costs));
}
