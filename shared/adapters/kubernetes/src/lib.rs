//! Kubernetes, Flux and istiod through the API server.
