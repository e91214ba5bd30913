//! Templates: what is accepted and how the customer reads it, what is refused, and what Meta decides about them.

use anyhow::Context as _;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulator_meta::Statuses;

use crate::stage::{ANA, NUMBER, Stage, TOKEN, WABA, answer, code};

fn template(name: &str, category: &str, components: Value) -> Value {
    json!({"name": name, "language": "es_MX", "status": "APPROVED", "category": category, "components": components})
}

/// The stage with a list of templates of each kind.
async fn open() -> anyhow::Result<Stage> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let mut promo =
        template("promo", "MARKETING", json!([{"type": "BODY", "text": "{{nombre}}, la {{modelo}} con descuento"}]));
    promo["parameter_format"] = "NAMED".into();
    let buttons = json!([
        {"type": "PHONE_NUMBER", "text": "Llamar", "phone_number": "+525555550100"},
        {"type": "URL", "text": "Ver", "url": "https://lmotos.example/m/{{1}}", "example": ["250z"]},
        {"type": "QUICK_REPLY", "text": "Ya no"},
        {"type": "COPY_CODE", "example": "NOV10"},
    ]);
    stage.meta.set_templates(
        WABA,
        vec![
            template("servicio", "UTILITY", json!([
                {"type": "HEADER", "format": "TEXT", "text": "Taller {{1}}"},
                {"type": "BODY", "text": "Hola {{1}}, su {{2}} está lista."},
                {"type": "FOOTER", "text": "LMotos"},
            ])),
            promo,
            template("catalogo", "MARKETING", json!([
                {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Mire"}, {"type": "BUTTONS", "buttons": buttons},
            ])),
            template("cotizacion", "UTILITY", json!([
                {"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Su cotización"},
            ])),
        ],
    );
    Ok(stage)
}

async fn send(stage: &Stage, name: &str, components: Value) -> anyhow::Result<(u16, u64)> {
    let template = json!({"name": name, "language": {"code": "es_MX"}, "components": components});
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": template});
    let (status, answered) = stage.send(body).await?;
    Ok((status, code(&answered)))
}

fn text(value: &str) -> Value {
    json!({"type": "text", "text": value})
}

fn part(kind: &str, parameters: Value) -> Value {
    json!({"type": kind, "parameters": parameters})
}

fn button(sub_type: &str, index: &str, parameter: Value) -> Value {
    json!({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})
}

fn image() -> Value {
    part("header", json!([{"type": "image", "image": {"link": "https://lmotos.example/250z.jpg"}}]))
}

fn rest() -> [Value; 2] {
    [button("url", "1", text("250z")), button("copy_code", "3", json!({"type": "coupon_code", "coupon_code": "NOV10"}))]
}

async fn upload(stage: &Stage, name: &str, mime: &str) -> anyhow::Result<String> {
    let file = Part::bytes(b"invented".to_vec()).file_name(name.to_owned()).mime_str(mime)?;
    let form = Form::new().text("messaging_product", "whatsapp").text("type", mime.to_owned()).part("file", file);
    let url = stage.graph(&format!("{NUMBER}/media"));
    let (_, uploaded) = answer(stage.http.post(url).bearer_auth(TOKEN).multipart(form)).await?;
    Ok(uploaded["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test]
async fn the_customer_reads_the_template_filled_in() -> anyhow::Result<()> {
    let stage = open().await?;
    let ana = stage.meta.customer("Ana", ANA);
    let parts = [part("header", json!([text("Centro")])), part("body", json!([text("Ana"), text("250Z")]))];
    assert_eq!(send(&stage, "servicio", json!(parts)).await?.0, 200);
    let named = |name: &str, value: &str| json!({"type": "text", "parameter_name": name, "text": value});
    let parts = json!([part("body", json!([named("modelo", "250Z"), named("nombre", "Ana")]))]);
    assert_eq!(send(&stage, "promo", parts).await?.0, 200);
    let [url, code] = rest();
    assert_eq!(send(&stage, "catalogo", json!([image(), url, code])).await?.0, 200);
    assert_eq!(
        ana.heard(),
        [
            "Taller Centro\nHola Ana, su 250Z está lista.\nLMotos",
            "Ana, la 250Z con descuento",
            "https://lmotos.example/250z.jpg\nMire\n[Llamar]\n[Ver: https://lmotos.example/m/250z]\n[Ya no]\n\
             [Copiar código: NOV10]",
        ]
    );
    stage.meta.settled().await;
    let pricing = |at: usize| stage.values().map(|values| values[at]["statuses"][0]["pricing"]["category"].clone());
    assert_eq!((pricing(0)?, pricing(2)?), (json!("utility"), json!("marketing")));

    let wamid = ana.phone()[2].wamid.clone();
    ana.taps(&wamid, "Ya no").await?;
    let tapped = stage.values()?.pop().unwrap();
    assert_eq!(tapped["messages"][0]["button"], json!({"payload": "Ya no", "text": "Ya no"}));
    assert_eq!(tapped["messages"][0]["context"]["id"], wamid);
    Ok(())
}

#[tokio::test]
async fn a_file_in_the_header_is_the_numbers_own_and_of_the_right_type() -> anyhow::Result<()> {
    let stage = open().await?;
    let ana = stage.meta.customer("Ana", ANA);
    let pdf = upload(&stage, "cotización.pdf", "application/pdf").await?;
    let document =
        |id: &str| part("header", json!([{"type": "document", "document": {"id": id, "filename": "250Z.pdf"}}]));
    assert_eq!(send(&stage, "cotizacion", json!([document(&pdf)])).await?.0, 200);
    let seen = ana.phone().pop().unwrap();
    assert_eq!((seen.filename.as_deref(), seen.text.as_str()), (Some("250Z.pdf"), "Su cotización"));
    assert_eq!(seen.bytes.as_deref(), Some(&b"invented"[..]));

    assert_eq!(send(&stage, "cotizacion", json!([document("123")])).await?, (400, 100));
    let [url, code] = rest();
    let image = part("header", json!([{"type": "image", "image": {"id": pdf}}]));
    assert_eq!(send(&stage, "catalogo", json!([image, url, code])).await?.0, 200);
    assert_eq!(stage.statuses().await?.last().unwrap(), "failed 131053");
    Ok(())
}

#[tokio::test]
async fn what_does_not_match_the_list_is_refused_with_its_code() -> anyhow::Result<()> {
    let stage = open().await?;
    stage.meta.customer("Ana", ANA);
    let header = || part("header", json!([text("Centro")]));
    let body = |parameters: Value| json!([header(), part("body", parameters)]);
    let named = |name: &str, value: &str| json!({"type": "text", "parameter_name": name, "text": value});
    let [url, coupon] = rest();
    let pdf = part("header", json!([{"type": "document", "document": {"link": "https://x/y.pdf"}}]));
    for (name, components, expected) in [
        ("nadie", json!([]), (404, 132_001)),
        ("servicio", json!([]), (400, 132_000)),
        ("servicio", json!([header()]), (400, 132_000)),
        ("servicio", body(json!([text("Ana")])), (400, 132_000)),
        ("servicio", body(json!([text("Ana"), text("250Z"), text("más")])), (400, 132_000)),
        ("servicio", json!([part("body", json!([text("Ana"), text("250Z")]))]), (400, 132_000)),
        ("servicio", body(json!([named("1", "Ana"), named("2", "250Z")])), (400, 132_012)),
        ("servicio", body(json!([text("Ana"), {"type": "payload", "payload": "x"}])), (400, 132_012)),
        ("servicio", body(json!([text("Ana"), text("")])), (400, 132_018)),
        ("servicio", body(json!([text("Ana"), text("250\nZ")])), (400, 132_018)),
        ("servicio", body(json!([text("Ana"), text("250     Z")])), (400, 132_018)),
        ("servicio", body(json!([text("Ana"), text(&"x".repeat(1024))])), (400, 132_005)),
        ("servicio", json!([part("header", json!([text(&"x".repeat(60))]))]), (400, 132_005)),
        ("servicio", json!([image(), part("body", json!([text("Ana"), text("250Z")]))]), (400, 132_012)),
        ("servicio", json!([header(), header(), part("body", json!([text("Ana"), text("250Z")]))]), (400, 132_012)),
        ("servicio", json!([part("carousel", json!([]))]), (400, 100)),
        ("promo", json!([part("body", json!([text("Ana"), text("250Z")]))]), (400, 132_012)),
        ("promo", json!([part("body", json!([named("nombre", "Ana"), named("color", "rojo")]))]), (400, 132_012)),
        ("promo", json!([part("body", json!([named("nombre", "Ana"), named("nombre", "Eva")]))]), (400, 132_012)),
        ("promo", json!([part("body", json!([named("nombre", "Ana"), text("250Z")]))]), (400, 132_012)),
        ("catalogo", json!([url, coupon]), (400, 132_012)),
        ("catalogo", json!([pdf, url, coupon]), (400, 132_012)),
        ("catalogo", json!([image(), coupon]), (400, 131_008)),
        ("catalogo", json!([image(), url]), (400, 131_008)),
        ("catalogo", json!([image(), url, coupon, button("url", "0", text("x"))]), (400, 100)),
        ("catalogo", json!([image(), url, coupon, button("url", "2", text("x"))]), (400, 132_012)),
        ("catalogo", json!([image(), url, coupon, button("url", "4", text("x"))]), (400, 132_012)),
        ("catalogo", json!([image(), url, coupon, button("phone_number", "0", text("x"))]), (400, 100)),
        (
            "catalogo",
            json!([image(), button("url", "1", json!({"type": "payload", "payload": "x"})), coupon]),
            (400, 132_012),
        ),
        ("catalogo", json!([image(), button("url", "1", text("a b\tc")), coupon]), (400, 132_018)),
    ] {
        assert_eq!(send(&stage, name, components.clone()).await?, expected, "{name} {components}");
    }
    let english = json!({"name": "servicio", "language": {"code": "es"}});
    let message = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": english});
    assert_eq!(code(&stage.send(message).await?.1), 132_001, "the language must be exactly the one");
    Ok(())
}

#[tokio::test]
async fn meta_decides_about_a_template_and_tells() -> anyhow::Result<()> {
    let stage = open().await?;
    stage.meta.customer("Ana", ANA);
    for (event, expected) in [
        ("PAUSED", (400, 132_015)),
        ("DISABLED", (400, 132_016)),
        ("REJECTED", (404, 132_001)),
        ("PENDING", (404, 132_001)),
        ("FLAGGED", (400, 132_000)),
        ("APPROVED", (400, 132_000)),
    ] {
        stage.meta.set_template_status(WABA, "servicio", "es_MX", event).await?;
        assert_eq!(send(&stage, "servicio", json!([])).await?, expected, "{event}");
        let told = stage.values()?.pop().unwrap();
        assert_eq!((&told["event"], &told["message_template_name"]), (&json!(event), &json!("servicio")));
        assert!(told["message_template_id"].is_u64());
        assert_eq!(told.get("rejection_info").is_some(), event == "REJECTED");
    }
    stage.meta.set_template_status(WABA, "servicio", "es_MX", "DELETED").await?;
    assert_eq!(stage.meta.templates(WABA).len(), 3);
    assert!(stage.meta.set_template_status(WABA, "servicio", "es_MX", "APPROVED").await.is_err());
    Ok(())
}

#[tokio::test]
async fn who_stopped_marketing_gets_none() -> anyhow::Result<()> {
    let stage = open().await?;
    let ana = stage.meta.customer("Ana", ANA);
    let [url, coupon] = rest();
    let promo = || json!([image(), url, coupon]);
    ana.stops_marketing().await?;
    let wish = &stage.values()?[0]["user_preferences"][0];
    assert_eq!((&wish["value"], &wish["user_id"]), (&json!("stop"), &json!(ana.user_id())));
    assert_eq!(send(&stage, "catalogo", promo()).await?.0, 200);
    assert_eq!(stage.statuses().await?, ["failed 131050"]);
    let useful = json!([part("header", json!([text("Centro")])), part("body", json!([text("Ana"), text("250Z")]))]);
    assert_eq!(send(&stage, "servicio", useful).await?.0, 200);
    ana.resumes_marketing().await?;
    assert_eq!(send(&stage, "catalogo", promo()).await?.0, 200);
    assert_eq!(ana.heard().len(), 2);
    Ok(())
}
