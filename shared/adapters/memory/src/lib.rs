//! Registry, run record and locks in memory, with DynamoDB's conditional writes.
