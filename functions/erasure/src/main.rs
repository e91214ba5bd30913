//! The Lambda function `erasure`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    erasure::run(domain::SystemClock.shared()).await
}
