//! `docs/configuration.md`: every key of the configuration document and every variable of the functions, from the types
//! that read them.

use std::fmt::Write as _;

use guard_domain::Config;
use guard_lambda::VARIABLES;
use serde_json::Value;

const INTRODUCTION: &str = "# Configuration

Made from the types that read it, by `make generate`: what stands here is what is accepted.

## The document

YAML, in SSM Parameter Store (`GUARD_CONFIG_PARAMETER`) or in a file (`GUARD_CONFIG_FILE`). Every key has a default; a \
key that is not listed is refused, with the nearest one that is. A run freezes the document into its plan when it \
starts: a change is for runs that start later.

```yaml
gitlab:
  url: https://gitlab.example.com
datadog:
  site: datadoghq.eu
batch_order:
  prod-wave-1: [staging]
policy:
  freeze_windows:
    - {from: 2026-12-20T00:00:00Z, to: 2027-01-04T00:00:00Z, reason: end of the year}
    - {cron: 0 16 * * FRI, minutes: 3840, time_zone: Europe/Berlin, reason: weekend to Monday 8 o'clock}
```

Keys of the first tool that are not listed are not accepted. Of those, `rollback.notification` went to the functions' \
variables: where people are told is named by secrets, which stand beside the roles that may read them.
";

const VARIABLES_INTRODUCTION: &str = "
## Variables of the functions

Set by the template, the same for every function. An empty variable is an unset one. What is missing or wrong is the \
answer to every invocation, all of it at once. The values of secrets are in Secrets Manager; here are only their names.

| variable | default | what |
|---|---|---|
";

/// The whole page.
pub fn page() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    let reader = Reader { root: &schema };
    for (section, property) in reader.properties(&schema) {
        let resolved = reader.resolve(property);
        _ = write!(page, "\n### `{section}`\n\n");
        page.push_str(&sentence(property, resolved));
        page.push_str("\n\n| key | type | default | what |\n|---|---|---|---|\n");
        reader.rows(section, property, Some(&defaults[section]), &mut page);
    }
    page.push_str(VARIABLES_INTRODUCTION);
    for variable in VARIABLES {
        let default = variable.default.map_or_else(String::new, |default| format!("`{default}`"));
        _ = writeln!(page, "| `{}` | {default} | {} |", variable.name, variable.what);
    }
    page
}

/// A property's own words, else those of its type.
fn sentence(property: &Value, resolved: &Value) -> String {
    let words = |schema: &Value| schema["description"].as_str().map(str::to_owned);
    let text = words(property).or_else(|| words(resolved)).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#"));
        name.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn properties(&self, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let properties = self.resolve(schema)["properties"].as_object();
        properties.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// A row for each value below a place.
    fn rows(&self, place: &str, property: &'a Value, default: Option<&Value>, page: &mut String) {
        let resolved = self.resolve(property);
        let inner = self.properties(property);
        if !inner.is_empty() {
            for (name, below) in inner {
                let default = default.and_then(|default| default.get(name));
                self.rows(&format!("{place}.{name}"), below, default, page);
            }
            return;
        }
        let default = default.map_or_else(String::new, |default| format!("`{default}`"));
        let (kind, what) = (self.kind(resolved), sentence(property, resolved));
        _ = writeln!(page, "| `{place}` | {kind} | {default} | {what} |");
        if let Some(items) = resolved.get("items")
            && !self.properties(items).is_empty()
        {
            self.rows(&format!("{place}[]"), items, None, page);
        }
    }

    /// The type in words.
    fn kind(&self, schema: &'a Value) -> String {
        let schema = self.resolve(schema);
        let choices: Vec<String> = ["oneOf", "enum"]
            .iter()
            .filter_map(|key| schema[*key].as_array())
            .flatten()
            .filter_map(|choice| choice.as_str().or_else(|| choice["const"].as_str()))
            .map(|word| format!("`{word}`"))
            .collect();
        if !choices.is_empty() {
            return choices.join(" or ");
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer"), _) => "whole number".to_owned(),
            (Some("number"), _) => "number".to_owned(),
            (Some("boolean"), _) => "`true` or `false`".to_owned(),
            (Some("string"), Some("date-time")) => "time, RFC 3339".to_owned(),
            (Some("string"), _) => "text".to_owned(),
            (Some("array"), _) if self.properties(&schema["items"]).is_empty() => {
                format!("list of {}", self.kind(&schema["items"]))
            }
            (Some("array"), _) => "list".to_owned(),
            (Some("object"), _) => format!("map to {}", self.kind(&schema["additionalProperties"])),
            _ => String::new(),
        }
    }
}
