//! An ordinary number comes into service: a code to its phone, the code back, and its PIN.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::Timestamp;

use super::{error::GraphError, onboarding, params::Params, success};
use crate::{
    signup::{Line, SentCode},
    wire,
    world::World,
};

/// How long a code to a phone is good.
const CODE_LIVES: Duration = Duration::from_secs(10 * 60);
/// How many wrong PINs Meta takes before it locks the number.
const WRONG_PINS: u32 = 5;
/// For how long.
const LOCKED: Duration = Duration::from_secs(12 * 3600);
/// For how long a number that was taken out cannot come back.
const JUST_LEFT: Duration = Duration::from_secs(5 * 60);

type Asked = (Shared<Arc<World>>, Path<(String, String)>, HeaderMap);

/// What a step makes of a number's state.
type Step<'a> = &'a dyn Fn(&mut Line, &Params, Timestamp) -> Result<(), GraphError>;

/// `POST /{phone_number_id}/request_code`.
pub(super) async fn request_code(asked: Asked, params: Params) -> Response {
    let id = asked.1.1.clone();
    take(&asked, &params, true, &|line, params, now| {
        if !matches!(params.required("code_method")?, "SMS" | "VOICE") {
            return Err(GraphError::parameter("Param code_method must be one of {SMS, VOICE}"));
        }
        params.required("language")?;
        if line.verification == "VERIFIED" {
            return Err(GraphError::number(136_024, "Request code error", "phone number is already verified"));
        }
        if line.attempt(now) {
            return Err(GraphError::too_many_attempts());
        }
        let seed = format!("{id}|{}", now.as_millis());
        let digits = wire::sha256(seed.as_bytes());
        let code = digits.iter().take(6).map(|byte| char::from(b'0' + byte % 10)).collect();
        line.sent_code = Some(SentCode { code, at: now });
        Ok(())
    })
}

/// `POST /{phone_number_id}/verify_code`.
pub(super) async fn verify_code(asked: Asked, params: Params) -> Response {
    take(&asked, &params, true, &|line, params, now| {
        let code = params.required("code")?;
        let good = line.sent_code.as_ref().is_some_and(|sent| sent.code == code && now <= sent.at + CODE_LIVES);
        if !good {
            return Err(GraphError::number(136_025, "Verify code error", "code couldn't be verified"));
        }
        line.sent_code = None;
        line.verification = "VERIFIED";
        Ok(())
    })
}

/// `POST /{phone_number_id}/register`.
pub(super) async fn register(asked: Asked, params: Params) -> Response {
    take(&asked, &params, false, &|line, params, now| {
        params.about_whatsapp()?;
        let pin = params.required("pin")?;
        if pin.len() != 6 || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GraphError::parameter("Param pin must be 6 digits."));
        }
        if line.attempt(now) {
            return Err(GraphError::too_many_attempts());
        }
        if line.locked_until.is_some_and(|until| now < until) {
            return Err(GraphError::number(
                133_008,
                "Too many two step verification PIN guesses",
                "Try again in 12 hours",
            ));
        }
        if line.verification == "NOT_VERIFIED" {
            return Err(GraphError::number(133_006, "Phone number re-verification needed", "Verify the number first"));
        }
        if line.deregistered_at.is_some_and(|left| now < left + JUST_LEFT) {
            return Err(GraphError::number(133_015, "Phone number was deleted recently", "Wait 5 minutes"));
        }
        if line.pin.as_deref().is_some_and(|own| own != pin) {
            line.wrong_pins += 1;
            if line.wrong_pins >= WRONG_PINS {
                line.wrong_pins = 0;
                line.locked_until = Some(now + LOCKED);
            }
            return Err(GraphError::wrong_pin());
        }
        line.wrong_pins = 0;
        line.pin = Some(pin.to_owned());
        line.registered = true;
        Ok(())
    })
}

/// `POST /{phone_number_id}/deregister`.
pub(super) async fn deregister(asked: Asked, params: Params) -> Response {
    take(&asked, &params, false, &|line, _, now| {
        line.registered = false;
        line.deregistered_at = Some(now);
        Ok(())
    })
}

/// Takes a step, which a number on a phone has no use for.
fn take(
    (Shared(world), Path((version, id)), headers): &Asked,
    params: &Params,
    verifies: bool,
    step: Step<'_>,
) -> Response {
    let taken = || {
        super::version(version)?;
        let number = onboarding::managed(world, headers, "POST", id)?;
        if number.coexistence && !verifies {
            let details = "This operation is not supported for a number that is used in the WhatsApp Business app.";
            return Err(GraphError::parameter(details));
        }
        step(world.state().line(id), params, world.now())
    };
    taken().map_or_else(GraphError::into_response, |()| success())
}
