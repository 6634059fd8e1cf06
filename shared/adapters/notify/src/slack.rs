//! A chat room behind an incoming webhook: a text for small screens, and blocks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::notification::{Incident, Link, Next, Notification, Urgency};
use guard_http::{System, Transport};
use guard_tasks::{Context as _, Notifier, TaskError};
use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::post::{Refused, post};

/// Characters of a heading; Slack refuses the whole message beyond it.
const HEADING: usize = 150;

/// Characters of a block's text.
const BLOCK: usize = 3_000;

/// Characters of one field, and how many one block takes.
const FIELD: usize = 2_000;
const FIELDS: usize = 10;

/// Blocks of one message.
const BLOCKS: usize = 50;

/// An incoming webhook.
pub struct Slack {
    transport: Arc<dyn Transport>,
    url: SecretString,
}

impl Slack {
    /// `url` is the webhook's whole address: who knows it may post.
    pub fn new(transport: Arc<dyn Transport>, url: SecretString) -> Self {
        Self { transport, url }
    }
}

#[async_trait]
impl Notifier for Slack {
    async fn notify(&self, notification: &Notification) -> Result<(), TaskError> {
        let body = message(notification);
        // Slack refuses with one word: `invalid_token`, `channel_is_archived`. A webhook that was taken away is not there.
        let refused = |status: StatusCode, answer: &[u8]| Refused {
            detail: word(answer),
            is_unknown_secret: matches!(status.as_u16(), 403 | 404 | 410),
        };
        post(self.transport.as_ref(), System::Slack, "post message", &self.url, &body, refused)
            .await
            .context("notify by webhook")
    }

    async fn resolve(&self, _: &Incident) -> Result<(), TaskError> {
        Ok(())
    }
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").finish_non_exhaustive()
    }
}

/// The answer, if it is a word of Slack's. Another server's page might quote the address.
fn word(answer: &[u8]) -> String {
    let text = std::str::from_utf8(answer).unwrap_or_default().trim();
    let is_word = text.len() <= 60 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { text.to_owned() } else { String::new() }
}

/// The message of a notification.
fn message(told: &Notification) -> Value {
    let heading = cut(&format!("{} {}", sign(told.urgency), told.title), HEADING);
    let fallback = cut(&escape(&format!("{}: {}", told.title, told.sentence)), BLOCK);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": true}}),
        section(&escape(&told.sentence)),
    ];
    let fields: Vec<Value> = told
        .facts
        .iter()
        .map(|fact| mrkdwn(&cut(&format!("*{}*\n{}", fact.name, escape(&fact.value)), FIELD)))
        .collect();
    blocks.extend(fields.chunks(FIELDS).map(|some| json!({"type": "section", "fields": some})));
    let lines: Vec<String> = told.next.iter().map(next).collect();
    let mut last = sections("*Next*", &lines);
    last.truncate(BLOCKS / 4);
    let pages: Vec<String> = told.links.iter().map(link).collect();
    if !pages.is_empty() {
        last.push(section(&pages.join(" · ")));
    }
    if !told.findings.is_empty() {
        let lines: Vec<String> = told.findings.iter().map(|line| format!("• {}", escape(line))).collect();
        blocks.extend(sections("*Findings*", &lines));
    }
    // Findings give way to what is to be done.
    blocks.truncate(BLOCKS - last.len());
    blocks.append(&mut last);
    json!({"text": fallback, "blocks": blocks})
}

/// Whole lines together in as few blocks as they fit.
fn sections(heading: &str, lines: &[String]) -> Vec<Value> {
    let mut texts = vec![heading.to_owned()];
    for line in lines {
        let line = cut(line, BLOCK - heading.len() - 1);
        match texts.last_mut() {
            Some(text) if text.chars().count() + line.chars().count() < BLOCK => {
                text.push('\n');
                text.push_str(&line);
            }
            _ => texts.push(line),
        }
    }
    texts.iter().map(|text| section(text)).collect()
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(&cut(text, BLOCK))})
}

/// `verbatim`: Slack makes no links and no mentions out of plain words.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn next(next: &Next) -> String {
    let words = escape(next.words);
    match &next.command {
        Some(command) => format!("{words}\n`{}`", escape(command)),
        None => words,
    }
}

/// `<url|title>`. What would end the address early is percent-encoded.
fn link(link: &Link) -> String {
    let url = link.url.replace('|', "%7C").replace('>', "%3E").replace('<', "%3C").replace(' ', "%20");
    format!("<{}|{}>", url.replace('&', "&amp;"), escape(link.title))
}

/// The three characters that Slack reads as markup of its own.
fn escape(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Cut between characters, and not inside of an escape.
fn cut(text: &str, longest: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(longest) else { return text.to_owned() };
    // Room for the dots.
    let end = text[..end].char_indices().nth(longest - 3).map_or(end, |(end, _)| end);
    let kept = &text[..end];
    let kept = match kept.rfind('&') {
        Some(start) if !kept[start..].contains(';') => &kept[..start],
        _ => kept,
    };
    format!("{kept}...")
}

fn sign(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Info => ":information_source:",
        Urgency::Warning => ":warning:",
        Urgency::Error => ":leftwards_arrow_with_hook:",
        Urgency::Critical => ":rotating_light:",
    }
}
