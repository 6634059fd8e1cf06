"""The pipelines of examples/, their scripts run as a runner would: they start, follow, and fail as they should."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from house import SPEED, required
from test_batch import assert_healthy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def gitlab_job(house, name):
    """Script and environment of a job of gitlab-ci.yml; what GitLab and the project set is set here."""
    document = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
    job = document[name]
    variables = {
        "CI_PIPELINE_ID": "4711", "GUARD_BATCH": "test", "GUARD_TARGET_VERSION": house.target,
        "GUARD_MACHINE_ARN": house.machine("batch-upgrade"),
    }
    for key, value in (document[job["extends"]].get("variables", {}) | job.get("variables", {})).items():
        variables[key] = re.sub(r"\$(\w+)", lambda found: variables[found[1]], value)
    return "\n".join(job["script"]), variables


def github_job(house, name):
    """The same of github-actions.yml."""
    document = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    given = {
        "inputs.batch": "test", "inputs.target_version": house.target, "github.run_id": "815",
        "github.run_attempt": "1", "vars.GUARD_MACHINE_ARN": house.machine("batch-upgrade"),
    }
    step = next(step for step in document["jobs"][name]["steps"] if "run" in step)
    environment = document["env"] | step.get("env", {})
    fill = lambda text: re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: given[found[1]], text)
    return step["run"], {key: fill(value) for key, value in environment.items()}


def run_job(house, job):
    script, variables = job
    path = os.pathsep.join([str(Path(required("GUARD_CLI")).parent), os.environ["PATH"]])
    # `sleep` is scaled too: this is a second.
    environment = house.own_environment() | house.clock() | variables | {"PATH": path, "INTERVAL": str(SPEED)}
    with house.schedule():
        return subprocess.run(
            ["sh", "-e", "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400,
            stdin=subprocess.DEVNULL,
        )


def test_a_pipeline_with_the_command(open_house):
    house = open_house(clusters=1)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    done = run_job(house, gitlab_job(house, "upgrade"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_healthy(house, ["test-euw1-1"])
    # The other pipeline comes to a batch that is there already.
    done = run_job(house, github_job(house, "upgrade"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(house.state()["merge_requests"]) == 1


def test_a_pipeline_with_the_aws_cli_alone_fails_when_the_batch_was_rolled_back(open_house):
    house = open_house(clusters=1)
    house.pull(**{
        "do": "person", "upgrade": {"merge_after_minutes": 14}, "rollback": {"merge_after_minutes": 6},
    })
    house.pull(**{
        "do": "regress", "cluster": "test-euw1-1", "from_version": house.target, "error_factor": 30.0,
        "latency_factor": 1.3,
    })
    done = run_job(house, gitlab_job(house, "upgrade-with-aws-cli"))
    assert done.returncode == 4, done.stdout + done.stderr
    assert "RolledBack" in done.stderr


@pytest.mark.skipif(not shutil.which("jq"), reason="jq, which GitHub's runners have, is not on this machine")
def test_a_pipeline_with_the_aws_cli_alone_fails_when_a_gate_fails(open_house):
    house = open_house(clusters=1)
    house.pull(**{"do": "fire_monitor", "cluster": "test-euw1-1", "name": "mesh: 5xx"})
    done = run_job(house, github_job(house, "upgrade-with-aws-cli"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "GateFailed" in done.stderr
