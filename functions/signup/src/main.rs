//! The Lambda function `signup`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    signup::run(domain::SystemClock.shared()).await
}
