//! Forms of every shape become fields an agent can read.

use super::*;

fn form(reply: &str) -> (Content, Vec<FormFile>) {
    let message = format!(r#"{{"interactive":{{"nfm_reply":{reply}}}}}"#);
    let message = Fields::read(serde_json::from_str(&message).unwrap()).unwrap();
    let reply = message.object("interactive").unwrap().object("nfm_reply").unwrap();
    (read(&reply), files(&message))
}

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

fn fields_of(reply: &str) -> Vec<(String, Answer)> {
    let (Content::Form { fields, .. }, _) = form(reply) else { panic!("{reply}") };
    fields
}

const ANSWERS: &str = r#"{"z":"1","flow_token":"t","a":null,"m":["x","y"],"b":"","k":true,"c":{"d":2,"e":null},"n":[],
    "o":[{"id":"0","title":"Roja"}]}"#;

#[test]
fn answers_keep_their_order_and_what_was_not_answered_is_left_out() {
    let as_text = format!(r#"{{"name":"flow","body":"Sent","response_json":{}}}"#, serde_json::json!(ANSWERS));
    let as_object = format!(r#"{{"name":"flow","response_json":{ANSWERS}}}"#);
    for reply in [as_text, as_object] {
        let (Content::Form { title, body, fields, id }, files) = form(&reply) else { panic!() };
        let expected = [
            ("z".to_owned(), text("1")),
            ("m".to_owned(), Answer::List(vec![text("x"), text("y")])),
            ("k".to_owned(), Answer::Flag(true)),
            ("c".to_owned(), Answer::Group(vec![("d".to_owned(), text("2"))])),
            ("o".to_owned(), Answer::List(vec![text("Roja")])),
        ];
        assert_eq!((fields.as_slice(), id.as_deref()), (expected.as_slice(), Some("t")));
        assert_eq!((title, body, files.len()), (None, None, 0));
    }
}

#[test]
fn a_list_of_values_is_read_as_well_as_an_object() {
    let list = r#"["Ana",7,true,null,{"nombre":"Eva","flow_token":"t"},{"name":"Color","value":["Roja","Azul"]},
        {"id":"0","title":"250Z"},["a","b"]]"#;
    let as_text = format!(r#"{{"response_json":{}}}"#, serde_json::json!(list));
    for reply in [as_text, format!(r#"{{"response_json":{list}}}"#)] {
        let (Content::Form { fields, id, .. }, _) = form(&reply) else { panic!() };
        let unnamed = |answer| (String::new(), answer);
        let expected = [
            unnamed(text("Ana")),
            unnamed(text("7")),
            unnamed(Answer::Flag(true)),
            ("nombre".to_owned(), text("Eva")),
            ("Color".to_owned(), Answer::List(vec![text("Roja"), text("Azul")])),
            unnamed(text("250Z")),
            unnamed(Answer::List(vec![text("a"), text("b")])),
        ];
        assert_eq!((fields.as_slice(), id.as_deref()), (expected.as_slice(), Some("t")), "{reply}");
    }
    assert_eq!(fields_of(r#"{"response_json":7}"#), [(String::new(), text("7"))]);
    assert_eq!(fields_of(r#"{"response_json":true}"#), [(String::new(), Answer::Flag(true))]);
    for nothing in ["[]", "null", "{}", "[null]", "\"[]\""] {
        assert_eq!(fields_of(&format!(r#"{{"response_json":{nothing}}}"#)), [], "{nothing}");
    }
}

#[test]
fn words_in_the_chat_and_a_title_are_kept() {
    let (Content::Form { title, body, fields, .. }, _) =
        form(r#"{"body":"Av. Juárez 1, Puebla","name":"address_message","response_json":"hola"}"#)
    else {
        panic!()
    };
    assert_eq!((title, body.as_deref()), (None, Some("Av. Juárez 1, Puebla")));
    assert_eq!(fields, [(String::new(), text("hola"))]);
    let own = r#"{"response_json":{"wa_flow_response_params":{"title":"Crédito","flow_id":1},"screen_0_Su_nombre_1":"Ana",
        "screen_1_Talla_0":["0_Muy_grande","1_M"]}}"#;
    let (Content::Form { title, fields, .. }, _) = form(own) else { panic!() };
    assert_eq!(title.as_deref(), Some("Crédito"));
    let sizes = Answer::List(vec![text("Muy grande"), text("M")]);
    assert_eq!(fields, [("Su nombre".to_owned(), text("Ana")), ("Talla".to_owned(), sizes)]);
}

#[test]
fn answers_of_any_shape_are_shown() {
    let one = |reply: &str| fields_of(&format!(r#"{{"response_json":{reply}}}"#));
    let named = |name: &str, answer: Answer| vec![(name.to_owned(), answer)];
    let list = || Answer::List(vec![text("a"), text("2")]);
    for (reply, expected) in [
        (r#"["a",2]"#, named("", list())),
        (r#""[\"a\",2]""#, named("", list())),
        ("17", named("", text("17"))),
        ("true", named("", Answer::Flag(true))),
        (r#""\"{\\\"k\\\":\\\"v\\\"}\"""#, named("k", text("v"))),
        (r#"{"\ud83d":"v"}"#, named("\u{fffd}\u{fffd}\u{fffd}", text("v"))),
        (r#"{"k":"v","k":"w"}"#, [named("k", text("v")), named("k", text("w"))].concat()),
        ("[]", Vec::new()),
        ("{}", Vec::new()),
        ("null", Vec::new()),
        (r#""""#, Vec::new()),
        (r#"{"k":{"a":[]},"l":[null,{}]}"#, Vec::new()),
    ] {
        assert_eq!(one(reply), expected, "{reply}");
    }
}

/// A queue's reader stops at 128 levels, and deeper nesting could overflow a stack after it.
#[test]
fn what_lies_too_deep_is_shown_as_it_came() {
    for levels in [DEEPEST as usize + 2, 200, 100_000] {
        for (opens, closes) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", opens.repeat(levels), closes.repeat(levels));
            let (content, _) = form(&format!(r#"{{"response_json":{{"k":{deep}}}}}"#));
            let json = serde_json::to_string(&content).unwrap();
            assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content, "{levels}");
            assert!(json.contains(&"[".repeat(levels - DEEPEST as usize - 1)) || opens != "[", "{levels}");
        }
    }
}

#[test]
fn only_choices_of_the_builder_lose_their_number_and_what_was_typed_stays() {
    let typed =
        ["12_34A", "1_kg_de_más", "12_", "_1", "0_Muy bien", "007_James", "300_Roja", "a_b_c", "1_2_3", "5_ Roja"];
    for typed in typed {
        let reply = serde_json::json!({"response_json": {"screen_0_Su_placa_1": typed, "placa": "0_Roja"}});
        let expected = [("placa".to_owned(), text("0_Roja")), ("Su placa".to_owned(), text(typed))];
        assert_eq!(fields_of(&reply.to_string()), expected);
    }
    for (name, value, expected) in [
        ("screen_0_Color_1", "0_Roja", "Roja"),
        ("screen_0_Opinión_1", "2_Área_común", "Área común"),
        ("screen_0_RadioButtonsGroup_1", "1_5_a_10_años", "5 a 10 años"),
        ("screen_1_Dropdown_0", "199_otra", "otra"),
        ("screen_1_TextInput_0", "0_Roja", "0_Roja"),
        ("screen_0_Choose_0", "0_excelente", "excelente"),
        ("screen_0_Su_nombre_1", "2_Juan", "2_Juan"),
        ("screen_0_Número_de_placa_1", "1_ABC", "1_ABC"),
        ("screen_0_Comentarios_2", "5_Estrellas", "5_Estrellas"),
    ] {
        let reply = serde_json::json!({"response_json": {name: value}});
        assert_eq!(fields_of(&reply.to_string())[0].1, text(expected), "{name}");
    }
    let listed = r#"{"response_json":{"screen_0_Gustos_1":["0_5_a_10","1_motos","12_34 A"]}}"#;
    let expected = vec![text("5 a 10"), text("motos"), text("12_34 A")];
    assert_eq!(fields_of(listed)[0].1, Answer::List(expected));
}

#[test]
fn photos_and_documents_are_files_at_meta_unless_they_are_locked() {
    let sha = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let json = format!(
        r#"{{"response_json":{{"fotos":[{{"id":790,"mime_type":"image/jpeg","sha256":"{sha}","file_name":"a.jpg"}},
        {{"file_name":"b.jpg","media_id":"u-u","cdn_url":"https://mmg.whatsapp.net/x","encryption_metadata":{{}}}}],
        "ine":{{"media_id":"791","mime_type":"application/pdf"}}}}}}"#
    );
    let (_, files) = form(&json);
    assert_eq!(files.len(), 2);
    assert_eq!((files[0].field.as_str(), files[0].media.id.as_str()), ("fotos", "790"));
    assert!(files[0].media.sha256.is_some() && files[0].media.kind == MediaKind::Image);
    assert_eq!((files[1].media.id.as_str(), files[1].media.kind), ("791", MediaKind::Document));
    let shown = fields_of(&json);
    let one = |name: &str, comes| Answer::File { name: Some(name.to_owned()), comes };
    assert_eq!(shown[0].1, Answer::List(vec![one("a.jpg", true), one("b.jpg", false)]));
}
