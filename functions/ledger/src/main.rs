//! The Lambda function `ledger`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    ledger::run(domain::SystemClock.shared()).await
}
