//! This binary runs the Lambda function `send`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    send::run(domain::SystemClock.shared()).await
}
