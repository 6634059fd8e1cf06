"""What the functions took in these journeys: printed at the end, for docs/performance.md.

Durations are GUARD's own metric (TaskDuration, the monotonic clock, so real milliseconds); memory is the peak and CPU the
sum of each process, its start included. All are of the end-to-end profile, which is unoptimised: a release build is
quicker and smaller.
"""

import collections
import json
import os
import statistics
from pathlib import Path

durations = collections.defaultdict(list)
peaks = collections.defaultdict(float)
cpu = collections.defaultdict(float)


def read_durations(logs):
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group["logGroupName"])
        for stream in (stream for page in pages for stream in page["logStreams"]):
            place = {"logGroupName": group["logGroupName"], "logStreamName": stream["logStreamName"]}
            page, token = logs.get_log_events(**place, startFromHead=True), None
            while page["events"] and page["nextForwardToken"] != token:
                for event in page["events"]:
                    note(event["message"])
                token = page["nextForwardToken"]
                page = logs.get_log_events(**place, startFromHead=True, nextToken=token)


def note(line):
    if '"TaskDuration"' in line:
        metric = json.loads(line)
        durations[metric["FunctionName"]].append(metric["TaskDuration"])


def read_peaks(folder):
    """Of the functions that run out of this folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not str((process / "exe").readlink()).startswith(str(folder)):
                continue
            environment = dict(
                pair.split("=", 1) for pair in (process / "environ").read_text().split("\0") if "=" in pair
            )
            status = (process / "status").read_text()
            # Behind the name, which may hold spaces: utime and stime are fields 14 and 15 (proc_pid_stat(5)).
            user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        except OSError:
            continue  # it ended meanwhile
        name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
        if name and peak:
            peaks[name] = max(peaks[name], int(peak.split()[1]) / 1024)
            cpu[name] += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") * 1_000


def table():
    yield "| function | invocations | median, ms | 95 %, ms | longest, ms | CPU each, ms | peak memory, MiB |"
    yield "|---|---|---|---|---|---|---|"
    for name, found in sorted(durations.items()):
        found.sort()
        late = found[min(len(found) - 1, int(len(found) * 0.95))]
        yield (
            f"| `{name.removeprefix('guard-')}` | {len(found)} | {statistics.median(found):.0f} | {late:.0f} "
            f"| {found[-1]:.0f} | {cpu.get(name, 0) / len(found):.0f} | {peaks.get(name, 0):.0f} |"
        )
