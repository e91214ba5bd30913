//! The Lambda function `reconcile`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    reconcile::run(domain::SystemClock.shared()).await
}
