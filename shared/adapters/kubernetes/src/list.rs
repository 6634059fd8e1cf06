//! Lists, a page at a time.

use bytes::Bytes;
use guard_tasks::TaskError;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::api::{ApiResource, ListParams};
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error;

/// Objects a page: 500 pods are 5 MB of JSON.
const PAGE: u32 = 500;

/// Pages of one list; 200,000 objects are more than any cluster here has, so a server that goes on is broken.
const MAX_PAGES: usize = 400;

/// Which objects to read. Never a list without a limit.
pub(crate) struct List {
    path: String,
    params: ListParams,
    is_metadata_only: bool,
}

impl List {
    /// All objects of a kind.
    pub(crate) fn of<K: kube::Resource<DynamicType = ()>>() -> Self {
        Self::at(K::url_path(&(), None))
    }

    /// The objects of a kind in one namespace.
    pub(crate) fn within<K: kube::Resource<DynamicType = ()>>(namespace: &str) -> Self {
        Self::at(K::url_path(&(), Some(namespace)))
    }

    /// All objects of a kind that no library knows.
    pub(crate) fn of_resource(resource: &ApiResource) -> Self {
        Self::at(format!("/apis/{}/{}", resource.api_version, resource.plural))
    }

    fn at(path: String) -> Self {
        Self { path, params: ListParams::default().limit(PAGE), is_metadata_only: false }
    }

    /// Only those with this label.
    pub(crate) fn labelled(mut self, selector: &str) -> Self {
        self.params.label_selector = Some(selector.to_owned());
        self
    }

    /// Only those with this field. API servers know few, kind by kind, and refuse every other.
    pub(crate) fn with_field(mut self, selector: &str) -> Self {
        self.params.field_selector = Some(selector.to_owned());
        self
    }

    /// Pages of so many, for objects so large that [`PAGE`] would be too much.
    pub(crate) fn by(mut self, page: u32) -> Self {
        self.params.limit = Some(page);
        self
    }

    /// The server leaves out everything but the metadata.
    pub(crate) fn metadata_only(mut self) -> Self {
        self.is_metadata_only = true;
        self
    }

    /// Keeps of every object what `keep` makes of it, so that a whole fleet's pods are never in memory at once. `T` names
    /// only what is looked at: the rest is skipped while it is parsed.
    pub(crate) async fn read<T, U>(
        self,
        client: &Client,
        keep: impl Fn(T) -> Option<U> + Send,
    ) -> Result<Vec<U>, TaskError>
    where
        T: DeserializeOwned,
        U: Send,
    {
        self.pages(client, keep).await.map_err(|unlisted| unlisted.error)
    }

    /// The same, and `None` where the cluster does not serve the kind in this version.
    pub(crate) async fn read_if_served<T, U>(
        self,
        client: &Client,
        keep: impl Fn(T) -> Option<U> + Send,
    ) -> Result<Option<Vec<U>>, TaskError>
    where
        T: DeserializeOwned,
        U: Send,
    {
        match self.pages(client, keep).await {
            Ok(found) => Ok(Some(found)),
            Err(unlisted) if unlisted.is_missing => Ok(None),
            Err(unlisted) => Err(unlisted.error),
        }
    }

    async fn pages<T, U>(
        self,
        client: &Client,
        keep: impl Fn(T) -> Option<U> + Send,
    ) -> Result<Vec<U>, Unlisted>
    where
        T: DeserializeOwned,
        U: Send,
    {
        let mut kept = Vec::new();
        let mut token = String::new();
        let mut was_restarted = false;
        for _ in 0..MAX_PAGES {
            let body = match self.page(client, &token).await {
                Ok(body) => body,
                // The continue token outlived etcd's history. The server says how to go on after the same name in its
                // state of now: nothing comes twice, and what came and went meanwhile is missing, as in a list a moment
                // later. Without that, the list is begun again: once is bad luck, twice is too slow.
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
                    None => return Err(Unlisted::of(&error)),
                },
                Err(error) => return Err(Unlisted::of(&error)),
            };
            let page: Page<T> =
                serde_json::from_slice(&body).map_err(|cause| Unlisted::from(error::unreadable(&cause)))?;
            token = page.metadata.continue_.unwrap_or_default();
            kept.extend(page.items.into_iter().filter_map(&keep));
            if token.is_empty() {
                return Ok(kept);
            }
        }
        Err(TaskError::internal(format!("Kubernetes: a list did not end after {MAX_PAGES} pages")).into())
    }

    async fn page(&self, client: &Client, token: &str) -> kube::Result<Bytes> {
        let mut params = self.params.clone();
        params.continue_token = (!token.is_empty()).then(|| token.to_owned());
        let request = kube::core::Request::new(&*self.path);
        let request =
            if self.is_metadata_only { request.list_metadata(&params) } else { request.list(&params) };
        get(client, request.map_err(kube::Error::BuildRequest)?).await
    }
}

/// Why there is no list.
struct Unlisted {
    /// The cluster does not serve the kind in this version.
    is_missing: bool,
    error: TaskError,
}

impl Unlisted {
    fn of(error: &kube::Error) -> Self {
        let is_missing = error::status(error) == Some(StatusCode::NOT_FOUND);
        Self { is_missing, error: error::task_error(error) }
    }
}

impl From<TaskError> for Unlisted {
    fn from(error: TaskError) -> Self {
        Self { is_missing: false, error }
    }
}

/// The body of an answer. Not kube's own way: that copies a page twice, and logs what it cannot read, which may hold what
/// nobody should see in a log.
pub(crate) async fn get(client: &Client, request: Request<Vec<u8>>) -> kube::Result<Bytes> {
    let answer = client.send(request.map(Body::from)).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: Place,
    // There must be some, or it is no list: an answer without is never an empty one.
    #[serde(deserialize_with = "or_default", bound(deserialize = "T: Deserialize<'de>"))]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct Place {
    #[serde(default, rename = "continue")]
    continue_: Option<String>,
}

/// Go writes an empty list as `null` here and there.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
