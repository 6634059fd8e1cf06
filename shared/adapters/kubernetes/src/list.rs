//! Lists, a page at a time.

use std::fmt::Debug;

use guard_tasks::TaskError;
use http::StatusCode;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ObjectList, PartialObjectMeta};
use serde::de::DeserializeOwned;

use crate::error;

/// Objects a page: 500 pods are 5 MB of JSON.
const PAGE: u32 = 500;

/// Pages of one list; 200,000 objects are more than any cluster here has, so a server that goes on is broken.
const MAX_PAGES: usize = 400;

/// Keeps of every object what `keep` makes of it, so that a whole fleet's pods are never in memory at once.
pub(crate) async fn all<K, T>(
    api: &Api<K>,
    labels: Option<&str>,
    keep: impl Fn(K) -> Option<T> + Send,
) -> Result<Vec<T>, TaskError>
where
    K: Clone + DeserializeOwned + Debug + Send + Sync,
    T: Send,
{
    pages(labels, keep, |params| async move { api.list(&params).await }).await
}

/// The same for objects so large that a page of 500 would be too much.
pub(crate) async fn all_large<K, T>(
    api: &Api<K>,
    page: u32,
    keep: impl Fn(K) -> Option<T> + Send,
) -> Result<Vec<T>, TaskError>
where
    K: Clone + DeserializeOwned + Debug + Send + Sync,
    T: Send,
{
    pages(None, keep, |params| async move { api.list(&params.limit(page)).await }).await
}

/// The same for objects of which only the metadata matters: the server leaves out the rest.
pub(crate) async fn all_metadata<K, T>(
    api: &Api<K>,
    keep: impl Fn(PartialObjectMeta<K>) -> Option<T> + Send,
) -> Result<Vec<T>, TaskError>
where
    K: Clone + DeserializeOwned + Debug + Send + Sync,
    T: Send,
{
    pages(None, keep, |params| async move { api.list_metadata(&params).await }).await
}

async fn pages<K, T, F, Answer>(
    labels: Option<&str>,
    keep: impl Fn(K) -> Option<T> + Send,
    fetch: F,
) -> Result<Vec<T>, TaskError>
where
    K: Clone + Send,
    T: Send,
    F: Fn(ListParams) -> Answer + Send,
    Answer: Future<Output = kube::Result<ObjectList<K>>> + Send,
{
    let mut kept = Vec::new();
    let mut token = String::new();
    let mut was_restarted = false;
    for _ in 0..MAX_PAGES {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = labels.map(str::to_owned);
        params.continue_token = (!token.is_empty()).then(|| token.clone());
        let page = match fetch(params).await {
            Ok(page) => page,
            // The continue token outlived etcd's history. The server says how to go on after the same name in its state
            // of now: nothing comes twice, and what came and went meanwhile is missing, as in a list a moment later.
            // Without that, the list is begun again: once is bad luck, twice is too slow.
            Err(error) if error::status(&error) == Some(StatusCode::GONE) => match error::go_on(&error) {
                Some(next) => {
                    token = next;
                    continue;
                }
                None if !was_restarted => {
                    was_restarted = true;
                    kept.clear();
                    token.clear();
                    continue;
                }
                None => return Err(error::task_error(&error)),
            },
            Err(error) => return Err(error::task_error(&error)),
        };
        token = page.metadata.continue_.unwrap_or_default();
        kept.extend(page.items.into_iter().filter_map(&keep));
        if token.is_empty() {
            return Ok(kept);
        }
    }
    Err(TaskError::internal(format!("Kubernetes: a list did not end after {MAX_PAGES} pages")))
}
