//! Addresses inside a network: whatever leads an agent's file there, the bridge does not call them.

use axum::Router;
use serde_json::json;
use simulator_wire::{Effect, Fault, Faults, Server};

use crate::{
    fixtures::{MINUTE, always, goes_by},
    open_chat::{OpenChat, file},
    templates,
};

/// Something inside the network that answers everything, and what it was asked.
async fn inside() -> Server {
    let router = Router::new().fallback(|| async { "%PDF-1.7 of the inside" });
    let server = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await.unwrap();
    server.calls().record();
    server
}

/// A redirect to there instead of an agent's file.
fn leads_to(address: &str) -> Fault {
    let headers = vec![("location".to_owned(), address.to_owned())];
    always("GET", "/blobs/redirect/", Effect::AnswerWith { status: 302, headers, body: String::new() })
}

/// The spellings of what listens there, and what a cloud tells of itself.
fn spellings(server: &Server) -> Vec<String> {
    let port = server.address().port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"];
    let here = hosts.map(|host| format!("http://{host}:{port}/private"));
    here.into_iter().chain(["http://169.254.169.254/latest/meta-data/".to_owned()]).collect()
}

#[tokio::test]
async fn a_redirect_into_a_network_is_not_followed_by_an_attachment() {
    let (shop, server) = (OpenChat::open().await, inside().await);
    for address in spellings(&server) {
        shop.world.chatwoot.faults().add(leads_to(&address));
        let message =
            shop.sofia.sends_files(shop.conversation, None, vec![file("a.pdf", "application/pdf", b"%PDF-1")]).await;
        shop.world.work().await.unwrap();
        assert!(shop.mark(message).contains("no se pudo leer el archivo"), "{address}: {}", shop.mark(message));
        shop.world.chatwoot.faults().clear();
    }
    assert!(server.calls().take().is_empty() && shop.ana.received().is_empty());
    // What stands behind goes on.
    shop.says("¿Le llegó?").await;
    assert_eq!(shop.ana.heard(), ["¿Le llegó?"]);
}

#[tokio::test]
async fn a_redirect_into_a_network_is_not_followed_by_a_templates_header() {
    let (shop, server) = (OpenChat::open().await, inside().await);
    let header = json!({ "type": "HEADER", "format": "DOCUMENT" });
    let offer = templates::template("ficha", "UTILITY", &json!([header, templates::body("Su ficha")]));
    shop.offers(vec![offer]).await;
    let own = format!("{}/rails/active_storage/blobs/redirect/abc/ficha.pdf", shop.world.chatwoot.url());
    for address in spellings(&server) {
        shop.world.chatwoot.faults().add(leads_to(&address));
        let picked = json!({ "header": { "media_url": own, "media_type": "document" } });
        let message = shop.picks("ficha", &picked, "Su ficha").await;
        goes_by(&shop.world, 2 * MINUTE, MINUTE).await;
        assert!(shop.mark(message).contains("el archivo del encabezado"), "{address}: {}", shop.mark(message));
        shop.world.chatwoot.faults().clear();
    }
    assert!(server.calls().take().is_empty() && shop.ana.received().is_empty());
}

#[tokio::test]
async fn an_address_inside_a_network_that_a_message_names_is_metas_to_fetch_or_refused() {
    let (shop, server) = (OpenChat::open().await, inside().await);
    // Chatwoot names a file by an address that is not its own.
    shop.world.chatwoot.name_elsewhere("a.pdf", &server.url());
    let message =
        shop.sofia.sends_files(shop.conversation, None, vec![file("a.pdf", "application/pdf", b"%PDF-1")]).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).starts_with("No entregado: este Chatwoot anuncia"), "{}", shop.mark(message));
    // An agent types one into a template's header: it goes to Meta as it is.
    let header = json!({ "type": "HEADER", "format": "DOCUMENT" });
    let offer = templates::template("ficha", "UTILITY", &json!([header, templates::body("Su ficha")]));
    shop.offers(vec![offer]).await;
    let typed = format!("{}/ficha.pdf", server.url());
    let picked = json!({ "header": { "media_url": typed, "media_type": "document" } });
    // The simulated Meta does fetch it, as soon as it is asked.
    shop.world.meta.faults().add(always("POST", "/messages", crate::open_chat::refuses(400, 131_053)));
    let message = shop.picks("ficha", &picked, "Su ficha").await;
    assert!(shop.mark(message).starts_with("No entregado: "), "{}", shop.mark(message));
    assert!(server.calls().take().is_empty(), "the bridge fetched it");
}
