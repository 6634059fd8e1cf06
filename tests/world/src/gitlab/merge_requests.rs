//! The merge requests' endpoints.

use serde_json::{Value, json};

use super::commits;
use super::model::{GUARD, MergeRequest, MergeState, Project, Remark};
use super::pages::page;
use super::{message, missing};
use crate::call::{self, Answer, Call};
use crate::state::stamp;

pub(crate) fn web_url(project: &Project, iid: u64) -> String {
    format!("https://gitlab.example.com/{}/-/merge_requests/{iid}", project.path)
}

fn request_json(project: &Project, request: &MergeRequest) -> Value {
    let status = project.merge_status(request);
    let user = |name: &str| json!({ "id": name.len(), "username": name.to_lowercase().replace(' ', "."), "name": name, "state": "active" });
    json!({
        "id": 900_000 + request.iid,
        "iid": request.iid,
        "project_id": project.id,
        "title": request.title,
        "description": request.description,
        "state": request.state.as_str(),
        "created_at": stamp(request.created),
        "updated_at": stamp(request.updated),
        "merged_at": request.merged.map(stamp),
        "closed_at": request.closed.map(stamp),
        "merged_by": request.merged_by.as_deref().map(user),
        "merge_user": request.merged_by.as_deref().map(user),
        "target_branch": request.target,
        "source_branch": request.source,
        "author": user("GUARD"),
        "assignee": request.assignees.first().map(|name| user(name)),
        "assignees": request.assignees.iter().map(|name| user(name)).collect::<Vec<_>>(),
        "reviewers": request.reviewers.iter().map(|name| user(name)).collect::<Vec<_>>(),
        "labels": request.labels,
        "draft": request.title.starts_with("Draft:"),
        "work_in_progress": request.title.starts_with("Draft:"),
        "source_project_id": project.id,
        "target_project_id": project.id,
        "merge_status": if status == "mergeable" { "can_be_merged" } else { "checking" },
        "detailed_merge_status": status,
        "has_conflicts": status == "conflict",
        "sha": request.head,
        "merge_commit_sha": request.merge_commit,
        "squash_commit_sha": Value::Null,
        "squash": false,
        "should_remove_source_branch": request.remove_source_branch,
        "force_remove_source_branch": request.remove_source_branch,
        "user_notes_count": request.notes.len(),
        "references": { "short": format!("!{}", request.iid), "full": format!("{}!{}", project.path, request.iid) },
        "web_url": web_url(project, request.iid),
    })
}

fn labels(value: Option<&Value>) -> Option<Vec<String>> {
    let words = |text: &str| {
        text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    match value? {
        Value::String(text) => Some(words(text)),
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

pub(super) fn create(project: &mut Project, call: &Call) -> Answer {
    project.open_request(&call.json().unwrap_or_default())
}

impl Project {
    pub(crate) fn open_request(&mut self, body: &Value) -> Answer {
        open(self, body)
    }
}

fn open(project: &mut Project, body: &Value) -> Answer {
    let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(source) = field("source_branch") else { return missing("source_branch") };
    let Some(target) = field("target_branch") else { return missing("target_branch") };
    let Some(title) = field("title") else { return missing("title") };
    if source == target {
        return message(422, json!(["You can't use same project/branch for source and target"]));
    }
    let mut heads = Vec::new();
    for (what, branch) in [("Source", &source), ("Target", &target)] {
        match project.git.branches.get(branch) {
            Some(head) => heads.push(head.clone()),
            None => return message(400, json!([format!("{what} branch \"{branch}\" does not exist")])),
        }
    }
    project.refresh();
    let open =
        |mr: &&MergeRequest| mr.state == MergeState::Opened && mr.source == source && mr.target == target;
    if let Some(other) = project.merge_requests.iter().find(open) {
        let text =
            format!("Another open merge request already exists for this source branch: !{}", other.iid);
        return message(409, json!([text]));
    }
    let iid = project.merge_requests.len() as u64 + 1;
    let remove = body.get("remove_source_branch") == Some(&Value::Bool(true));
    project.merge_requests.push(MergeRequest {
        iid,
        title,
        description: field("description").unwrap_or_default(),
        source,
        target,
        labels: labels(body.get("labels")).unwrap_or_default(),
        assignees: project.named(body, "assignee_ids"),
        reviewers: project.named(body, "reviewer_ids"),
        state: MergeState::Opened,
        opening: 1,
        created: project.now,
        updated: project.now,
        merged: None,
        closed: None,
        merged_by: None,
        merge_commit: None,
        head: heads.into_iter().next().unwrap_or_default(),
        remove_source_branch: remove,
        notes: Vec::new(),
        frozen: None,
    });
    project.ask_person(iid);
    let at = project.merge_requests.len() - 1;
    answer(project, 201, at)
}

fn answer(project: &Project, status: u16, at: usize) -> Answer {
    match project.merge_requests.get(at) {
        Some(request) => call::json(status, &request_json(project, request)),
        None => message(404, "404 Not found"),
    }
}

pub(super) fn list(project: &mut Project, call: &Call) -> Answer {
    project.refresh();
    let wanted_labels: Vec<&str> =
        call.get("labels").map(|text| text.split(',').collect()).unwrap_or_default();
    let search = call.get("search").unwrap_or_default().to_lowercase();
    let equal = |name: &str, value: &str| call.get(name).is_none_or(|wanted| wanted == value);
    let iids: Vec<&str> =
        call.query.iter().filter(|(key, _)| key == "iids[]").map(|(_, value)| value.as_str()).collect();
    let keep = |mr: &&MergeRequest| {
        (call.get("state") == Some("all") || equal("state", mr.state.as_str()))
            && (iids.is_empty() || iids.contains(&mr.iid.to_string().as_str()))
            && equal("source_branch", &mr.source)
            && equal("target_branch", &mr.target)
            && wanted_labels.iter().all(|label| mr.labels.iter().any(|have| have == label.trim()))
            && (mr.title.to_lowercase().contains(&search) || mr.description.to_lowercase().contains(&search))
    };
    let mut found: Vec<&MergeRequest> = project.merge_requests.iter().filter(keep).collect();
    if call.get("sort") != Some("asc") {
        found.reverse();
    }
    page(project, call, found.into_iter().map(|request| request_json(project, request)).collect())
}

pub(super) fn show(project: &mut Project, at: usize) -> Answer {
    project.refresh();
    answer(project, 200, at)
}

pub(super) fn update(project: &mut Project, call: &Call, at: usize) -> Answer {
    let Some(body) = call.json() else {
        return call::json(400, &json!({ "error": "at least one parameter must be provided" }));
    };
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let now = project.now;
    let Some(request) = project.merge_requests.get(at).cloned() else { return message(404, "404 Not found") };
    match (field("state_event"), request.state) {
        (Some("close"), MergeState::Opened) => project.close(at),
        (Some("reopen"), MergeState::Closed) => {
            if !project.git.branches.contains_key(&request.source) {
                return message(422, json!(["Source branch does not exist"]));
            }
            if let Some(found) = project.merge_requests.get_mut(at) {
                found.state = MergeState::Opened;
                found.closed = None;
                found.opening += 1;
            }
            project.ask_person(request.iid);
        }
        (Some("close" | "reopen") | None, _) => {}
        (Some(_), _) => {
            return call::json(400, &json!({ "error": "state_event does not have a valid value" }));
        }
    }
    if let Some(found) = project.merge_requests.get_mut(at) {
        found.updated = now;
        for (name, place) in [("title", &mut found.title), ("description", &mut found.description)] {
            if let Some(value) = field(name) {
                value.clone_into(place);
            }
        }
        if let Some(all) = labels(body.get("labels")) {
            found.labels = all;
        }
        for label in labels(body.get("add_labels")).unwrap_or_default() {
            if !found.labels.contains(&label) {
                found.labels.push(label);
            }
        }
        let gone = labels(body.get("remove_labels")).unwrap_or_default();
        found.labels.retain(|label| !gone.contains(label));
    }
    show(project, at)
}

pub(super) fn accept(project: &mut Project, call: &Call, at: usize) -> Answer {
    if !project.token_may_merge {
        return message(403, "403 Forbidden");
    }
    project.refresh();
    let Some(request) = project.merge_requests.get(at).cloned() else { return message(404, "404 Not found") };
    let body = call.json().unwrap_or_default();
    if body.get("sha").and_then(Value::as_str).is_some_and(|sha| sha != request.head) {
        return message(409, format!("SHA does not match HEAD of source branch: {}", request.head));
    }
    if project.merge_status(&request) != "mergeable" || !project.merge(at, "GUARD") {
        return message(405, "405 Method Not Allowed");
    }
    answer(project, 200, at)
}

pub(super) fn diffs(project: &mut Project, call: &Call, at: usize) -> Answer {
    project.refresh();
    let trees = project.merge_requests.get(at).and_then(|request| project.trees(request));
    page(project, call, trees.map(|(before, after)| commits::diffs(&before, &after)).unwrap_or_default())
}

/// The older form of the same: the request with all differences in it.
pub(super) fn changes(project: &mut Project, at: usize) -> Answer {
    project.refresh();
    let Some(request) = project.merge_requests.get(at) else { return message(404, "404 Not found") };
    let mut told = request_json(project, request);
    let trees = project.trees(request);
    told["changes"] = trees.map(|(before, after)| commits::diffs(&before, &after)).unwrap_or_default().into();
    call::json(200, &told)
}

fn note_json(project: &Project, id: usize, note: &Remark) -> Value {
    let at = stamp(note.at);
    json!({
        "id": id + 1, "body": note.text, "author": project.author(&note.author), "created_at": at, "updated_at": at,
        "system": false,
    })
}

pub(super) fn notes(project: &Project, call: &Call, at: usize) -> Answer {
    let all = project.merge_requests.get(at).map(|request| request.notes.as_slice()).unwrap_or_default();
    let mut items: Vec<Value> =
        all.iter().enumerate().map(|(id, note)| note_json(project, id, note)).collect();
    if call.get("sort") != Some("asc") {
        items.reverse();
    }
    page(project, call, items)
}

pub(super) fn add_note(project: &mut Project, call: &Call, at: usize) -> Answer {
    let body = call.json().unwrap_or_default();
    let Some(text) = body.get("body").and_then(Value::as_str) else { return missing("body") };
    let remark = Remark { at: project.now, author: GUARD.to_owned(), text: text.to_owned() };
    let Some(request) = project.merge_requests.get_mut(at) else { return message(404, "404 Not found") };
    request.notes.push(remark.clone());
    let id = request.notes.len() - 1;
    call::json(201, &note_json(project, id, &remark))
}
