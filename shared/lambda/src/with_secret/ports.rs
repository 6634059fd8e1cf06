//! The ports of clients that need a secret, handed through.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use guard_domain::notification::{Incident, Notification};
use guard_domain::soak::MetricHistory;
use guard_domain::{
    ClusterId, ClusterRecord, FileContent, IntegrationMode, MemoryFacts, MergeRequest, MonitorFacts,
    Proposal, TrafficWindow,
};
use guard_tasks::{
    Comment, CommitReader, FileReader, HistoryAsked, HistoryReader, IntegrationReader, Leftover, MemoryAsked,
    MemoryReader, MergeRequestConversation, MergeRequestReader, MergeRequestWriter, MonitorReader, Notifier,
    Opening, TaskError, TrafficReader, Unopened, Withdrawn,
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
    async fn files(
        &self,
        project: &str,
        paths: &[&str],
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        self.call(move |client| async move { client.files(project, paths, commit).await }).await
    }

    async fn yaml_files(
        &self,
        project: &str,
        paths: &[&str],
        commit: &str,
    ) -> Result<Vec<FileContent>, TaskError> {
        self.call(move |client| async move { client.yaml_files(project, paths, commit).await }).await
    }
}

#[async_trait]
impl<T: MergeRequestReader> MergeRequestReader for WithSecret<T> {
    async fn merge_requests(&self, project: &str, iids: &[u64]) -> Result<Vec<MergeRequest>, TaskError> {
        self.call(move |client| async move { client.merge_requests(project, iids).await }).await
    }

    async fn changed_files(&self, project: &str, iid: u64) -> Result<BTreeSet<String>, TaskError> {
        self.call(move |client| async move { client.changed_files(project, iid).await }).await
    }
}

#[async_trait]
impl<T: MergeRequestConversation> MergeRequestConversation for WithSecret<T> {
    async fn ask(
        &self,
        project: &str,
        iid: u64,
        marker: &str,
        text: &str,
    ) -> Result<Vec<Comment>, TaskError> {
        self.call(move |client| async move { client.ask(project, iid, marker, text).await }).await
    }

    async fn is_maintainer(&self, project: &str, user: u64) -> Result<bool, TaskError> {
        self.call(move |client| async move { client.is_maintainer(project, user).await }).await
    }
}

#[async_trait]
impl<T: MergeRequestWriter> MergeRequestWriter for WithSecret<T> {
    async fn open(&self, proposal: &Proposal) -> Result<Opening, TaskError> {
        self.call(move |client| async move { client.open(proposal).await }).await
    }

    async fn find(
        &self,
        project: &str,
        source_branch: &str,
        target_branch: &str,
        marker: &str,
    ) -> Result<Option<MergeRequest>, TaskError> {
        let find = move |client: std::sync::Arc<T>| async move {
            client.find(project, source_branch, target_branch, marker).await
        };
        self.call(find).await
    }

    async fn withdraw(&self, project: &str, iid: u64) -> Result<Withdrawn, TaskError> {
        self.call(move |client| async move { client.withdraw(project, iid).await }).await
    }

    async fn discard(&self, unopened: Unopened<'_>) -> Result<Option<Leftover>, TaskError> {
        self.call(move |client| async move { client.discard(unopened).await }).await
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
impl<T: HistoryReader> HistoryReader for WithSecret<T> {
    async fn history(
        &self,
        clusters: &[ClusterRecord],
        asked: HistoryAsked,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ClusterId, MetricHistory>, TaskError> {
        self.call(move |client| async move { client.history(clusters, asked, from, to).await }).await
    }
}

#[async_trait]
impl<T: MemoryReader> MemoryReader for WithSecret<T> {
    async fn memory(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
        asked: MemoryAsked,
    ) -> Result<MemoryFacts, TaskError> {
        self.call(move |client| async move { client.memory(cluster, from, to, asked).await }).await
    }
}

#[async_trait]
impl<T: IntegrationReader> IntegrationReader for WithSecret<T> {
    async fn integration(
        &self,
        cluster: &ClusterRecord,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntegrationMode, TaskError> {
        self.call(move |client| async move { client.integration(cluster, from, to).await }).await
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
