//! Starts the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), guard_lambda::Fatal> {
    guard_lambda::run(sweep::compose).await
}
