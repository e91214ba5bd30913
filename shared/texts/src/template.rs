//! Tells an agent why a template cannot be sent.

use crate::{Locale, Text, pick};
use domain::template::Fault;

impl Text for Fault {
    fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::Missing => (
                "No entregado: esa plantilla no existe en WhatsApp en ese idioma; elige otra de la lista.",
                "Not delivered: there is no such template in that language on WhatsApp; choose another from the list.",
            ),
            Self::Paused => (
                "No entregado: WhatsApp pausó esta plantilla por las quejas de clientes; usa otra y avisa al operador.",
                "Not delivered: WhatsApp has paused this template because customers complained; use another one and tell the operator.",
            ),
            Self::Closed => (
                "No entregado: WhatsApp no tiene aprobada esta plantilla; usa otra y avisa al operador.",
                "Not delivered: this template is not approved on WhatsApp; use another one and tell the operator.",
            ),
            Self::BeyondUs => (
                "No entregado: esta plantilla lleva partes que no se pueden rellenar desde Chatwoot, como un carrusel, un catálogo, una ubicación o una oferta; usa otra.",
                "Not delivered: this template has parts that cannot be filled in from Chatwoot, like a carousel, catalog, place or offer; use another one.",
            ),
            Self::SignIn => (
                "No entregado: es una plantilla de códigos de verificación, que no se envían desde Chatwoot; usa otra.",
                "Not delivered: this is a template for verification codes, which are not sent from Chatwoot; use another one.",
            ),
            Self::NoValue => (
                "No entregado: falta un valor de la plantilla. Elígela otra vez y rellena todos; si el selector no pide el del título, usa la nota /plantilla.",
                "Not delivered: a value of the template is missing. Choose it again and fill in all of them; if the picker does not ask for the header's, use the note /template.",
            ),
            Self::Count => (
                "No enviada: la plantilla lleva otra cantidad de valores; sepáralos con |.",
                "Not sent: the template takes another number of values; put | between them.",
            ),
            Self::Blanks => (
                "No entregado: WhatsApp no admite saltos de línea, tabuladores ni más de cuatro espacios seguidos en un valor de la plantilla; corrígelo y elígela otra vez.",
                "Not delivered: WhatsApp takes no line breaks, tabs or more than four blanks in a row in a template's value; mend it and choose it again.",
            ),
            Self::TooLong => (
                "No entregado: con estos valores la plantilla es más larga de lo que admite WhatsApp; acórtalos y elígela otra vez.",
                "Not delivered: with these values the template is longer than WhatsApp takes; shorten them and choose it again.",
            ),
            Self::NoFile => (
                "No entregado: esta plantilla lleva un archivo en el encabezado; elígela otra vez y pon su dirección.",
                "Not delivered: this template has a file in its header; choose it again and give its address.",
            ),
            Self::WrongFile => (
                "No entregado: el archivo del encabezado no es del tipo que pide la plantilla (imagen JPG o PNG, video MP4 o documento), o pesa demasiado; elígela otra vez con otro archivo.",
                "Not delivered: the header's file is not of the kind the template wants (JPG or PNG picture, MP4 video or document), or is too large; choose it again with another file.",
            ),
            Self::FileUnreadable => (
                "No entregado: no se pudo leer en Chatwoot el archivo del encabezado; elige la plantilla otra vez con otra dirección.",
                "Not delivered: the header's file could not be read from Chatwoot; choose the template again with another address.",
            ),
            Self::NoButton => (
                "No entregado: falta el valor de un botón de la plantilla; elígela otra vez y rellénalo.",
                "Not delivered: the value of one of the template's buttons is missing; choose it again and fill it in.",
            ),
            Self::Lost => (
                "No entregado: Chatwoot no transmitió los valores de la plantilla; elígela otra vez.",
                "Not delivered: Chatwoot did not pass the template's values on; choose it again.",
            ),
            Self::Untold => (
                "Aún no entregado: Chatwoot no dijo si este mensaje es una plantilla y se le pregunta otra vez. Si sigue en rojo en un minuto, pulsa Reintentar.",
                "Not delivered yet: Chatwoot did not say whether this message is a template, and is asked again. If it is still red in a minute, press Retry.",
            ),
            Self::MayBeOne => (
                "No entregado: Chatwoot no dice si este mensaje es una plantilla, y podría serlo. Elige la plantilla otra vez, o escribe el mensaje de nuevo; si se repite, avisa al administrador.",
                "Not delivered: Chatwoot does not say whether this message is a template, and it may be one. Choose the template again, or write the message anew; if it happens again, tell the administrator.",
            ),
            Self::Unlisted => (
                "No entregado: WhatsApp no deja que el puente consulte las plantillas de este número; avisa al administrador.",
                "Not delivered: WhatsApp does not let the bridge look up this number's templates; tell the administrator.",
            ),
            Self::OptedOut => (
                "No entregado: el cliente pidió no recibir promociones; escríbele cuando él lo haga o usa una plantilla de servicio.",
                "Not delivered: the customer asked for no promotions; write when they do, or use a service template.",
            ),
        };
        pick(locale, es, en).to_owned()
    }
}
