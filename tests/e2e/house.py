"""One AWS and one outside world on this machine, for one test: ministack with the whole stack of infra/template.yaml,
guard-world, and one scaled clock that the world and every function share.

The clock: guard-world runs under libfaketime, which counts the wall clock SPEED times too fast and keeps its start in
shared memory; the functions are told that memory's name, so a process that starts later does not start the clock again.
The monotonic clock is left alone: time-outs of single calls are real. Wait states and retries are compressed by the same
factor in ministack (SFN_WAIT_SCALE); time-outs of Task states are not, and need not be.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

import figures
import stack

SPEED = 120
REGION = "eu-west-1"
ACCOUNT = "123456789012"
SECRETS = {"guard/gitlab-webhook-token": "hook-of-the-test"}


EXAMPLES = Path(__file__).resolve().parents[2] / "statemachine" / "examples"


def example(name):
    """What a person pastes into the console: the text of the example, byte for byte."""
    return (EXAMPLES / f"{name}.input.json").read_text()


def required(name):
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set: start these tests with `make e2e`")
    return value


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=120.0):
    """Asks until there is an answer. Real time; the failure says what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


class House:
    def __init__(self, clusters=2, batches=1, soak_minutes=30, seed=1, workloads=0, config=None, speed=SPEED):
        """`config` may change the configuration, a dict, before anybody reads it."""
        self.config = config or (lambda document: document)
        self.speed = speed
        self.folder = Path(tempfile.mkdtemp(prefix="guard-e2e-"))
        self.processes = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            self._start_ministack()
            self._start_world(clusters, batches, soak_minutes, seed, workloads)
            self._create_stack()
        except BaseException:
            self.close()
            raise

    # -- starting and ending ---------------------------------------------------------------------------------------

    def _spawn(self, name, command, environment):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(
            command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def own_environment(self):
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return keep | {
            "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _start_ministack(self):
        environment = self.own_environment() | {
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT, "SFN_WAIT_SCALE": str(1 / self.speed),
            # It unpacks the functions there, some 300 MB, and leaves them.
            "TMPDIR": str(self.folder),
        }
        process = self._spawn("ministack", [required("GUARD_E2E_MINISTACK")], environment)

        def answers():
            if process.poll() is not None:
                raise RuntimeError(f"ministack ended: {self.log('ministack')[-2000:]}")
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).read()
                return True
            except OSError:
                return False

        until("ministack answers", answers, 60)

    def _start_world(self, clusters, batches, soak_minutes, seed, workloads):
        command = [
            required("GUARD_WORLD"), "--folder", str(self.folder / "world"), "--clusters", str(clusters),
            "--batches", str(batches), "--soak-minutes", str(soak_minutes), "--seed", str(seed), "--workloads", str(workloads),
        ]
        # It makes the shared memory that the others read.
        process = self._spawn("world", command, self.own_environment() | self._scaled())
        told = self.folder / "world" / "world.json"

        def is_there():
            if process.poll() is not None:
                raise RuntimeError(f"guard-world ended: {self.log('world')}")
            return told.exists()

        until("guard-world listens", is_there, 60)
        self.world = json.loads(told.read_text())
        self.start_version, self.target = self.world["start_version"], self.world["target_version"]
        self.batches = self.world["batches"]
        self.rows = json.loads((self.folder / "world" / "registry.json").read_text())

    def _scaled(self):
        return {
            "LD_PRELOAD": required("GUARD_E2E_FAKETIME"), "FAKETIME": f"+0 x{self.speed}", "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def clock(self):
        """What a process needs in its environment to share the world's clock."""
        pid = self.world["pid"]
        return self._scaled() | {"FAKETIME_SHARED": f"/faketime_sem_{pid} /faketime_shm_{pid}"}

    def _create_stack(self):
        def client(name):
            return boto3.client(
                name, endpoint_url=self.url, region_name=REGION, aws_access_key_id=ACCOUNT,
                aws_secret_access_key="test",
                config=Config(read_timeout=120, retries={"max_attempts": 1}, max_pool_connections=20),
            )

        self.states, self.functions, self.dynamodb = client("stepfunctions"), client("lambda"), client("dynamodb")
        self.scheduler, self.s3, self.logs = client("scheduler"), client("s3"), client("logs")
        secrets, parameters = client("secretsmanager"), client("ssm")
        datadog = {"api_key": self.world["datadog_api_key"], "app_key": self.world["datadog_app_key"]}
        values = SECRETS | {
            "guard/gitlab-token": self.world["gitlab_token"], "guard/datadog-credentials": json.dumps(datadog),
            "guard/notification-webhook": self.world["slack_webhook_url"],
            "guard/pagerduty-key": self.world["pagerduty_routing_key"],
        }
        for name, value in values.items():
            secrets.create_secret(Name=name, SecretString=value)
        config = self.config(json.loads((self.folder / "world" / "config.yaml").read_text()))
        parameters.put_parameter(Name="/guard/config", Value=json.dumps(config), Type="String", Tier="Advanced")
        environment = self.clock() | {
            "AWS_ENDPOINT_URL_STS": self.world["sts_url"], "AWS_ENDPOINT_URL_EKS": self.world["eks_url"],
            "GUARD_PAGERDUTY_URL": self.world["pagerduty_url"],
        }
        self.outputs = stack.create(client("cloudformation"), self.s3, environment, self.target)
        write = TypeSerializer().serialize
        for row in self.rows:
            self.dynamodb.put_item(
                TableName="guard-cluster-registry", Item={key: write(value) for key, value in row.items()}
            )

    def close(self):
        if hasattr(self, "outputs"):
            figures.read_durations(self.logs)
            figures.read_peaks(self.folder)
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        # ministack starts functions in sessions of their own; they end with its pipe, or here.
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # -- the outside world -----------------------------------------------------------------------------------------

    def state(self):
        with urllib.request.urlopen(f"{self.world['control_url']}/state", timeout=30) as answer:
            return json.load(answer)

    def pull(self, **lever):
        request = urllib.request.Request(
            f"{self.world['control_url']}/lever", data=json.dumps(lever).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def request(self, state, prefix=""):
        """The merge request in this state, once there is one."""
        def found():
            of = [one for one in self.state()["merge_requests"] if one["state"] == state]
            return next((one for one in of if one["title"].startswith(prefix)), None)

        return until(f"a merge request that is {state}", found)

    # -- Step Functions --------------------------------------------------------------------------------------------

    def machine(self, name):
        return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:guard-{name}"

    def start(self, machine, name, document):
        text = document if isinstance(document, str) else json.dumps(document)
        return self.states.start_execution(stateMachineArn=self.machine(machine), name=name, input=text)["executionArn"]

    def tick(self):
        """What EventBridge Scheduler does each minute."""
        self._call_target("guard-watch-merges")

    def sweep(self):
        """What EventBridge Scheduler does each quarter of an hour; the answer."""
        return self._call_target("guard-sweep")

    def _call_target(self, schedule):
        """Calls the target of a schedule that the stack has."""
        target = self.scheduler.get_schedule(Name=schedule)["Target"]
        answer = self.functions.invoke(FunctionName=target["Arn"], Payload=target.get("Input", "{}").encode())
        payload = answer["Payload"].read().decode()
        assert "FunctionError" not in answer, payload
        return json.loads(payload)

    @contextlib.contextmanager
    def schedule(self):
        """Calls the watcher again and again, as its schedule does, while something else is done."""
        over, problems = threading.Event(), []

        def keep_ticking():
            while not over.wait(0.3):
                try:
                    self.tick()
                except Exception as problem:  # told where the schedule ends
                    problems.append(problem)
                    return

        thread = threading.Thread(target=keep_ticking)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not problems, problems

    def follow(self, arn, seconds=240.0, ticking=True):
        """Waits for an execution's end, calling the watcher as its schedule would."""
        def ended():
            if ticking:
                self.tick()
            told = self.states.describe_execution(executionArn=arn)
            return told if told["status"] != "RUNNING" else None

        return until(f"the end of {arn}; now in {self.entered(arn)[-1:]}", ended, seconds)

    def events(self, arn):
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def entered(self, arn):
        """The states an execution entered, in the order of its events."""
        details = (event.get("stateEnteredEventDetails") for event in self.events(arn))
        return [one["name"] for one in details if one]

    def executions(self):
        """Every execution of every machine: machine, name, status, states entered."""
        found = []
        for machine in ("rollout", "batch-upgrade", "cluster-converge", "batch-rollback"):
            pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.machine(machine))
            for one in (one for page in pages for one in page["executions"]):
                found.append({
                    "machine": machine, "name": one["name"], "status": one["status"], "arn": one["executionArn"],
                    "states": self.entered(one["executionArn"]),
                })
        return found

    def children(self):
        """The executions of cluster-converge."""
        return [one for one in self.executions() if one["machine"] == "cluster-converge"]

    # -- DynamoDB --------------------------------------------------------------------------------------------------

    def table(self, name):
        read = TypeDeserializer().deserialize
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=name)
        return [{key: read(value) for key, value in item.items()} for page in pages for item in page["Items"]]

    def registry(self):
        return {row["cluster_id"]: row for row in self.table("guard-cluster-registry")}

    def held_locks(self):
        return {row["resource"]: row["holder"]["execution_arn"] for row in self.table("guard-locks") if row.get("holder")}

    def open_tokens(self):
        return [row for row in self.table("guard-runs") if row["entry"].startswith("token#") and row.get("token_state")]

    # -- the command -----------------------------------------------------------------------------------------------

    def guard(self, *arguments, expect=0, **options):
        """Runs `guard` as a person would; its answer, after its exit code was looked at."""
        command = [required("GUARD_CLI"), *arguments]
        done = subprocess.run(
            command, env=self.own_environment() | self.clock() | options.pop("environment", {}), capture_output=True,
            text=True, timeout=options.pop("timeout", 300), stdin=subprocess.DEVNULL,
        )
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def post(url, body, headers, host):
    """One POST to a function URL; its status."""
    request = urllib.request.Request(url, data=body, method="POST", headers=headers | {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
