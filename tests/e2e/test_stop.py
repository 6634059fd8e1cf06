"""StopExecution in the middle: what is left behind, what `sweep` makes of it, and how a fresh start goes on with it. The
rest of it: tests/sweep.rs, tests/resume.rs."""

from house import until


def test_what_stop_execution_leaves_behind(open_house):
    house = open_house(clusters=2)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    document = {"batch_id": "test", "target_version": house.target}
    arn = house.start("batch-upgrade", "stopped", document)

    def converges():
        house.tick()
        return "ConvergeClusters" in house.entered(arn)

    until("the run converges", converges)
    children = until(
        "both clusters converge",
        lambda: found if len(found := house.children()) == 2 else None,
    )
    house.states.stop_execution(executionArn=arn, error="Cancelled", cause="a person stopped it")
    assert house.states.describe_execution(executionArn=arn)["status"] == "ABORTED"

    # The children: on AWS the parent's role may stop them, here nobody does. Either way they end by themselves, and
    # what they do is what the merge asked for.
    for child in children:
        told = house.follow(child["arn"], ticking=False)
        assert told["status"] in ("SUCCEEDED", "ABORTED"), told

    left = {
        "locks": set(house.held_locks()),
        "holders": set(house.held_locks().values()),
        "statuses": {row["status"] for row in house.registry().values()},
        "requests": [one["state"] for one in house.state()["merge_requests"]],
    }
    assert left == {
        "locks": {"batch#test", "cluster#test-euw1-1", "cluster#test-euw1-2"},
        "holders": {arn},
        "statuses": {"upgrading"},
        "requests": ["merged"],
    }

    # Whoever comes next is told, and nothing is touched.
    again = house.follow(house.start("batch-upgrade", "after-the-stop", document), 60)
    assert (again["status"], again["error"]) == ("FAILED", "GateFailed"), again
    assert "LOCK_HELD" in again["cause"] and arn in again["cause"], again["cause"]
    assert set(house.held_locks().values()) <= {arn}

    # When nothing of it can be at work any more it is brought to a told end, and a fresh start goes on with it.
    until("the run is swept", lambda: house.sweep()["swept"] == 1, 120)
    assert house.sweep()["waiting"] == 1
    on = house.follow(house.start("batch-upgrade", "goes-on", document | {"resume": "stopped"}), 400)
    assert on["status"] == "SUCCEEDED", on
    assert {row["status"] for row in house.registry().values()} == {"healthy"}
    state = house.state()
    assert len(state["merge_requests"]) == 1, state["merge_requests"]
    for seen in state["clusters"].values():
        assert {one["restarts"] for one in seen["workloads"] if one["proxies"]} == {1}
    assert house.held_locks() == {}


def test_what_stop_execution_leaves_behind_while_a_merge_is_awaited(open_house):
    house = open_house(clusters=1)
    document = {"batch_id": "test", "target_version": house.target}
    arn = house.start("batch-upgrade", "stopped", document)
    house.request("opened")
    until("the run waits", lambda: house.entered(arn)[-1] == "AwaitUpgradeMerge", 60)
    until("its token is kept", lambda: house.open_tokens(), 60)
    house.states.stop_execution(executionArn=arn, error="Cancelled", cause="a person stopped it")
    assert {row["status"] for row in house.registry().values()} == {"mr-created"}
    assert set(house.held_locks().values()) == {arn}
    # The request can still be merged by anybody. That nobody waits for it any more does not make the watcher fail.
    assert [one["state"] for one in house.state()["merge_requests"]] == ["opened"]
    house.tick()


def test_a_way_back_that_was_stopped_is_gone_on_with(open_house):
    house = open_house(clusters=2)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    house.pull(**{
        "do": "regress", "cluster": "test-euw1-2", "from_version": house.target, "error_factor": 30.0,
        "latency_factor": 1.15,
    })
    document = {"batch_id": "test", "target_version": house.target}
    arn = house.start("batch-upgrade", "stopped", document)

    def waits():
        house.tick()
        back = [one for one in house.executions() if one["machine"] == "batch-rollback"]
        return back and "AwaitRollbackMerge" in back[0]["states"] and house.open_tokens()

    until("the way back waits", waits, 400)
    # On AWS a nested execution is stopped with its parent; here each by itself.
    for one in house.executions():
        if one["status"] == "RUNNING":
            house.states.stop_execution(executionArn=one["arn"], error="Cancelled", cause="a person stopped it")
    until("the run is swept", lambda: house.sweep()["swept"] == 1, 120)
    registry = house.registry()
    assert {one: row["status"] for one, row in registry.items()} == {
        "test-euw1-1": "upgrading", "test-euw1-2": "rollback-required",
    }
    assert set(house.held_locks().values()) == {arn}

    # The request that is open is the one that is followed: no other is opened beside it.
    on = house.start("batch-upgrade", "goes-on", document | {"resume": "stopped"})
    until("the way back waits again", lambda: house.open_tokens(), 120)
    opened = house.request("opened", "[ROLLBACK]")
    assert house.pull(**{"do": "merge", "iid": opened["iid"]})["done"]
    told = house.follow(on, 400)
    assert (told["status"], told["error"]) == ("FAILED", "RolledBack"), told
    state, registry = house.state(), house.registry()
    assert [one["state"] for one in state["merge_requests"]] == ["merged", "merged"]
    assert {one: row["status"] for one, row in registry.items()} == {
        "test-euw1-1": "healthy", "test-euw1-2": "failed-upgrade-rolled-back",
    }
    for cluster, restarts in (("test-euw1-1", 1), ("test-euw1-2", 2)):
        seen = state["clusters"][cluster]
        assert {one["restarts"] for one in seen["workloads"] if one["proxies"]} == {restarts}, cluster
    assert house.held_locks() == {}
