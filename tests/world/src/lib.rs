//! A simulated GitLab, Datadog, STS, EKS, Kubernetes, Flux and istiod.
