//! The Lambda function `retention`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    retention::run(domain::SystemClock.shared()).await
}
