//! Who may call, and how a refusal looks.

use reqwest::Method;
use serde_json::{Value, json};

use crate::suite::{JSON, PAGE, Suite};

pub(crate) async fn asks(suite: &mut Suite) {
    let profile = suite.get("//api/v1/profile", 200, JSON, "profile").await;
    suite.is("the token's role", &profile["role"], &json!("administrator"));
    let version = suite.get("//api", 200, JSON, "version").await;
    suite.is_of_version(&version["version"]);

    let nobody = suite.request(Method::GET, "/contacts/1");
    let refused = suite.send("without a token", nobody, (401, JSON, "sign_in")).await;
    suite.is("without a token", &refused["errors"][0], &json!("You need to sign in or sign up before continuing."));
    let wrong = suite.request(Method::GET, "/contacts/1").header("api_access_token", "nope");
    let refused = suite.send("with a wrong token", wrong, (401, JSON, "error")).await;
    suite.is("with a wrong token", &refused["error"], &json!("Invalid Access Token"));

    let foreign = suite.get("//api/v1/accounts/99999999/contacts/1", 404, JSON, "error").await;
    suite.is("an account that is not there", &foreign["error"], &json!("Resource could not be found"));
    let wrong = suite.outside(Method::GET, "api/v1/profile").header("api_access_token", "nope");
    let refused = suite.send("a profile with a wrong token", wrong, (401, JSON, "error")).await;
    suite.is("a profile with a wrong token", &refused["error"], &json!("Invalid Access Token"));

    suite.get("/nonsense", 404, PAGE, "page_error").await;
    let cut_off = suite.signed(Method::POST, "/contacts").header("content-type", "application/json").body("{\"a\":");
    suite.send("a body cut off", cut_off, (400, PAGE, "page_error")).await;

    let path = format!("/inboxes/{}", suite.inbox);
    let inbox = suite.get(&path, 200, JSON, "inbox").await;
    suite.is("the inbox's type", &inbox["channel_type"], &json!("Channel::Api"));
    suite.is("the inbox's lock", &inbox["lock_to_single_conversation"], &Value::Bool(true));
    suite.get("/inboxes/99999", 404, JSON, "error").await;
    let window = json!({ "channel": { "additional_attributes": { "agent_reply_time_window": -1 } } });
    let refused = suite.call(Method::PATCH, &path, window, (422, JSON, "invalid")).await;
    let text = json!("Agent reply time window agent_reply_time_window must be greater than 0");
    suite.is("a window below 0", &refused["message"], &text);
}
