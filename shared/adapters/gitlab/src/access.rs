//! What the token may do: read by people who set GUARD up, never by a run.

use guard_tasks::TaskError;
use jiff::civil::Date;
use serde::Deserialize;

use crate::client::Client;

/// The scope that writing branches and merge requests needs.
const WRITE_SCOPE: &str = "api";

/// The role from which on a project lets its members push branches and open merge requests: Developer.
const DEVELOPER: u32 = 30;

/// A token, as GitLab describes it to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Neither revoked nor expired.
    pub is_active: bool,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The day on which it ends.
    pub expires_at: Option<Date>,
}

impl TokenFacts {
    /// What would stop GUARD, as sentences.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.is_active {
            problems.push("the token is revoked or has expired; make a new one".to_owned());
        }
        if !self.scopes.iter().any(|scope| scope == WRITE_SCOPE) {
            problems.push(format!(
                "the token has the scopes {}; GUARD needs {WRITE_SCOPE} to push branches and open merge requests",
                self.scopes.join(", ")
            ));
        }
        problems
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    active: bool,
    #[serde(default)]
    scopes: Vec<String>,
    expires_at: Option<Date>,
}

#[derive(Deserialize)]
struct Project {
    #[serde(default)]
    archived: bool,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    project_access: Option<Access>,
    group_access: Option<Access>,
}

#[derive(Deserialize)]
struct Access {
    access_level: u32,
}

pub(crate) async fn token(client: &Client) -> Result<TokenFacts, TaskError> {
    let token: Token = client.get_of_instance("personal_access_tokens/self").await??;
    Ok(TokenFacts { is_active: token.active, scopes: token.scopes, expires_at: token.expires_at })
}

/// What would stop GUARD in this project, as sentences.
pub(crate) async fn project_problems(client: &Client, project: &str) -> Result<Vec<String>, TaskError> {
    let found: Project = client.get(project, "", &[]).await??;
    let mut problems = Vec::new();
    if found.archived {
        problems.push(format!("project {project} is archived: nothing can be pushed"));
    }
    let roles = found.permissions.into_iter().flat_map(|roles| [roles.project_access, roles.group_access]);
    let role = roles.flatten().map(|access| access.access_level).max().unwrap_or_default();
    if role < DEVELOPER {
        problems.push(format!(
            "the token's user has role {role} in project {project}; pushing branches needs {DEVELOPER}, Developer"
        ));
    }
    Ok(problems)
}
