//! The Lambda function `history`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    history::run(domain::SystemClock.shared()).await
}
