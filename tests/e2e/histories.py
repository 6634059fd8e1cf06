"""The same journey by two interpreters: the project's own (guard-histories) and ministack's.

Compared are, for every execution, its status and the states it entered. How often a loop turned depends on how fast the
machine computes and is left out. So are the states inside a Map: ministack 1.5.33 writes no events for them. AWS does
(MapIterationStarted, and StateEntered of each state in it), as guard-asl does; what an iteration starts is an execution
of its own and is compared as such.
"""

import json
import subprocess
from pathlib import Path

from house import required

MACHINES = Path(__file__).resolve().parents[2] / "statemachine"


def top_level(machine):
    return set(json.loads((MACHINES / f"{machine}.asl.json").read_text())["States"])


def without_turns(states):
    """The sequence with every block that follows itself kept once: `a b c b c d` becomes `a b c d`."""
    states = list(states)
    size = 1
    while size <= len(states) // 2:
        at = 0
        while at + 2 * size <= len(states):
            if states[at:at + size] == states[at + size:at + 2 * size]:
                del states[at + size:at + 2 * size]
            else:
                at += 1
        size += 1
    return states


def normal(execution):
    outer = top_level(execution["machine"])
    return {
        "status": execution["status"],
        "states": without_turns(state for state in execution["states"] if state in outer),
    }


def by_the_interpreter(scenario, clusters, batches):
    command = [
        required("GUARD_HISTORIES"), "--scenario", scenario, "--clusters", str(clusters), "--batches", str(batches),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def assert_same(house, scenario, clusters, batches=1):
    def named(executions):
        return {(one["machine"], one["name"]): normal(one) for one in executions}

    ours, theirs = named(by_the_interpreter(scenario, clusters, batches)), named(house.executions())
    assert ours == theirs
