//! This binary runs the Lambda function `callback`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), app::Error> {
    platform::telemetry::init();
    callback::run(domain::SystemClock.shared()).await
}
