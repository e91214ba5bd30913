//! The Lambda function `deletion`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    deletion::run(domain::SystemClock.shared()).await
}
