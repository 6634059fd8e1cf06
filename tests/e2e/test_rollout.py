"""All batches, in their order."""

from histories import assert_same
from house import example
from test_batch import assert_healthy


def test_the_whole_rollout(open_house):
    house = open_house(clusters=3, batches=3)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    arn = house.start("rollout", f"fleet-{house.target}", example("rollout"))
    told = house.follow(arn, 500)
    assert told["status"] == "SUCCEEDED", told
    assert_healthy(house, ["test-euw1-1", "test-euw1-2", "test-euw1-3"])
    # One request a batch, each for its own cluster's files.
    requests = house.state()["merge_requests"]
    assert [{file["path"].split("/")[1] for file in one["files"]} for one in requests] == [
        {"test-euw1-1"}, {"test-euw1-2"}, {"test-euw1-3"},
    ]
    assert_same(house, "clean", clusters=3, batches=3)


def test_a_schedule_that_fires_twice_starts_one_rollout(open_house):
    house = open_house(clusters=1)
    target = house.scheduler.get_schedule(Name="guard-rollout")
    assert target["State"] == "DISABLED"
    # The input stands in the schedule; EventBridge puts the scheduled time in, the same for both deliveries.
    assert target["Target"]["Input"] == example("rollout.schedule").strip()
    text = target["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", "2026-11-28T03:00:00Z")
    first = house.start("rollout", "delivery-1", text)
    house.request("opened")
    second = house.start("rollout", "delivery-2", text)
    told = house.follow(second, 60, ticking=False)
    assert told["status"] == "SUCCEEDED", told
    assert first in told["output"], told["output"]
    assert len(house.state()["merge_requests"]) == 1
    assert house.states.describe_execution(executionArn=first)["status"] == "RUNNING"
