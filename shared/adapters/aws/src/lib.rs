//! STS and EKS: cluster access.
