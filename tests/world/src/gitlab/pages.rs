//! GitLab's offset pagination.

use serde_json::Value;

use super::model::Project;
use crate::call::{self, Answer, Call};

/// One page of a list, with the headers that name the next one.
pub(crate) fn page(project: &Project, call: &Call, items: Vec<Value>) -> Answer {
    let number = |name: &str, default: usize| {
        call.number(name).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(default)
    };
    let per_page = number("per_page", 20).min(project.page_limit);
    let page = number("page", 1);
    let total = items.len();
    let pages = total.div_ceil(per_page).max(1);
    let shown: Vec<Value> =
        items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let next = if page < pages { (page + 1).to_string() } else { String::new() };
    let previous = if page > 1 { (page - 1).to_string() } else { String::new() };
    let url = |number: usize| {
        let kept = call.query.iter().filter(|(key, _)| key != "page" && key != "per_page");
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut query: Vec<String> =
            kept.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        query.push(format!("page={number}&per_page={per_page}"));
        format!("{}{}?{}", project.base_url, call.path, query.join("&"))
    };
    let mut links = Vec::new();
    if page < pages {
        links.push(format!("<{}>; rel=\"next\"", url(page + 1)));
    }
    links.push(format!("<{}>; rel=\"first\"", url(1)));
    links.push(format!("<{}>; rel=\"last\"", url(pages)));
    let answer = call::json(200, &Value::Array(shown));
    let headers = [
        ("x-next-page", next),
        ("x-prev-page", previous),
        ("x-page", page.to_string()),
        ("x-per-page", per_page.to_string()),
        ("x-total", total.to_string()),
        ("x-total-pages", pages.to_string()),
        ("link", links.join(", ")),
    ];
    headers.iter().fold(answer, |answer, (name, value)| call::with(answer, name, value))
}
