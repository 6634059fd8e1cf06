"""The stack of infra/template.yaml, expanded as CloudFormation would, and created by ministack's CloudFormation."""

import io
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
                name = Path(properties["CodeUri"]).stem
                properties["CodeUri"] = upload(s3, zips / f"{name}.zip")
            case "AWS::Serverless::StateMachine":
                path = ROOT / "infra" / properties["DefinitionUri"]
                properties["DefinitionUri"] = upload(s3, path.resolve())
    return template


def expand(s3, parameters):
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text())
    with_uploads(template, s3, Path(os.environ["GUARD_LAMBDA_ZIPS"]))
    return transform(template, parameters, ManagedPolicies())
