//! The simulation as a test or the local runner holds it.

use std::sync::{Arc, atomic::AtomicBool};

use bytes::Bytes;
use serde_json::json;
use simulator_wire::{Faults, Server};

use crate::{
    Customer, Delivery, Request, Rules, Settings, Statuses, browser, graph, observe,
    postman::{self, Postman},
    prospect,
    state::State,
    world::World,
};

/// Meta's WhatsApp Cloud API with its customers. Clones share everything.
#[derive(Clone, Debug)]
pub struct Meta {
    pub(crate) world: Arc<World>,
    server: Arc<Server>,
    faults: Faults,
    /// Whether the control page has closed the port.
    pub(crate) down: Arc<AtomicBool>,
}

impl Meta {
    /// Starts the Graph side; webhooks need [`set_webhook`](Self::set_webhook).
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        anyhow::ensure!(!settings.numbers.is_empty(), "a simulation needs at least one number");
        let postman =
            Postman::start(postman::client()?, settings.clock.clone(), settings.app_secret, &settings.numbers);
        let mut state = State::new(settings.numbers, settings.statuses, settings.clock.now());
        for prospect in prospect::shops() {
            state.add_prospect(prospect, &postman);
        }
        let world = Arc::new(World::new(settings.clock, postman, postman::client()?, state));
        let faults = Faults::default();
        let server = Server::start(
            settings.listen,
            graph::router(Arc::clone(&world)).merge(browser::router(Arc::clone(&world))),
            faults.clone(),
        )
        .await?;
        world.base_url.get_or_init(|| server.url());
        Ok(Self { world, server: Arc::new(server), faults, down: Arc::default() })
    }

    /// The base of the Graph API, without a version.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where webhooks are posted, such as `http://127.0.0.1:8080/webhooks/meta`; plain HTTP only.
    pub fn set_webhook(&self, url: &str) {
        self.world.postman.set_webhook(url);
    }

    /// What goes wrong on the Graph side.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The Graph side's server, to refuse connections and accept them again.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A customer with a phone; the same one for the same number. The user id follows from the number.
    pub fn customer(&self, name: &str, wa_id: &str) -> Customer {
        Customer::new(&self.world, name, wa_id)
    }

    /// A person with a user id of the test's choosing, with a phone or without. Whoever had the phone before loses it.
    pub fn person(&self, name: &str, wa_id: Option<&str>, user_id: &str) -> Customer {
        let mut state = self.world.state();
        observe::meet(&mut state, &json!({"profile": {"name": name}, "wa_id": wa_id, "user_id": user_id}));
        Customer::of(&self.world, &state, user_id.into())
    }

    /// Signs these raw bytes and posts them as they are; the HTTP status. The double learns from them what Meta would know:
    /// the people, their messages, the windows.
    pub async fn post(&self, body: &[u8]) -> anyhow::Result<u16> {
        let number = observe::learn(&self.world, body);
        postman::outcome(self.world.postman.queue_raw(&number, Bytes::copy_from_slice(body))).await
    }

    /// The value of `X-Hub-Signature-256` for these bytes.
    pub fn sign(&self, body: &[u8]) -> String {
        self.world.postman.sign(body)
    }

    /// Posts every webhook again that was not answered 200, the same bytes in the same order; fails if one still isn't.
    pub async fn redeliver(&self) -> anyhow::Result<()> {
        self.world.postman.redeliver().await
    }

    /// Waits until every webhook queued so far was posted; automatic statuses are queued before a send is answered.
    pub async fn settled(&self) {
        self.world.postman.settled().await;
    }

    /// Every webhook and what became of it, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world.postman.deliveries()
    }

    /// Every call of `/messages` that sends something, accepted or refused, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.world.state().requests.clone()
    }

    /// Every call of `/messages` that marks something as read, accepted or refused, in order.
    pub fn marks(&self) -> Vec<Request> {
        self.world.state().marks.clone()
    }

    /// The staff writes to a customer from the phone app; posts the echo and gives its id. Needs a coexistence number.
    pub async fn echo(&self, customer: &Customer, text: &str) -> anyhow::Result<String> {
        customer.hears_from_the_phone_app(text).await
    }

    /// Which limits are enforced.
    pub fn set_rules(&self, rules: Rules) {
        self.world.state().rules = rules;
    }

    /// Who says from now on how a sent message goes on.
    pub fn set_statuses(&self, statuses: Statuses) {
        self.world.state().statuses = statuses;
    }

    /// The app secret was replaced; webhooks are signed with the new one, repeats of older ones too.
    pub fn set_app_secret(&self, secret: &str) {
        self.world.postman.set_app_secret(secret);
    }

    /// A number's token was replaced; the old one is refused with 190.
    pub fn set_access_token(&self, phone_number_id: &str, token: &str) {
        let mut state = self.world.state();
        let own = state.numbers.iter_mut().filter(|number| number.phone_number_id == phone_number_id);
        own.for_each(|number| token.clone_into(&mut number.access_token));
    }

    /// The owner withdraws our access to a number, or gives it back: meanwhile its token is refused with 190. The webhook that
    /// tells of it is the test's to post.
    pub fn set_access(&self, phone_number_id: &str, ours: bool) {
        let withdrawn = &mut self.world.state().withdrawn;
        if ours {
            withdrawn.remove(phone_number_id);
        } else {
            withdrawn.insert(phone_number_id.into());
        }
    }

    /// Graph says this quality of every number: `YELLOW`, `RED`.
    pub fn set_quality(&self, quality: &str) {
        self.world.state().number_quality = Some(quality.to_owned());
    }

    /// Graph says this status of a number instead of `CONNECTED`; a coexistence number is then off its phone, too.
    pub fn set_number_status(&self, phone_number_id: &str, status: Option<&str>) {
        let statuses = &mut self.world.state().number_status;
        match status {
            Some(status) => statuses.insert(phone_number_id.into(), status.into()),
            None => statuses.remove(phone_number_id),
        };
    }

    /// The user ids whose contact-book entries were deleted, in order.
    pub fn contact_book_deletions(&self) -> Vec<String> {
        self.world.state().contact_book_deletions.clone()
    }

    /// A file that a phone app sends along with its past: Meta holds it for a week, under this id.
    pub fn holds_file(&self, phone_number_id: &str, bytes: Vec<u8>, mime: &str) -> String {
        let gone_at = self.world.now() + crate::customer::WEBHOOK_MEDIA_LIVES;
        self.world.keep(phone_number_id, bytes.into(), mime, None, gone_at, false)
    }

    /// How many files Meta still holds, uploaded ones and those of customers.
    pub fn media_held(&self) -> usize {
        let now = self.world.now();
        self.world.state().media.values().filter(|media| media.gone_at > now).count()
    }
}
