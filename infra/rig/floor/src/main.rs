//! The floor under every function that is measured: whatever is posted comes back, and nobody else is asked. What it needs, Lambda's
//! runtime needs.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |request: Request| Ok::<Response<Body>, Error>(Response::new(request.into_body())))).await
}
