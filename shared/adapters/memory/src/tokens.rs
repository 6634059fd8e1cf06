//! Task tokens that wait.

use async_trait::async_trait;
use guard_tasks::{OpenToken, TaskError, TokenStore};

use crate::MemoryStore;

#[async_trait]
impl TokenStore for MemoryStore {
    async fn keep(&self, token: &OpenToken) -> Result<(), TaskError> {
        self.tables()
            .tokens
            .insert((token.lease.run_id.to_string(), token.waits_for.as_str()), token.clone());
        Ok(())
    }

    async fn open_tokens(&self) -> Result<Vec<OpenToken>, TaskError> {
        Ok(self.tables().tokens.values().cloned().collect())
    }

    async fn drop_token(&self, token: &OpenToken) -> Result<(), TaskError> {
        let mut tables = self.tables();
        let key = (token.lease.run_id.to_string(), token.waits_for.as_str());
        // A newer token of a retried state must not be lost with the old one.
        if tables.tokens.get(&key).is_some_and(|kept| kept.token == token.token) {
            tables.tokens.remove(&key);
        }
        Ok(())
    }
}
