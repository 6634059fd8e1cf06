//! What istioctl wrote, read. Facts from its 1.30.3 and its sources: with `-o json` an analysis ends with code 0 whatever
//! it found, and a namespace that is not there ends with code 0 and not one word.

use guard_domain::IstioVersion;
use guard_domain::analyzer::{Analysis, Level, Message};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::process::{Ended, Unanswered};

/// Messages at or above the failure threshold. JSON never ends with it today; a version that does has answered.
const FOUND_SOMETHING: i32 = 79;

/// What is read of one message.
#[derive(Deserialize)]
struct Written {
    code: String,
    level: String,
    message: String,
    #[serde(default)]
    origin: String,
    #[serde(default, rename = "documentationUrl")]
    documentation: String,
}

impl From<Written> for Message {
    fn from(written: Written) -> Self {
        let level = match written.level.as_str() {
            "Info" => Level::Info,
            "Warning" => Level::Warning,
            // And whatever a later version thinks is worse.
            _ => Level::Error,
        };
        Self {
            code: written.code,
            level,
            origin: written.origin,
            text: written.message,
            documentation: written.documentation,
        }
    }
}

/// An analysis that came to its end.
pub(crate) fn analysis(ended: &Ended) -> Result<Analysis, Unanswered> {
    if !matches!(ended.code, Some(0 | FOUND_SOMETHING)) {
        return Err(ended.refusal());
    }
    if ended.stdout.trim().is_empty() {
        let said = guard_http::clip(&ended.stderr);
        return Err(Unanswered::because(format!("istioctl ended well and answered nothing: {said}")));
    }
    let written: Vec<Written> = first_document(&ended.stdout, '[')?;
    let gap = [&ended.stdout, &ended.stderr].into_iter().find_map(|text| forbidden(text));
    Ok(Analysis::Said { messages: written.into_iter().map(Message::from).collect(), gap })
}

/// A line of its log that tells of something it could not read: what is there was not analysed.
fn forbidden(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains("watch error") && line.contains("forbidden"))?;
    Some(format!("istioctl could not read everything: {}", guard_http::clip(line)))
}

/// The version that a program says it is.
pub(crate) fn version(stdout: &str) -> Result<IstioVersion, Unanswered> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        client_version: Client,
    }
    #[derive(Deserialize)]
    struct Client {
        version: String,
    }
    let Written { client_version: Client { version } } = first_document(stdout, '{')?;
    IstioVersion::from_image_tag(&version)
        .ok_or_else(|| Unanswered::because(format!("it says that it is `{}`", guard_http::clip(&version))))
}

/// Names in a list of `* name:` lines, each with a description below.
pub(crate) fn analyzers(stdout: &str) -> Result<Vec<String>, Unanswered> {
    let name = |line: &str| line.strip_prefix("* ")?.strip_suffix(':').map(str::to_owned);
    let names: Vec<String> = stdout.lines().filter_map(name).collect();
    // Without names, istioctl would run all analyzers.
    if names.is_empty() { Err(Unanswered::because("istioctl lists no analyzers")) } else { Ok(names) }
}

/// The document that begins in the first line with this letter: log lines may stand before it, and after it.
fn first_document<T: DeserializeOwned>(text: &str, opening: char) -> Result<T, Unanswered> {
    let mut offset = 0;
    let start = text.split_inclusive('\n').find_map(|line| {
        let here = offset;
        offset += line.len();
        line.starts_with(opening).then_some(here)
    });
    let Some(start) = start else {
        let said = guard_http::clip(text);
        return Err(Unanswered::because(format!("istioctl wrote no JSON: {said}")));
    };
    let mut documents = serde_json::Deserializer::from_str(&text[start..]).into_iter::<T>();
    match documents.next() {
        Some(Ok(document)) => Ok(document),
        Some(Err(error)) => {
            Err(Unanswered::because(format!("istioctl wrote JSON that does not read: {error}")))
        }
        None => Err(Unanswered::because("istioctl wrote no JSON")),
    }
}
