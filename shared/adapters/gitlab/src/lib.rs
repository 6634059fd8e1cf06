//! GitLab REST v4.
