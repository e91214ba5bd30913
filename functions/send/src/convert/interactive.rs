//! Turns rich messages of bots and automations into WhatsApp's forms. They become buttons or a list where Meta
//! accepts them, else text.

use chatwoot::rich::{ArticleCard, FormField, RichCard, RichChoice, RichContent};
use texts::{Locale, outbound::OutboundText};
use whatsapp::interactive::{self, Menu};

/// The form in which a rich message is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InteractiveForm {
    /// As buttons or a list, with the text in it.
    Menu(Menu),
    /// As text, with the message's own text first.
    Text(String),
}

/// Makes buttons, a list or a text of `words`, in WhatsApp's markup, and of the rich content beside them.
pub(crate) fn shown(words: &str, rich: &RichContent, locale: Locale) -> InteractiveForm {
    let asked = |by: OutboundText| if words.is_empty() { by.text(locale) } else { words };
    match rich {
        RichContent::Choices(choices) => {
            let question = asked(OutboundText::Choose);
            let menu = choices.iter().map(choice).collect();
            match Menu::new(question.to_owned(), OutboundText::OpenList.text(locale), menu) {
                Some(menu) => InteractiveForm::Menu(menu),
                None => InteractiveForm::Text(format!("{question}\n{}", numbered(choices))),
            }
        }
        RichContent::Cards(cards) => InteractiveForm::Text(paragraphs(words, cards.iter().map(card))),
        RichContent::Form(fields) => {
            let fields: Vec<String> = fields.iter().map(field).collect();
            InteractiveForm::Text(format!("{}\n{}", asked(OutboundText::PleaseAnswer), fields.join("\n")))
        }
        RichContent::Articles(articles) => InteractiveForm::Text(paragraphs(words, articles.iter().map(article))),
    }
}

fn choice(choice: &RichChoice) -> interactive::InteractiveChoice {
    let description = one_line(&choice.description);
    interactive::InteractiveChoice {
        id: choice.value.clone(),
        title: one_line(&choice.title),
        description: (!description.is_empty()).then_some(description),
    }
}

fn numbered(choices: &[RichChoice]) -> String {
    let line = |(at, choice): (usize, &RichChoice)| {
        let about = if choice.description.is_empty() {
            String::new()
        } else {
            format!(" – {}", one_line(&choice.description))
        };
        format!("{}. {}{about}", at + 1, one_line(&choice.title))
    };
    choices.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// The picture is given as an address: it may be anywhere, and the bridge fetches files from Chatwoot alone.
fn card(card: &RichCard) -> String {
    let actions = card.actions.iter().map(|action| match (action.text.as_str(), action.uri.as_str()) {
        ("", uri) => uri.to_owned(),
        (text, "") => format!("• {}", one_line(text)),
        (text, uri) => format!("{}: {uri}", one_line(text)),
    });
    lines([headline(&card.title), card.description.clone(), card.media_url.clone()].into_iter().chain(actions))
}

fn field(field: &FormField) -> String {
    let label = [&field.label, &field.name, &field.placeholder].into_iter().find(|text| !text.is_empty());
    let label = one_line(label.map_or("", String::as_str));
    let options = field.options.iter().map(|one| if one.label.is_empty() { &one.title } else { &one.label });
    let options: Vec<String> = options.filter(|option| !option.is_empty()).map(|option| one_line(option)).collect();
    if options.is_empty() { format!("• {label}") } else { format!("• {label} ({})", options.join(" / ")) }
}

fn article(article: &ArticleCard) -> String {
    lines([headline(&article.title), article.description.clone(), article.link.clone()].into_iter())
}

fn headline(title: &str) -> String {
    let title = one_line(title);
    // An asterisk inside would end the bold too early.
    if title.is_empty() || title.contains('*') { title } else { format!("*{title}*") }
}

fn paragraphs(words: &str, items: impl Iterator<Item = String>) -> String {
    let all = std::iter::once(words.to_owned()).chain(items).filter(|text| !text.is_empty());
    all.collect::<Vec<_>>().join("\n\n")
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(words: &str, content_type: &str, items: &Value) -> Option<String> {
        let message = json!({ "id": 1, "content_type": content_type, "content_attributes": { "items": items } });
        let message: chatwoot::listing::ListedMessage = serde_json::from_value(message).unwrap();
        match shown(words, &message.rich().unwrap(), Locale::Es) {
            InteractiveForm::Text(text) => Some(text),
            InteractiveForm::Menu(_) => None,
        }
    }

    fn choices(count: usize) -> Value {
        (1..=count).map(|n| json!({ "title": format!("Opción {n}"), "value": n })).collect()
    }

    #[test]
    fn more_than_ten_choices_or_a_long_one_are_numbered() {
        assert_eq!(text("¿Cuál?", "input_select", &choices(3)), None);
        assert_eq!(text("", "input_select", &choices(10)), None);
        let eleven = text("¿Cuál?", "input_select", &choices(11)).unwrap();
        assert!(eleven.starts_with("¿Cuál?\n1. Opción 1\n2.") && eleven.ends_with("\n11. Opción 11"), "{eleven}");
        let long = json!([{ "title": "Una motocicleta\nroja de 250 cc", "value": "a" }]);
        assert_eq!(text("", "input_select", &long).unwrap(), "Elige una opción:\n1. Una motocicleta roja de 250 cc");
    }

    #[test]
    fn the_list_opens_behind_words_meta_takes() {
        for locale in [Locale::Es, Locale::En] {
            assert!(OutboundText::OpenList.text(locale).chars().count() <= 20);
        }
    }

    #[test]
    fn cards_are_read_one_after_the_other() {
        let cards = json!([
            { "title": "RX150", "description": "La azul", "media_url": "https://x.example/a.png",
              "actions": [{ "type": "link", "text": "Ver", "uri": "https://x.example" }, { "type": "postback", "text": "La quiero" }] },
            { "title": "5*3" },
        ]);
        assert_eq!(
            text("Mira:", "cards", &cards).unwrap(),
            "Mira:\n\n*RX150*\nLa azul\nhttps://x.example/a.png\nVer: https://x.example\n• La quiero\n\n5*3"
        );
    }

    #[test]
    fn a_form_is_a_list_of_questions() {
        let form = json!([{ "name": "email", "label": "Tu correo", "type": "email" }, { "name": "pago", "type": "select",
            "options": [{ "label": "Contado", "value": 1 }, { "title": "Crédito" }] }]);
        assert_eq!(text("", "form", &form).unwrap(), "Por favor, responde:\n• Tu correo\n• pago (Contado / Crédito)");
    }

    #[test]
    fn an_article_has_its_link() {
        let article = json!([{ "title": "Garantía", "description": "Dos años", "link": "https://x.example/g" }]);
        assert_eq!(
            text("Lee esto", "article", &article).unwrap(),
            "Lee esto\n\n*Garantía*\nDos años\nhttps://x.example/g"
        );
    }
}
