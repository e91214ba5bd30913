//! Tells an agent that Chatwoot replaced the bridge's text with its own.

use crate::{Locale, report::begins};

/// The line about a message that does not show its reason, because Chatwoot's callbacks fail. `retry` tells whether a Retry is
/// still noticed.
pub fn text(locale: Locale, text: &str, reason: &str, retry: bool) -> String {
    let begins = begins(text);
    let (es, en) = if retry {
        (
            "Si pulsas Reintentar, se nota en unos minutos, aunque siga en rojo.",
            "If you press Retry, it is noticed within some minutes, though the message stays red.",
        )
    } else {
        (
            "Aquí Reintentar no se nota: si hace falta, escríbelo de nuevo.",
            "Retry is not noticed here: if it is needed, write it anew.",
        )
    };
    match locale {
        Locale::Es => format!(
            "⚠️ Chatwoot no logra avisar al puente y pinta mensajes en rojo con un texto suyo. El que empieza «{begins}» no ha salido completo: {reason} {es} Una nota con `/estado` dice en unos minutos qué salió. Avisa al operador."
        ),
        Locale::En => format!(
            "⚠️ Chatwoot cannot reach the bridge, and turns messages red with words of its own. The one that begins “{begins}” has not gone out whole: {reason} {en} A note with `/estado` tells within some minutes what went out. Tell the operator."
        ),
    }
}
