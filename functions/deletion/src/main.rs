//! The Lambda function `deletion`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    platform::telemetry::init();
    deletion::run(domain::SystemClock.shared()).await
}
