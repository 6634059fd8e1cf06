//! One state of any type.

use super::fields::{Fields, Place};
use super::{choice, graph, recovery, task};
use crate::error::ParseError;
use crate::machine::{
    After, Fail, Filter, MapState, Pass, Quantity, ResultPath, State, StateKind, Text, Wait, WaitSpan,
};
use crate::path::{Path, PathStep, Root};
use serde_json::Value;

pub(super) fn state(machine: &str, name: &str, value: Value) -> Result<State, ParseError> {
    let place = Place { machine: machine.to_owned(), state: Some(name.to_owned()) };
    if !(1..=80).contains(&name.chars().count()) {
        return Err(place.refuse("States", "a state's name has 1 to 80 characters"));
    }
    // A context path begins with `$$`, so a state without the two signs reads none.
    let reads_context = value.to_string().contains("$$");
    let mut fields = Fields::of(&place, "", value)?;
    let comment = fields.text("Comment")?;
    if let Some(language) = fields.text("QueryLanguage")?
        && language != "JSONPath"
    {
        return Err(fields.refuse("QueryLanguage", "only JSONPath is in the subset"));
    }
    let kind = fields.required_text("Type")?;
    // A Fail state has no data flow: InputPath there is refused as a field nobody takes.
    let (input_path, output_path) = if kind == "Fail" {
        (Filter::Path(Path::whole()), Filter::Path(Path::whole()))
    } else {
        (filter(&mut fields, "InputPath")?, filter(&mut fields, "OutputPath")?)
    };
    let kind = match kind.as_str() {
        "Task" => StateKind::Task(Box::new(task::task(&mut fields)?)),
        "Map" => StateKind::Map(Box::new(map(&mut fields)?)),
        "Choice" => StateKind::Choice(choice::choice(&mut fields)?),
        "Wait" => StateKind::Wait(Wait { span: wait_span(&mut fields)?, after: after(&mut fields)? }),
        "Pass" => StateKind::Pass(Pass {
            result: fields.take("Result"),
            parameters: fields.tokenless_template("Parameters")?,
            result_path: result_path(&mut fields)?,
            after: after(&mut fields)?,
        }),
        "Succeed" => StateKind::Succeed,
        "Fail" => {
            StateKind::Fail(Fail { error: words(&mut fields, "Error")?, cause: words(&mut fields, "Cause")? })
        }
        other => return Err(fields.refuse("Type", format!("{other} is outside of the subset"))),
    };
    fields.finish()?;
    Ok(State { name: name.to_owned(), comment, input_path, output_path, kind, reads_context })
}

fn filter(fields: &mut Fields, name: &str) -> Result<Filter, ParseError> {
    match fields.take(name) {
        None => Ok(Filter::Path(Path::whole())),
        Some(Value::Null) => Ok(Filter::Nothing),
        Some(Value::String(text)) => Ok(Filter::Path(fields.read_path(name, &text)?)),
        Some(_) => Err(fields.refuse(name, "must be a path or null")),
    }
}

pub(super) fn result_path(fields: &mut Fields) -> Result<ResultPath, ParseError> {
    let text = match fields.take("ResultPath") {
        None => return Ok(ResultPath::Fields(Vec::new())),
        Some(Value::Null) => return Ok(ResultPath::Discard),
        Some(Value::String(text)) => text,
        Some(_) => return Err(fields.refuse("ResultPath", "must be a path or null")),
    };
    let path = Path::parse(&text).map_err(|why| fields.refuse("ResultPath", why))?;
    if path.root == Root::Context {
        return Err(fields.refuse("ResultPath", "nothing can be placed in the context object"));
    }
    path.steps
        .into_iter()
        .map(|step| match step {
            PathStep::Field(name) => Ok(name),
            PathStep::Index(_) => Err(fields.refuse("ResultPath", "an index is outside of the subset")),
        })
        .collect::<Result<_, _>>()
        .map(ResultPath::Fields)
}

pub(super) fn after(fields: &mut Fields) -> Result<After, ParseError> {
    match (fields.text("Next")?, fields.take("End")) {
        (Some(next), None) => Ok(After::Next(next)),
        (None, Some(Value::Bool(true))) => Ok(After::End),
        (Some(_), Some(_)) => Err(fields.refuse("End", "stands beside Next: give one of the two")),
        (None, Some(_)) => Err(fields.refuse("End", "must be true")),
        (None, None) => Err(fields.refuse("Next", "is missing, and so is End")),
    }
}

/// `X` as a whole number, or `XPath`, not both.
pub(super) fn quantity(fields: &mut Fields, name: &str) -> Result<Option<Quantity>, ParseError> {
    let by_path = format!("{name}Path");
    match (fields.whole(name)?, fields.path(&by_path)?) {
        (Some(_), Some(_)) => {
            Err(fields.refuse(&by_path, format!("stands beside {name}: give one of the two")))
        }
        (Some(number), None) => Ok(Some(Quantity::Fixed(number))),
        (None, Some(path)) => Ok(Some(Quantity::Path(path))),
        (None, None) => Ok(None),
    }
}

fn words(fields: &mut Fields, name: &str) -> Result<Option<Text>, ParseError> {
    let by_path = format!("{name}Path");
    match (fields.text(name)?, fields.path(&by_path)?) {
        (Some(_), Some(_)) => {
            Err(fields.refuse(&by_path, format!("stands beside {name}: give one of the two")))
        }
        (Some(text), None) => Ok(Some(Text::Fixed(text))),
        (None, Some(path)) => Ok(Some(Text::Path(path))),
        (None, None) => Ok(None),
    }
}

fn wait_span(fields: &mut Fields) -> Result<WaitSpan, ParseError> {
    match (quantity(fields, "Seconds")?, fields.path("TimestampPath")?) {
        (Some(seconds), None) => Ok(WaitSpan::Seconds(seconds)),
        (None, Some(path)) => Ok(WaitSpan::Until(path)),
        (Some(_), Some(_)) => Err(fields.refuse("TimestampPath", "stands beside a number of seconds")),
        (None, None) => Err(fields.refuse("Seconds", "is missing, and so are SecondsPath and TimestampPath")),
    }
}

fn map(fields: &mut Fields) -> Result<MapState, ParseError> {
    let processor = fields.required("ItemProcessor")?;
    let mut processor = Fields::of(&fields.place, &fields.way("ItemProcessor"), processor)?;
    if let Some(config) = processor.take("ProcessorConfig") {
        let mut config = Fields::of(&fields.place, &processor.way("ProcessorConfig"), config)?;
        if config.text("Mode")?.is_some_and(|mode| mode != "INLINE") {
            return Err(config.refuse("Mode", "only INLINE is in the subset"));
        }
        config.finish()?;
    }
    // The processor's own comment has no place of its own in the typed definition.
    processor.text("Comment")?;
    let graph = graph(&mut processor)?;
    processor.finish()?;
    Ok(MapState {
        items_path: fields.path("ItemsPath")?.unwrap_or_else(Path::whole),
        item_selector: fields.tokenless_template("ItemSelector")?,
        max_concurrency: quantity(fields, "MaxConcurrency")?.unwrap_or(Quantity::Fixed(0)),
        processor: graph,
        result_selector: fields.tokenless_template("ResultSelector")?,
        result_path: result_path(fields)?,
        retry: recovery::retry(fields)?,
        catch: recovery::catch(fields)?,
        after: after(fields)?,
    })
}
