//! The ports of clients that need a secret, handed through.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guard_domain::notification::{Incident, Notification};
use guard_domain::{
    ClusterId, ClusterRecord, FileContent, MergeRequest, MonitorFacts, Proposal, TrafficWindow,
};
use guard_tasks::{
    CommitReader, FileReader, MergeRequestReader, MergeRequestWriter, MonitorReader, Notifier, TaskError,
    TrafficReader,
};
use jiff::Timestamp;

use super::WithSecret;

#[async_trait]
impl<T: CommitReader> CommitReader for WithSecret<T> {
    async fn head(&self, project: &str, branch: &str) -> Result<String, TaskError> {
        self.call(move |client| async move { client.head(project, branch).await }).await
    }

    async fn is_ancestor(&self, project: &str, commit: &str, of: &str) -> Result<bool, TaskError> {
        self.call(move |client| async move { client.is_ancestor(project, commit, of).await }).await
    }
}

#[async_trait]
impl<T: FileReader> FileReader for WithSecret<T> {
    async fn yaml_files(
        &self,
        project: &str,
        path: &str,
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        self.call(move |client| async move { client.yaml_files(project, path, commit).await }).await
    }
}

#[async_trait]
impl<T: MergeRequestReader> MergeRequestReader for WithSecret<T> {
    async fn on_branch(&self, project: &str, source_branch: &str) -> Result<Vec<MergeRequest>, TaskError> {
        self.call(move |client| async move { client.on_branch(project, source_branch).await }).await
    }

    async fn merge_request(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError> {
        self.call(move |client| async move { client.merge_request(project, iid).await }).await
    }
}

#[async_trait]
impl<T: MergeRequestWriter> MergeRequestWriter for WithSecret<T> {
    async fn open(&self, proposal: &Proposal) -> Result<MergeRequest, TaskError> {
        self.call(move |client| async move { client.open(proposal).await }).await
    }

    async fn withdraw(&self, project: &str, iid: u64) -> Result<MergeRequest, TaskError> {
        self.call(move |client| async move { client.withdraw(project, iid).await }).await
    }
}

#[async_trait]
impl<T: TrafficReader> TrafficReader for WithSecret<T> {
    async fn traffic(
        &self,
        clusters: &[ClusterRecord],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, TrafficWindow>, TaskError> {
        self.call(move |client| async move { client.traffic(clusters, from, to).await }).await
    }
}

#[async_trait]
impl<T: MonitorReader> MonitorReader for WithSecret<T> {
    async fn monitors(&self, cluster: &ClusterRecord) -> Result<Vec<MonitorFacts>, TaskError> {
        self.call(move |client| async move { client.monitors(cluster).await }).await
    }
}

#[async_trait]
impl<T: Notifier> Notifier for WithSecret<T> {
    async fn notify(&self, notification: &Notification) -> Result<(), TaskError> {
        self.call(move |client| async move { client.notify(notification).await }).await
    }

    async fn resolve(&self, incident: &Incident) -> Result<(), TaskError> {
        self.call(move |client| async move { client.resolve(incident).await }).await
    }
}
