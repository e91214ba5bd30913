//! This binary runs the Lambda function `webhook`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    webhook::run(domain::SystemClock.shared()).await
}
