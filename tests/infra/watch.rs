//! Schedules, what could not be delivered, the webhook's door, alarms and the dashboard.

use std::collections::BTreeSet;

use guard_domain::last_end::LONGEST_FUNCTION;
use serde_json::{Value, json};

use crate::access::of_role;
use crate::stack::{ACCOUNT, EVERYTHING, REGION, Resource, Stack, fail, names_in};

fn schedule(stack: &Stack, name: &str) -> Resource {
    let all = stack.of("AWS::Scheduler::Schedule");
    let found = all.into_iter().find(|schedule| schedule.properties["Name"] == name);
    found.unwrap_or_else(|| fail(&format!("{name} is not scheduled")))
}

#[test]
fn merges_are_looked_for_each_minute_whatever_is_configured() {
    for given in [&[][..], &EVERYTHING[..]] {
        let stack = Stack::of_guard(given);
        let schedule = schedule(&stack, "guard-watch-merges").properties;
        assert_eq!(
            (&schedule["State"], &schedule["ScheduleExpression"]),
            (&"ENABLED".into(), &"rate(1 minute)".into())
        );
        assert_eq!(schedule["Target"]["Input"], "{}");
        let target = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-watch-merges:live");
        assert_eq!(schedule["Target"]["Arn"], target);
    }
}

#[test]
fn a_rollout_is_scheduled_only_when_asked_for_and_says_which_delivery_it_is() {
    let off = schedule(&Stack::of_guard(&[]), "guard-rollout").properties;
    assert_eq!(off["State"], "DISABLED");
    let on = schedule(&Stack::of_guard(&EVERYTHING), "guard-rollout").properties;
    assert_eq!(on["State"], "ENABLED");
    let input: Value = serde_json::from_str(on["Target"]["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({"target_version": "1.30.5", "request_id": "<aws.scheduler.scheduled-time>"}));
    assert_eq!(on["Target"]["Arn"], format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:guard-rollout"));
}

#[test]
fn what_a_schedule_cannot_deliver_is_kept_and_its_role_may_do_just_that() {
    let stack = Stack::of_guard(&[]);
    for schedule in stack.of("AWS::Scheduler::Schedule") {
        let target = &schedule.properties["Target"];
        let letters = target["DeadLetterConfig"]["Arn"].as_str().unwrap();
        let name = target["RoleArn"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
        let role =
            stack.of("AWS::IAM::Role").into_iter().find(|role| role.properties["RoleName"] == name.as_str());
        let action = if target["Arn"].as_str().unwrap().contains(":lambda:") {
            "lambda:InvokeFunction"
        } else {
            "states:StartExecution"
        };
        let needs: BTreeSet<(String, String)> = [
            (action.to_owned(), target["Arn"].as_str().unwrap().to_owned()),
            ("sqs:SendMessage".to_owned(), letters.to_owned()),
        ]
        .into();
        assert_eq!(of_role(&stack, &role.unwrap()), needs, "{}", schedule.id);
    }
}

/// Nobody waits for the answer of this function: without a place for failures they would vanish.
#[test]
fn a_look_that_failed_is_kept_and_not_repeated_late() {
    let stack = Stack::of_guard(&[]);
    for (name, age) in [("watch-merges", 60), ("sweep", 600)] {
        let function = crate::functions::function(&stack, name);
        let config = &function.properties["EventInvokeConfig"];
        assert_eq!(
            (&config["MaximumRetryAttempts"], &config["MaximumEventAgeInSeconds"]),
            (&0.into(), &age.into())
        );
        let letters = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:guard-watcher-dead-letters");
        assert_eq!(config["DestinationConfig"]["OnFailure"]["Destination"], letters);
    }
}

/// An execution that ended badly is swept when no function of it can be at work any more, and by schedule if the event
/// was lost.
#[test]
fn executions_that_end_badly_are_swept() {
    for given in [&[][..], &EVERYTHING[..]] {
        let stack = Stack::of_guard(given);
        let rule = stack.resource("SweepRule").properties;
        let machine = |name: &str| format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:guard-{name}");
        let pattern = json!({
            "source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "status": ["ABORTED", "TIMED_OUT", "FAILED"],
                "stateMachineArn": [machine("batch-upgrade"), machine("batch-rollback")],
            },
        });
        assert_eq!((&rule["State"], &rule["EventPattern"]), (&"ENABLED".into(), &pattern));
        let queue = stack.resource("SweepQueue").properties;
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:guard-sweep");
        assert_eq!(
            rule["Targets"],
            json!([{"Id": "sweep", "Arn": arn, "InputPath": "$.detail.executionArn"}])
        );
        let delay = queue["DelaySeconds"].as_i64().unwrap();
        assert!((LONGEST_FUNCTION.as_secs() + 1..=900).contains(&delay), "{delay}");

        let function = crate::functions::function(&stack, "sweep").properties;
        // AWS asks for six times the function's time-out.
        assert_eq!(queue["VisibilityTimeout"].as_i64(), function["Timeout"].as_i64().map(|time| 6 * time));
        let mapping = stack.resource("SweepMapping").properties;
        assert_eq!(mapping["EventSourceArn"], arn);
        let live = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-sweep:live");
        assert_eq!(mapping["FunctionName"], live);
        let may_send = &stack.resource("SweepQueuePolicy").properties["PolicyDocument"]["Statement"][0];
        let by_rule = json!({"ArnEquals": {
            "aws:SourceArn": format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/guard-sweep")
        }});
        assert_eq!((&may_send["Resource"], &may_send["Condition"]), (&json!(arn), &by_rule));

        let missed = schedule(&stack, "guard-sweep").properties;
        assert_eq!((&missed["State"], &missed["Target"]["Arn"]), (&"ENABLED".into(), &json!(live)));
    }
}

/// What the domain takes for the longest that a function may be at work behind an execution that ended.
#[test]
fn no_function_may_run_longer_than_a_sweep_waits() {
    let stack = Stack::of_guard(&[]);
    for (name, size) in stack.section("Mappings")["Sizes"].as_object().unwrap() {
        assert!(size["Timeout"].as_i64().unwrap() < LONGEST_FUNCTION.as_secs(), "{name}");
    }
}

#[test]
fn the_webhook_has_a_door_only_when_asked_for() {
    let kinds = ["AWS::Lambda::Url", "AWS::Lambda::Permission"];
    let doors = |stack: &Stack| -> usize { kinds.iter().map(|kind| stack.of(kind).len()).sum() };
    assert_eq!(doors(&Stack::of_guard(&[])), 0);
    let stack = Stack::of_guard(&EVERYTHING);
    assert_eq!(doors(&stack), 3, "an URL, and the two permissions that it asks for");
    for permission in stack.of("AWS::Lambda::Permission") {
        let name = permission.properties["FunctionName"].as_str().unwrap();
        assert_eq!(name, format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-merge-webhook:live"));
        let by_url = permission.properties["FunctionUrlAuthType"] == "NONE"
            || permission.properties["InvokedViaFunctionUrl"] == true;
        assert!(by_url, "{}: open by its URL, and by nothing else", permission.id);
    }
    let webhook = crate::functions::function(&stack, "merge-webhook");
    assert_eq!(webhook.properties["ReservedConcurrentExecutions"], "2");
}

/// Metric and what it is of. Resolving a dimension fails where it names what is not there.
fn watched(stack: &Stack) -> BTreeSet<(String, String)> {
    let mut watched = BTreeSet::new();
    for alarm in stack.of("AWS::CloudWatch::Alarm") {
        let of = &alarm.properties;
        let text =
            |key: &str| of[key].as_str().unwrap_or_else(|| fail(&format!("{} has no {key}", alarm.id)));
        assert!(text("AlarmName").starts_with("guard-"), "{}", alarm.id);
        assert!(text("AlarmDescription").len() > 40, "{} says what to do", alarm.id);
        assert!(["breaching", "notBreaching"].contains(&text("TreatMissingData")), "{}", alarm.id);
        assert_eq!(of["AlarmActions"], json!(["arn:aws:sns:eu-west-1:123456789012:alarms"]), "{}", alarm.id);
        let dimension = of["Dimensions"][0]["Value"].as_str().unwrap_or_default();
        let metric = format!("{} {}", text("Namespace"), text("MetricName"));
        watched.insert((metric, dimension.rsplit(':').next().unwrap().to_owned()));
    }
    watched
}

#[test]
fn whatever_can_go_wrong_has_its_alarm() {
    let watched = watched(&Stack::of_guard(&EVERYTHING));
    let has = |metric: &str, of: &str| {
        assert!(watched.contains(&(metric.to_owned(), of.to_owned())), "no alarm on {metric} of {of}");
    };
    for function in names_in("functions") {
        has("AWS/Lambda Errors", &format!("guard-{function}"));
    }
    for machine in ["rollout", "batch-upgrade", "batch-rollback", "cluster-converge"] {
        has("AWS/States ExecutionsFailed", &format!("guard-{machine}"));
        has("AWS/States ExecutionsAborted", &format!("guard-{machine}"));
    }
    for queue in ["guard-schedule-dead-letters", "guard-watcher-dead-letters"] {
        has("AWS/SQS ApproximateNumberOfMessagesVisible", queue);
    }
    has("AWS/Lambda Throttles", "");
    has("AWS/Lambda Invocations", "guard-watch-merges");
    has("GUARD WaitingForPerson", "guard-watch-merges");
}

#[test]
fn alarms_are_made_without_a_topic_too() {
    for alarm in Stack::of_guard(&[]).of("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm.properties.get("AlarmActions"), None, "{}", alarm.id);
    }
}

#[test]
fn the_dashboard_is_json_and_names_what_is_there() {
    let stack = Stack::of_guard(&[]);
    let body = stack.resource("Dashboard").properties["DashboardBody"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    assert!(widgets.len() >= 8);
    for widget in widgets {
        assert_eq!(widget["properties"]["region"], REGION);
        let (x, width) = (widget["x"].as_i64().unwrap(), widget["width"].as_i64().unwrap());
        assert!(x + width <= 24, "a dashboard is 24 wide: {}", widget["properties"]["title"]);
    }
}

#[test]
fn a_scheduled_rollout_without_a_version_is_refused() {
    let rule = &Stack::of_guard(&[]).section("Rules")["ScheduleKnowsItsVersion"].clone();
    assert_eq!(rule["RuleCondition"], json!({"Fn::Equals": [{"Ref": "RolloutSchedule"}, "on"]}));
    let assertion = &rule["Assertions"][0]["Assert"];
    assert_eq!(*assertion, json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "RolloutTargetVersion"}, ""]}]}));
}

/// Every metric of our own that is watched is one that is written.
#[test]
fn metrics_of_our_own_are_those_of_the_reference() {
    let reference = crate::stack::read("docs/logging.md");
    let stack = Stack::of_guard(&[]);
    let alarms = stack.of("AWS::CloudWatch::Alarm");
    let of_alarms = alarms.iter().filter(|alarm| alarm.properties["Namespace"] == "GUARD");
    let mut named: Vec<String> =
        of_alarms.map(|alarm| alarm.properties["MetricName"].as_str().unwrap().to_owned()).collect();
    let body = stack.resource("Dashboard").properties["DashboardBody"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        let mut namespace = String::new();
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            if let Some(expression) = metric[0]["expression"].as_str() {
                let (_, name) = expression.split_once("MetricName=\"").unwrap();
                if expression.contains("{GUARD,") {
                    named.push(name.split_once('"').unwrap().0.to_owned());
                }
                continue;
            }
            if metric[0] != "." {
                namespace = metric[0].as_str().unwrap().to_owned();
            }
            if namespace == "GUARD" {
                named.push(metric[1].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(named.len() >= 8, "{named:?}");
    for name in named {
        assert!(reference.contains(&format!("| `{name}` |")), "{name} is not in docs/logging.md");
    }
}
