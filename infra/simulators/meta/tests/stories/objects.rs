//! Numbers, templates and the contact book.

use serde_json::{Value, json};
use simulator_meta::Statuses;

use crate::stage::{ANA, NUMBER, Stage, TOKEN, WABA, answer, code};

async fn get(stage: &Stage, path: &str) -> anyhow::Result<(u16, Value)> {
    answer(stage.http.get(stage.graph(path)).bearer_auth(TOKEN)).await
}

#[tokio::test]
async fn a_number_tells_the_fields_it_is_asked_for() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let (_, number) = get(&stage, &format!("{NUMBER}?fields=is_on_biz_app,platform_type,nonsense")).await?;
    assert_eq!(number, json!({"id": NUMBER, "is_on_biz_app": true, "platform_type": "CLOUD_API"}));
    let (status, refused) = get(&stage, "999").await?;
    assert_eq!((status, code(&refused)), (400, 100));
    let (status, refused) = answer(stage.http.put(stage.graph(NUMBER)).bearer_auth(TOKEN)).await?;
    assert_eq!((status, code(&refused)), (400, 100));
    Ok(())
}

#[tokio::test]
async fn templates_are_listed_page_by_page() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let template = |name: &str, status: &str| json!({"name": name, "status": status, "language": "es_MX"});
    let templates = vec![template("a", "APPROVED"), template("b", "REJECTED"), template("c", "APPROVED")];
    stage.meta.set_templates(WABA, templates);
    let (_, approved) = get(&stage, &format!("{WABA}/message_templates?status=APPROVED")).await?;
    assert_eq!(approved["data"].as_array().map(Vec::len), Some(2));
    let (_, first) = get(&stage, &format!("{WABA}/message_templates?status=APPROVED&limit=1")).await?;
    let next = first["paging"]["next"].as_str().unwrap();
    let (_, second) = answer(stage.http.get(next).bearer_auth(TOKEN)).await?;
    assert_eq!((&first["data"][0]["name"], &second["data"][0]["name"]), (&json!("a"), &json!("c")));
    assert!(second["paging"].get("next").is_none());
    let (_, named) = get(&stage, &format!("{WABA}/message_templates?fields=name&status=REJECTED")).await?;
    assert_eq!(named["data"], json!([{"id": stage.meta.templates(WABA)[1]["id"], "name": "b"}]));
    assert_eq!(get(&stage, "1/message_templates").await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn the_contact_book_forgets_a_person_once() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA).user_id();
    let url = stage.graph(&format!("{NUMBER}/contact_book?messaging_product=whatsapp&bsuid={ana}"));
    for deleted in [true, false] {
        let answered = answer(stage.http.delete(&url).bearer_auth(TOKEN)).await?;
        assert_eq!(answered, (200, json!({"success": true, "deleted": deleted})));
    }
    assert_eq!(stage.meta.contact_book_deletions(), [ana.clone(), ana]);
    Ok(())
}
