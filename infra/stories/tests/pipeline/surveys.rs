//! What Chatwoot's callback has and its list has not: a survey's link. And what has no link at all.

use serde_json::json;

use crate::{
    fixtures::{MINUTE, goes_by},
    open_chat::{OpenChat, refuses},
};

impl OpenChat {
    /// The inbox sends a survey, in these words if there are any.
    pub(crate) async fn surveys(&self, words: Option<&str>) {
        let mut body = json!({ "csat_survey_enabled": true });
        if let Some(words) = words {
            body["csat_config"] = json!({ "display_type": "emoji", "message": words });
        }
        let token = self.world.chatwoot.token("Admin", simulator_chatwoot::Role::Administrator);
        let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1/accounts/{}/inboxes/14", stories::ACCOUNT);
        let (status, answer) =
            crate::open_chat::call("PATCH", &self.world.chatwoot.url(), &path, &headers, body.to_string().as_bytes())
                .await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn survey_link(&self) -> String {
        let row = self.reads_chatwoot(&format!("/conversations/{}", self.conversation)).await;
        format!("{}/survey/responses/{}", self.world.chatwoot.url(), row["uuid"].as_str().unwrap())
    }
}

#[tokio::test]
async fn a_survey_goes_out_with_its_link_whatever_becomes_of_its_callback() {
    for (words, lost) in
        [(None, false), (None, true), (Some("¿Qué tal le atendimos?"), false), (Some("¿Y bien?"), true)]
    {
        let shop = OpenChat::open().await;
        shop.surveys(words).await;
        if lost {
            shop.world.chatwoot.callbacks().lose(1);
        }
        shop.sofia.resolves(shop.conversation).await;
        shop.world.work().await.unwrap();
        goes_by(&shop.world, 10 * MINUTE, 5 * MINUTE).await;
        shop.reconciles().await;
        let expected =
            format!("{} {}", words.unwrap_or("Por favor califica la conversación"), shop.survey_link().await);
        assert_eq!(shop.ana.heard(), [expected], "lost: {lost}");
    }
}

#[tokio::test]
async fn retry_sends_a_survey_with_its_link() {
    let shop = OpenChat::open().await;
    shop.surveys(None).await;
    shop.meta_will(refuses(400, 131_026), 1);
    shop.sofia.resolves(shop.conversation).await;
    shop.world.work().await.unwrap();
    let survey =
        shop.world.chatwoot.messages(shop.conversation).into_iter().find(|one| one.content_type == "input_csat");
    let survey = survey.unwrap().id;
    assert!(shop.mark(survey).starts_with("No entregado"), "{}", shop.mark(survey));
    shop.retries(survey).await;
    assert!(shop.ana.heard()[0].ends_with(&shop.survey_link().await), "{:?}", shop.ana.heard());
}

#[tokio::test]
async fn a_video_call_without_a_link_says_so_and_one_with_a_link_goes_out() {
    let shop = OpenChat::open().await;
    let path = format!("/conversations/{}/messages", shop.conversation);
    for data in [json!({ "meeting_id": "m1" }), json!({ "meeting_id": "m2", "url": "https://meet.example/m2" })] {
        let body = json!({ "content": "Sofía inició una videollamada", "content_type": "integrations",
            "content_attributes": { "type": "dyte", "data": data } });
        assert_eq!(shop.calls_chatwoot(&path, &body).await, 200);
    }
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["Sofía inició una videollamada https://meet.example/m2"]);
    let first =
        shop.world.chatwoot.messages(shop.conversation).into_iter().find(|one| one.content_type == "integrations");
    assert!(shop.mark(first.unwrap().id).contains("no sirve sin su enlace"));
}
