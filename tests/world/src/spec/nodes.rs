//! Nodes, by their operating system.

/// What a node's system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeFamily {
    /// Amazon Linux 2023.
    AmazonLinux2023,
    /// Amazon Linux 2.
    AmazonLinux2,
    /// Bottlerocket.
    Bottlerocket,
    /// Ubuntu 22.04.
    Ubuntu,
}

impl NodeFamily {
    /// `status.nodeInfo.osImage`, as the images for Kubernetes 1.33 have it.
    pub fn os_image(self) -> &'static str {
        match self {
            Self::AmazonLinux2023 => "Amazon Linux 2023.8.20250915",
            Self::AmazonLinux2 => "Amazon Linux 2",
            Self::Bottlerocket => "Bottlerocket OS 1.46.0 (aws-k8s-1.33)",
            Self::Ubuntu => "Ubuntu 22.04.5 LTS",
        }
    }

    /// `status.nodeInfo.kernelVersion`.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::AmazonLinux2023 => "6.1.141-155.222.amzn2023.x86_64",
            Self::AmazonLinux2 => "5.10.240-238.959.amzn2.x86_64",
            Self::Bottlerocket => "6.1.141",
            Self::Ubuntu => "6.8.0-1033-aws",
        }
    }

    /// The name of its node group, `eks.amazonaws.com/nodegroup`.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::AmazonLinux2023 => "al2023",
            Self::AmazonLinux2 => "al2",
            Self::Bottlerocket => "bottlerocket",
            Self::Ubuntu => "ubuntu",
        }
    }
}

/// Nodes of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeGroup {
    /// Their system.
    pub family: NodeFamily,
    /// How many there are.
    pub nodes: u32,
}
