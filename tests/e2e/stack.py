"""The stack of infra/template.yaml, expanded as CloudFormation would, and created by ministack's CloudFormation."""

import json
import os
import time
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "guard-artifacts"
NAME = "guard"


class ManagedPolicies:
    """What the translator asks IAM for. The template names no managed policy by its short name."""

    def load(self):
        return {}


def upload(s3, path):
    key = f"{path.parent.name}/{path.name}"
    s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    return {"Bucket": BUCKET, "Key": key}


def with_uploads(template, s3, zips):
    """What `aws cloudformation package` does: local files go to S3, and the template points there."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                properties["CodeUri"] = upload(s3, zips / Path(properties["CodeUri"]).name)
            case "AWS::StepFunctions::StateMachine":
                path = ROOT / "infra" / properties["DefinitionS3Location"]
                properties["DefinitionS3Location"] = upload(s3, path.resolve())
    return template


def expand(s3, parameters):
    """The template as CloudFormation would see it after its transform."""
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text())
    with_uploads(template, s3, Path(os.environ["GUARD_LAMBDA_ZIPS"]))
    defaults = {name: one["Default"] for name, one in template["Parameters"].items() if "Default" in one}
    return transform(template, defaults | parameters, ManagedPolicies())


def replaced(node, references):
    """The same document, in which a `Ref` to one of these names the other."""
    match node:
        case {"Ref": name} if name in references:
            return {"Ref": references[name]}
        case dict():
            return {key: replaced(value, references) for key, value in node.items()}
        case list():
            return [replaced(value, references) for value in node]
    return node


def adapted(template, environment):
    """What ministack 1.5.33 does not have is left out here, and only here: versions of state machines (the machine itself
    is called) and alarms on a metric expression. Every function gets the clock and the addresses of the world."""
    resources = template["Resources"]
    versions = {
        name: one["Properties"]["StateMachineArn"]["Ref"]
        for name, one in resources.items() if one["Type"] == "AWS::StepFunctions::StateMachineVersion"
    }
    for name in versions:
        del resources[name]
    template = replaced(template, versions)
    for name, one in list(template["Resources"].items()):
        if one["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in one["Properties"]:
            del template["Resources"][name]
        if one["Type"] == "AWS::DynamoDB::Table":
            # It keeps a parameter's text as it is, where CloudFormation makes it what the property wants.
            one["Properties"]["DeletionProtectionEnabled"] = False
        if one["Type"] == "AWS::Lambda::Function":
            one["Properties"].setdefault("Environment", {}).setdefault("Variables", {}).update(environment)
    return template


def create(cloudformation, s3, environment, target):
    """Creates the stack and waits for it; its outputs."""
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    parameters = {
        "WebhookUrl": "on", "DeletionProtection": "false", "NotificationWebhookSecret": "guard/notification-webhook",
        "PagerDutyKeySecret": "guard/pagerduty-key", "RolloutTargetVersion": target,
    }
    template = adapted(expand(s3, parameters), environment)
    body = json.dumps(template)
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=body.encode())
    cloudformation.create_stack(
        StackName=NAME, Capabilities=["CAPABILITY_NAMED_IAM"],
        TemplateURL=f"https://s3.eu-west-1.amazonaws.com/{BUCKET}/template.json",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    deadline = time.monotonic() + 120
    while True:
        stack = cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        if not stack["StackStatus"].endswith("IN_PROGRESS") or time.monotonic() > deadline:
            events = cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
            refused = [
                f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason')}"
                for one in events if one["ResourceStatus"].endswith("FAILED")
            ]
            raise RuntimeError(f"the stack is {stack['StackStatus']}: {'; '.join(refused)}")
        time.sleep(0.2)
