//! What one state does to the type of its input.

use super::contract::Contracts;
use super::reader::{Data, Note, Reader, input_base};
use super::task;
use super::value::Type;
use crate::choice::{Condition, Operand};
use crate::lint::LintRule;
use crate::machine::{
    After, Choice, MapState, Pass, Quantity, ResultPath, State, StateKind, Text, Wait, WaitSpan,
};
use crate::template::Template;
use std::collections::BTreeMap;

/// What is known around a state.
pub(super) struct Known<'k> {
    pub(super) contracts: &'k Contracts,
    /// Every machine there is, with what it ends with, as far as that is known.
    pub(super) outputs: &'k BTreeMap<String, Option<Type>>,
    pub(super) machine: &'k str,
    pub(super) execution_input: Type,
    /// The item of the Map around it.
    pub(super) item: Option<Type>,
    /// What the iterations of this state, a Map, end with.
    pub(super) iteration_output: Option<Type>,
}

#[derive(Default)]
pub(super) struct Effect {
    /// Where it may lead, with what.
    pub(super) edges: Vec<Flow>,
    /// What the graph ends with, when it may end here.
    pub(super) end: Option<Type>,
    /// The machine it starts, with what.
    pub(super) call: Option<(String, Type)>,
    /// What its iterations begin with: item and input.
    pub(super) iteration: Option<(Type, Type)>,
    pub(super) notes: Vec<Note>,
    pub(super) paths: usize,
}

pub(super) struct Flow {
    pub(super) to: String,
    pub(super) carries: Type,
}

pub(super) fn effect(state: &State, raw: &Type, known: &Known<'_>) -> Effect {
    let context = context(state, known, known.item.as_ref());
    let mut reader = Reader { context, notes: Vec::new(), paths: 0 };
    let input = reader.filter("InputPath", &state.input_path, Data { of: raw, base: Some(&[]) });
    let base = input_base(state);
    let data = Data { of: &input, base: base.as_deref() };
    let mut effect = Effect::default();
    match &state.kind {
        StateKind::Task(task) => {
            let called = task::call(task, data, known, &mut reader);
            effect.call = called.child;
            if let Some(result) = called.result {
                let output =
                    placed(&mut reader, raw, &result, task.result_selector.as_ref(), &task.result_path);
                leave(state, Data { of: &output, base: None }, &mut reader, &mut effect);
            }
        }
        StateKind::Map(map) => {
            effect.iteration = Some(iteration(state, map, data, known, &mut reader));
            let result = Type::array(known.iteration_output.clone().unwrap_or_default());
            let output = placed(&mut reader, raw, &result, map.result_selector.as_ref(), &map.result_path);
            leave(state, Data { of: &output, base: None }, &mut reader, &mut effect);
        }
        StateKind::Pass(pass) => {
            let result = passed(pass, data, &mut reader);
            let output = placed(&mut reader, raw, &result, None, &pass.result_path);
            leave(state, Data { of: &output, base: None }, &mut reader, &mut effect);
        }
        StateKind::Wait(wait) => {
            wait_span(wait, data, &mut reader);
            leave(state, data, &mut reader, &mut effect);
        }
        StateKind::Choice(choice) => choose(state, choice, data, &mut reader, &mut effect),
        StateKind::Succeed => leave(state, data, &mut reader, &mut effect),
        StateKind::Fail(fail) => {
            for (field, text) in [("ErrorPath", &fail.error), ("CausePath", &fail.cause)] {
                if let Some(Text::Path(path)) = text {
                    reader.expect(LintRule::TextIsString, field, path, data, &Type::string());
                }
            }
        }
    }
    catches(state, raw, &mut reader, &mut effect);
    effect.notes = reader.notes;
    effect.paths = reader.paths;
    effect
}

/// `$$`.
fn context(state: &State, known: &Known<'_>, item: Option<&Type>) -> Type {
    let mut fields = vec![
        (
            "Execution",
            Type::object([
                ("Id", Type::string()),
                ("Input", known.execution_input.clone()),
                ("Name", Type::string()),
                ("RoleArn", Type::string()),
                ("StartTime", Type::string()),
            ]),
        ),
        ("StateMachine", Type::object([("Id", Type::string()), ("Name", Type::constant(known.machine))])),
        (
            "State",
            Type::object([
                ("EnteredTime", Type::string()),
                ("Name", Type::constant(&state.name)),
                ("RetryCount", Type::natural()),
            ]),
        ),
    ];
    if let Some(item) = item {
        let item = Type::object([("Index", Type::natural()), ("Value", item.clone())]);
        fields.push(("Map", Type::object([("Item", item)])));
    }
    if let StateKind::Task(task) = &state.kind
        && task.resource == crate::machine::Resource::InvokeWithToken
    {
        fields.push(("Task", Type::object([("Token", Type::string())])));
    }
    Type::object(fields)
}

pub(super) fn quantity(field: &str, quantity: Option<&Quantity>, data: Data<'_>, reader: &mut Reader) {
    if let Some(Quantity::Path(path)) = quantity {
        reader.expect(LintRule::QuantityIsWhole, field, path, data, &Type::natural());
    }
}

fn iteration(
    state: &State,
    map: &MapState,
    data: Data<'_>,
    known: &Known<'_>,
    reader: &mut Reader,
) -> (Type, Type) {
    quantity("MaxConcurrencyPath", Some(&map.max_concurrency), data, reader);
    let anything = Type::array(Type::anything());
    let items = reader.read("ItemsPath", &map.items_path, data);
    if !items.fits(&anything) {
        let path = &map.items_path;
        reader
            .note(LintRule::ItemsAreArray, format!("ItemsPath reads {path}, which is {items}, and no array"));
    }
    let item = items.array.as_deref().cloned().unwrap_or_default();
    let input = match &map.item_selector {
        None => item.clone(),
        Some(selector) => {
            let outside = std::mem::replace(&mut reader.context, context(state, known, Some(&item)));
            let input = reader.fill("ItemSelector", selector, data);
            reader.context = outside;
            input
        }
    };
    (item, input)
}

fn passed(pass: &Pass, data: Data<'_>, reader: &mut Reader) -> Type {
    match (&pass.result, &pass.parameters) {
        (Some(result), _) => Type::of(result),
        (None, Some(parameters)) => reader.fill("Parameters", parameters, data),
        (None, None) => data.of.clone(),
    }
}

fn wait_span(wait: &Wait, data: Data<'_>, reader: &mut Reader) {
    match &wait.span {
        WaitSpan::Seconds(seconds) => quantity("SecondsPath", Some(seconds), data, reader),
        WaitSpan::Until(path) => {
            reader.expect(LintRule::TextIsString, "TimestampPath", path, data, &Type::string());
        }
    }
}

/// ResultSelector and ResultPath.
fn placed(
    reader: &mut Reader,
    raw: &Type,
    result: &Type,
    selector: Option<&Template>,
    way: &ResultPath,
) -> Type {
    let result = match selector {
        Some(selector) => reader.fill("ResultSelector", selector, Data { of: result, base: None }),
        None => result.clone(),
    };
    match way {
        ResultPath::Discard => raw.clone(),
        ResultPath::Fields(way) => {
            let (output, why) = raw.place(way, &result);
            if let Some(why) = why {
                reader.note(LintRule::ResultPlaced, format!("ResultPath $.{}: {why}", way.join(".")));
            }
            output
        }
    }
}

/// OutputPath, then on, or the end.
fn leave(state: &State, output: Data<'_>, reader: &mut Reader, effect: &mut Effect) {
    let output = reader.filter("OutputPath", &state.output_path, output);
    match state.after() {
        Some(After::Next(next)) => {
            effect.edges.push(Flow { to: next.clone(), carries: output });
        }
        Some(After::End) | None => effect.end = Some(output),
    }
}

fn catches(state: &State, raw: &Type, reader: &mut Reader, effect: &mut Effect) {
    let error = Type::object([("Error", Type::string()), ("Cause", Type::string())]);
    for (index, catcher) in state.catch().iter().enumerate() {
        let carries = match &catcher.result_path {
            ResultPath::Discard => raw.clone(),
            ResultPath::Fields(way) => {
                let (output, why) = raw.place(way, &error);
                if let Some(why) = why {
                    let message = format!("Catch[{index}].ResultPath $.{}: {why}", way.join("."));
                    reader.note(LintRule::ResultPlaced, message);
                }
                output
            }
        };
        effect.edges.push(Flow { to: catcher.next.clone(), carries });
    }
}

fn choose(state: &State, choice: &Choice, data: Data<'_>, reader: &mut Reader, effect: &mut Effect) {
    let mut edge = |to: &str, carries: &Type, reader: &mut Reader| {
        let data = Data { of: carries, base: data.base };
        let carries = reader.filter("OutputPath", &state.output_path, data);
        effect.edges.push(Flow { to: to.to_owned(), carries });
    };
    let mut left = data.of.clone();
    for (index, rule) in choice.rules.iter().enumerate() {
        let field = format!("Choices[{index}]");
        compared(&field, &rule.condition, Data { of: &left, base: data.base }, reader);
        if let Some(carries) = left.where_it(true, &rule.condition) {
            edge(&rule.next, &carries, reader);
        } else {
            let was_possible = data.of.where_it(true, &rule.condition).is_some();
            let why = if was_possible { "an earlier rule takes it" } else { "it can never hold" };
            let message = format!("{field} ({}): {why}{}", rule.condition, others(&rule.condition, data));
            reader.note(LintRule::RuleCanHold, message);
            // What stands behind it is looked at all the same.
            edge(&rule.next, &left, reader);
        }
        // A Default behind rules that take everything is there for the word that comes next year.
        left = left.where_it(false, &rule.condition).unwrap_or(left);
    }
    if let Some(default) = &choice.default {
        edge(default, &left, reader);
    }
}

/// What the variable of a comparison is instead.
fn others(condition: &Condition, data: Data<'_>) -> String {
    match condition {
        Condition::Compare { variable, .. } | Condition::Type { variable, .. } => {
            format!("; {variable} is {}", data.of.select(&variable.steps).0)
        }
        Condition::Present { .. } | Condition::And(_) | Condition::Or(_) | Condition::Not(_) => String::new(),
    }
}

fn compared(field: &str, condition: &Condition, data: Data<'_>, reader: &mut Reader) {
    match condition {
        Condition::Not(inner) => compared(field, inner, data, reader),
        Condition::And(conditions) | Condition::Or(conditions) => {
            let goes_on_when = matches!(condition, Condition::And(_));
            let mut left = data.of.clone();
            for inner in conditions {
                compared(field, inner, Data { of: &left, base: data.base }, reader);
                left = left.where_it(goes_on_when, inner).unwrap_or(left);
            }
        }
        // Asking whether it is there never fails.
        Condition::Present { .. } => reader.paths += 1,
        Condition::Type { variable, .. } => {
            reader.read(field, variable, data);
        }
        Condition::Compare { variable, comparison, operand } => {
            let mut sides = vec![variable];
            if let Operand::Path(path) = operand {
                sides.push(path);
            }
            for side in sides {
                let of = reader.read(field, side, data);
                if !of.is_nothing() && !of.may_be(comparison.scalar) {
                    let wanted = Type::every(comparison.scalar);
                    let message = format!("{field} compares {side}, which is {of}, with {wanted}");
                    reader.note(LintRule::ComparisonFits, message);
                }
            }
        }
    }
}
