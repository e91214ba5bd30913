//! The Lambda function `forward`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    forward::run(domain::SystemClock.shared()).await
}
