//! Settings that an upgrade spec changes together with the version.

use serde_json::Value;

use super::ChangeKind;
use super::edit::{Aim, Wish, of_charts};
use super::flux::{Lookup, Object, Spot};
use super::release::{Release, is_release};
use crate::yaml::{Content, Path, Step, type_of};
use crate::{Component, Finding, SpecUpdate};

/// Where each setting is. A path must exist, last part included, in one release, or in every release of the chart that the
/// update names; the value keeps its type.
pub(crate) fn wishes<'f>(
    releases: &[Release<'f>],
    aim: &Aim<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Wish<'f>> {
    let mut wishes = Vec::new();
    for update in aim.settings {
        match places(releases, update, aim) {
            Ok(found) => wishes.extend(found),
            Err(finding) => findings.push(*finding),
        }
    }
    wishes
}

fn places<'f>(
    releases: &[Release<'f>],
    update: &SpecUpdate,
    aim: &Aim<'_>,
) -> Result<Vec<Wish<'f>>, Box<Finding>> {
    let refuse = |code: &str, subject: String, message: String, remedy: String| {
        Err(Box::new(Finding::blocking(code, subject, message, remedy)))
    };
    let subject = || format!("upgrade_spec: {}", update.path);
    let path = match Path::parse(&update.path) {
        Ok(path) => path,
        Err(error) => {
            return refuse("SPEC_PATH_INVALID", subject(), error.to_string(), "correct the path".into());
        }
    };
    let is_version = is_version_path(&path);
    let asked: Vec<&Release<'f>> = of_charts(releases, update.chart)
        .filter(|release| is_release(&release.object) && !release.is_patch())
        .collect();
    let found: Vec<(&Release<'f>, Spot<'f>)> = asked
        .iter()
        .filter_map(|release| match release.object.look_at(&path) {
            Lookup::Found(spot) => Some((*release, spot)),
            Lookup::Absent | Lookup::Merged(_) => None,
        })
        .collect();
    if found.is_empty() || (update.chart.is_some() && found.len() < asked.len()) {
        // Of those without it, the one that goes along the path furthest: there a key is misspelt.
        let without = asked
            .iter()
            .filter(|release| !found.iter().any(|(other, _)| other.object.is_same(&release.object)));
        let message = if let Some(release) = without.max_by_key(|release| reach(&release.object, &path)) {
            format!("it is not there in {}{}", release.object.whole(), nearest(&release.object, &path))
        } else {
            let chart = update.chart.map_or("an Istio chart", Component::chart);
            format!("no release of {chart} among the files of this cluster")
        };
        return refuse(
            "SPEC_PATH_MISSING",
            subject(),
            message,
            "GUARD changes what is there and adds nothing: correct the path, or add the setting by hand first".into(),
        );
    }
    if is_version {
        // The version moves by itself; a spec may repeat it.
        let target = Value::from(aim.to.to_string());
        return if update.value == target {
            Ok(Vec::new())
        } else {
            refuse(
                "SPEC_CONTRADICTS_VERSION",
                subject(),
                format!("the value is {}, the version of the upgrade is {}", update.value, aim.to),
                "leave the version to the upgrade".into(),
            )
        };
    }
    if update.chart.is_none() && found.len() > 1 {
        let places: Vec<String> = found.iter().map(|(release, _)| release.object.whole()).collect();
        return refuse(
            "SPEC_PATH_AMBIGUOUS",
            subject(),
            format!("it is there in {}", places.join(" and ")),
            "name the chart beside the path: chart: istiod".into(),
        );
    }
    let mut wishes = Vec::new();
    for (release, spot) in found {
        let value = kept(&spot, &update.value).map_err(|(there, wanted)| {
            Box::new(Finding::blocking(
                "SPEC_TYPE_DIFFERS",
                release.object.place(spot.node.line, &spot.read_at),
                format!("there is {there}, and {} is {wanted}", update.value),
                "give a value of the same type, for single values only",
            ))
        })?;
        wishes.push(Wish::new(&release.object, spot, ChangeKind::Setting, release.component, value));
    }
    Ok(wishes)
}

/// The version and the tags, which move by themselves.
fn is_version_path(path: &Path) -> bool {
    [
        &["spec", "chart", "spec", "version"][..],
        &["spec", "values", "global", "tag"],
        &["spec", "values", "tag"],
        &["spec", "values", "pilot", "tag"],
    ]
    .iter()
    .any(|keys| *path == Path::of_keys(keys))
}

/// The value in the type that is there, or the words for both types.
fn kept(spot: &Spot<'_>, wanted: &Value) -> Result<Value, (&'static str, &'static str)> {
    let there = match &spot.node.content {
        Content::Scalar { .. } => spot.node.data().unwrap_or_default(),
        Content::Map(_) => Value::Object(serde_json::Map::new()),
        Content::Seq(_) | Content::Alias(_) => Value::Array(Vec::new()),
    };
    match (&there, wanted) {
        (Value::Number(old), Value::Number(new)) if old.is_f64() && !new.is_f64() => {
            let whole = new.as_f64().and_then(serde_json::Number::from_f64);
            Ok(whole.map_or_else(|| wanted.clone(), Value::Number))
        }
        (Value::Number(old), Value::Number(new)) if old.is_f64() == new.is_f64() => Ok(wanted.clone()),
        (Value::Bool(_), Value::Bool(_)) | (Value::String(_), Value::String(_)) => Ok(wanted.clone()),
        _ => Err((type_of(&there), type_of(wanted))),
    }
}

/// How many steps of a path are there.
fn reach(object: &Object<'_>, path: &Path) -> usize {
    let is_there = |length: &usize| object.look_at(&Path(path.0[..*length].to_vec())).is_found();
    (1..=path.0.len()).take_while(is_there).count()
}

/// The key that may have been meant, where the path leaves what is there.
fn nearest(object: &Object<'_>, path: &Path) -> String {
    let length = reach(object, path);
    let Lookup::Found(Spot { node, .. }) = object.look_at(&Path(path.0[..length].to_vec())) else {
        return String::new();
    };
    let (Some(Step::Key(missing)), Content::Map(entries)) = (path.0.get(length), &node.content) else {
        return String::new();
    };
    let known = entries.iter().filter_map(|(key, _)| key.as_str());
    known
        .map(|key| (strsim::damerau_levenshtein(missing, key), key))
        .min()
        .filter(|(distance, key)| *distance <= key.len().div_ceil(2))
        .map_or_else(
            || format!(": `{missing}` is missing"),
            |(_, key)| format!(": `{missing}` is missing; did you mean `{key}`?"),
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Edited, edit, holds, revert};
    use super::*;
    use crate::{FileContent, IstioVersion};

    fn file() -> FileContent {
        let release = |chart: &str, values: &str| {
            format!(
                "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {chart}}}\nspec:\n  chart: {{spec: {{chart: {chart}, version: 1.29.3}}}}\n  values:\n{values}"
            )
        };
        let istiod = "    global: {logAsJson: true}\n    pilot:\n      autoscaleMin: 2 # at least\n      traceSampling: 100.0\n      cpu: 500m\n      \"a.b\": 'x'\n      env:\n      - {name: A, value: \"1\"}\n      - {name: B, value: \"2\"}\n      nothing:\n";
        FileContent {
            path: "istio.yaml".into(),
            content: release("istiod", istiod) + &release("gateway", "    global: {logAsJson: false}\n"),
        }
    }

    fn go(updates: &Value) -> Result<Edited, Vec<Finding>> {
        let (from, to) = (IstioVersion::parse("1.29.3").unwrap(), IstioVersion::parse("1.30.5").unwrap());
        let settings: Vec<SpecUpdate> = serde_json::from_value(updates.clone()).unwrap();
        edit(&[file()], &Aim { settings: &settings, ..Aim::new(&from, &to) })
    }

    /// The file with one setting changed, as the edit makes it; led back it is what it was.
    fn set(path: &str, value: &Value, old: &str, new: &str) {
        let edited = go(&json!([{"path": path, "value": value}])).unwrap();
        let wanted = file().content.replace("1.29.3", "1.30.5").replace(old, new);
        assert_eq!(edited.files[0].content, wanted);
        assert_eq!(edited.changes.iter().filter(|change| change.kind == ChangeKind::Setting).count(), 1);
        assert_eq!(holds(&edited.files, &edited.changes), Ok(()));
        assert_eq!(revert(&edited.files, &edited.changes).unwrap().files, [file()]);
    }

    fn refusal(updates: &Value) -> String {
        let findings = go(updates).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        format!("{} {} {}", findings[0].code, findings[0].subject, findings[0].message)
    }

    #[test]
    fn a_setting_changes_in_its_own_type_and_quotes() {
        set("spec.values.pilot.autoscaleMin", &json!(3), "autoscaleMin: 2 #", "autoscaleMin: 3 #");
        set("spec.values.pilot.traceSampling", &json!(5), "100.0", "5.0");
        set("spec.values.pilot.traceSampling", &json!(0.5), "100.0", "0.5");
        set("spec.values.pilot.cpu", &json!("1"), "500m", "\"1\"");
        set("spec.values.pilot.\"a.b\"", &json!("it's"), "'x'", "'it''s'");
        set("spec.values.pilot.env[name=B].value", &json!("3"), "\"2\"", "\"3\"");
        set("spec.values.pilot.env[0].value", &json!("3"), "\"1\"", "\"3\"");
    }

    #[test]
    fn a_value_that_is_there_already_is_no_change() {
        let edited = go(&json!([{"path": "spec.values.pilot.autoscaleMin", "value": 2}])).unwrap();
        assert_eq!(edited.changes.len(), 2);
    }

    #[test]
    fn a_path_must_be_there_to_its_last_part() {
        assert_eq!(
            refusal(&json!([{"path": "spec.values.pilot.autoscaleMim", "value": 3}])),
            "SPEC_PATH_MISSING upgrade_spec: spec.values.pilot.autoscaleMim it is not there in istio.yaml:2: HelmRelease istiod: `autoscaleMim` is missing; did you mean `autoscaleMin`?"
        );
        for path in [
            "spec.values.pilot.env[name=C].value",
            "spec.values.pilot.env[7].value",
            "spec.values.pilot.cpu.x",
        ] {
            assert!(
                refusal(&json!([{"path": path, "value": "3"}])).starts_with("SPEC_PATH_MISSING"),
                "{path}"
            );
        }
        assert!(
            refusal(&json!([{"path": "spec.values.x", "value": "3", "chart": "cni"}]))
                .ends_with("no release of cni among the files of this cluster")
        );
    }

    #[test]
    fn a_path_in_several_releases_needs_a_chart() {
        let told = refusal(&json!([{"path": "spec.values.global.logAsJson", "value": true}]));
        assert_eq!(
            told,
            "SPEC_PATH_AMBIGUOUS upgrade_spec: spec.values.global.logAsJson it is there in istio.yaml:2: HelmRelease istiod and istio.yaml:19: HelmRelease gateway"
        );
        let edited =
            go(&json!([{"path": "spec.values.global.logAsJson", "value": true, "chart": "gateway"}]))
                .unwrap();
        assert_eq!(edited.changes.last().unwrap().object, "HelmRelease gateway");
    }

    #[test]
    fn the_type_stays() {
        for (path, value, cause) in [
            ("spec.values.pilot.autoscaleMin", json!("3"), "there is a whole number, and \"3\" is text"),
            (
                "spec.values.pilot.autoscaleMin",
                json!(1.5),
                "there is a whole number, and 1.5 is a number with a fraction",
            ),
            ("spec.values.pilot.cpu", json!(1), "there is text, and 1 is a whole number"),
            ("spec.values.pilot.env", json!("x"), "there is a list, and \"x\" is text"),
            ("spec.values.pilot", json!("x"), "there is a mapping, and \"x\" is text"),
            ("spec.values.pilot.nothing", json!("x"), "there is nothing, and \"x\" is text"),
        ] {
            let told = refusal(&json!([{"path": path, "value": value}]));
            assert!(told.starts_with("SPEC_TYPE_DIFFERS istio.yaml:") && told.ends_with(cause), "{told}");
        }
    }

    #[test]
    fn the_version_may_be_repeated_and_not_contradicted() {
        let edited = go(&json!([{"path": "spec.chart.spec.version", "value": "1.30.5"}])).unwrap();
        assert_eq!(edited.changes.len(), 2);
        assert!(
            refusal(&json!([{"path": "spec.chart.spec.version", "value": "1.30.4"}]))
                .starts_with("SPEC_CONTRADICTS_VERSION")
        );
    }

    #[test]
    fn one_setting_that_cannot_be_made_stops_all() {
        let updates = json!([
            {"path": "spec.values.pilot.autoscaleMin", "value": 3},
            {"path": "spec.values.pilot.cpu", "value": true},
        ]);
        assert!(refusal(&updates).starts_with("SPEC_TYPE_DIFFERS"));
    }
}
