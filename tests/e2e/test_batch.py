"""One batch through StartExecution: the ends that people meet most."""

import json

from histories import assert_same
from house import SECRETS, example, post, until


def assert_healthy(house, clusters):
    """The world, the registry and the locks after a batch went well."""
    state, registry = house.state(), house.registry()
    for cluster in clusters:
        seen, row = state["clusters"][cluster], registry[cluster]
        assert seen["istiod"] == house.target
        assert set(seen["proxies"]) == {house.target}
        in_mesh = [one for one in seen["workloads"] if one["proxies"]]
        assert in_mesh and all(one["restarts"] == 1 for one in in_mesh), in_mesh
        assert (row["status"], row["current_istio_version"]) == ("healthy", house.target)
    assert house.held_locks() == {}


def hook(house, token, kind="merge_request", action="merge"):
    """What GitLab sends when somebody merged, to the function URL that the stack has."""
    body = json.dumps({"object_kind": kind, "object_attributes": {"action": action}}).encode()
    headers = {"Content-Type": "application/json", "X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Token": token}
    host = house.outputs["WebhookUrl"].removeprefix("https://").strip("/")
    return post(house.url + "/", body, headers, host)


def test_a_clean_batch_answered_by_the_webhook(open_house):
    house = open_house(clusters=2)
    document, name = example("batch-upgrade"), f"test-{house.target}"
    arn = house.start("batch-upgrade", name, document)

    request = house.request("opened")
    assert len(request["files"]) == 6
    for file in request["files"]:
        changed = [pair for pair in zip(file["before"].splitlines(), file["after"].splitlines()) if pair[0] != pair[1]]
        assert len(changed) == 1 and house.target in changed[0][1], changed

    # A second start while the first one runs ends at once and names it.
    second = house.start("batch-upgrade", f"{name}-again", document)
    told = house.follow(second, 60, ticking=False)
    assert told["status"] == "FAILED" and told["error"] == "GateFailed", told
    assert "LOCK_HELD" in told["cause"] and arn in told["cause"]

    until("the run waits for the merge", lambda: house.entered(arn)[-1] == "AwaitUpgradeMerge", 60)
    assert hook(house, "somebody else's") == 401
    assert hook(house, SECRETS["guard/gitlab-webhook-token"], kind="push") == 204
    assert house.pull(**{"do": "merge", "iid": request["iid"]})["done"]
    assert hook(house, SECRETS["guard/gitlab-webhook-token"]) == 202
    # Nobody ticks: only the webhook can have woken the watcher.
    until("the merge is noticed", lambda: "ConvergeClusters" in house.entered(arn), 60)

    told = house.follow(arn, ticking=False)
    assert told["status"] == "SUCCEEDED", told
    assert_healthy(house, ["test-euw1-1", "test-euw1-2"])

    # Days later somebody takes the batch back.
    house.pull(**{"do": "person", "rollback": {"merge_after_minutes": 6}})
    back = house.follow(house.start("batch-rollback", "test-back", example("batch-rollback")))
    assert back["status"] == "SUCCEEDED", back
    state, registry = house.state(), house.registry()
    for cluster in ("test-euw1-1", "test-euw1-2"):
        seen = state["clusters"][cluster]
        assert (seen["istiod"], set(seen["proxies"])) == (house.start_version, {house.start_version})
        assert registry[cluster]["current_istio_version"] == house.start_version
    assert house.held_locks() == {}


def test_a_clean_batch_answered_by_the_schedule(open_house):
    house = open_house(clusters=2)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    arn = house.start(
        "batch-upgrade", f"test-{house.target}",
        {"batch_id": "test", "target_version": house.target, "reason": "demonstration"},
    )
    told = house.follow(arn)
    assert told["status"] == "SUCCEEDED", told
    assert_healthy(house, ["test-euw1-1", "test-euw1-2"])
    assert_same(house, "clean", clusters=2)


def test_a_regression_is_rolled_back_on_the_clusters_that_have_it(open_house):
    house = open_house(clusters=2)
    house.pull(**{
        "do": "person", "upgrade": {"merge_after_minutes": 14}, "rollback": {"merge_after_minutes": 6},
    })
    house.pull(**{
        "do": "regress", "cluster": "test-euw1-2", "from_version": house.target, "error_factor": 30.0,
        "latency_factor": 1.15,
    })
    arn = house.start(
        "batch-upgrade", f"test-{house.target}",
        {"batch_id": "test", "target_version": house.target, "reason": "demonstration"},
    )
    told = house.follow(arn, 400)
    assert (told["status"], told["error"]) == ("FAILED", "RolledBack"), told

    state, registry = house.state(), house.registry()
    back, stays = state["clusters"]["test-euw1-2"], state["clusters"]["test-euw1-1"]
    assert (back["istiod"], set(back["proxies"])) == (house.start_version, {house.start_version})
    assert (stays["istiod"], set(stays["proxies"])) == (house.target, {house.target})
    # Once on the way there and once on the way back; the other cluster once.
    assert {one["restarts"] for one in back["workloads"] if one["proxies"]} == {2}
    assert {one["restarts"] for one in stays["workloads"] if one["proxies"]} == {1}
    assert registry["test-euw1-1"]["status"] == "healthy"
    assert registry["test-euw1-2"]["status"] == "failed-upgrade-rolled-back"
    assert registry["test-euw1-2"]["current_istio_version"] == house.start_version
    titles = [one["title"] for one in state["merge_requests"]]
    assert len(titles) == 2 and titles[1].startswith("[ROLLBACK]"), titles
    assert all("test-euw1-2" in file["path"] for file in state["merge_requests"][1]["files"])
    assert house.held_locks() == {}
    # People were told, once each: two requests that wait, and the end. Nobody is left with an open incident.
    assert len(state["messages"]) == 3, state["messages"]
    assert "rolled back" in state["messages"][-1].lower(), state["messages"]
    assert_same(house, "regression", clusters=2)


def test_a_dry_run_writes_nothing_anywhere(open_house):
    house = open_house(clusters=2)
    before = house.registry(), house.state()["branches"]
    arn = house.start("batch-upgrade", f"test-{house.target}", example("batch-upgrade.dry-run"))
    told = house.follow(arn, 90)
    assert told["status"] == "SUCCEEDED", told
    assert house.target in told["output"] and "istiod.yaml" in told["output"], told["output"]
    assert (house.registry(), house.state()["branches"]) == before
    assert house.state()["merge_requests"] == [] and house.held_locks() == {}
    assert_same(house, "dry-run", clusters=2)


def test_a_firing_monitor_stops_the_batch_before_anything_is_changed(open_house):
    house = open_house(clusters=2)
    house.pull(**{"do": "fire_monitor", "cluster": "test-euw1-2", "name": "mesh: 5xx"})
    arn = house.start(
        "batch-upgrade", f"test-{house.target}",
        {"batch_id": "test", "target_version": house.target, "reason": "demonstration"},
    )
    told = house.follow(arn, 90)
    assert (told["status"], told["error"]) == ("FAILED", "GateFailed"), told
    assert "test-euw1-2" in told["cause"] and "mesh: 5xx" in told["cause"], told["cause"]
    assert house.state()["merge_requests"] == [] and house.held_locks() == {}
    assert_same(house, "pre-check-fails", clusters=2)
