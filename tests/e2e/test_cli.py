"""The command, as people and pipelines use it."""

import json
import re
import subprocess

from house import until
from test_batch import assert_healthy


def run(house, *more, expect=0):
    arguments = ["run", "--batch", "test", "--target-version", house.target, "--poll-seconds", "0.5", *more]
    with house.schedule():
        return house.guard(*arguments, expect=expect)


def test_a_run_that_is_waited_for_ends_with_its_code(open_house):
    house = open_house(clusters=2)
    assert house.target in run(house, "--dry-run", "--wait").stdout
    assert house.state()["merge_requests"] == []

    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    told = run(house, "--reason", "demonstration", "--wait").stdout
    assert "ConvergeClusters" in told or "converge" in told.lower(), told
    assert "\x1b" not in told, "colours are for terminals"
    assert_healthy(house, ["test-euw1-1", "test-euw1-2"])

    rows = json.loads(house.guard("list", "--batch", "test", "--format", "json").stdout)
    assert {row["status"] for row in rows} == {"healthy"}, rows
    assert "healthy" in house.guard("list").stdout
    assert house.guard("status", "--batch", "test").stdout
    # Nothing to do is not an error.
    assert run(house, "--wait").stdout
    assert house.guard("monitor", "--batch", "test", "--poll-seconds", "0.5").stdout


def test_a_pipeline_fails_when_the_batch_was_rolled_back(open_house):
    house = open_house(clusters=2)
    house.pull(**{
        "do": "person", "upgrade": {"merge_after_minutes": 14}, "rollback": {"merge_after_minutes": 6},
    })
    house.pull(**{
        "do": "regress", "cluster": "test-euw1-1", "from_version": house.target, "error_factor": 30.0,
        "latency_factor": 1.3,
    })
    told = run(house, "--wait", expect=4)
    assert "RolledBack" in told.stdout + told.stderr
    assert house.registry()["test-euw1-1"]["status"] == "failed-upgrade-rolled-back"


def test_a_person_takes_a_healthy_batch_back(open_house):
    house = open_house(clusters=1)
    house.pull(**{
        "do": "person", "upgrade": {"merge_after_minutes": 14}, "rollback": {"merge_after_minutes": 6},
    })
    run(house, "--wait")
    assert_healthy(house, ["test-euw1-1"])
    arguments = ["rollback", "--batch", "test", "--reason", "checkout is slower", "--poll-seconds", "0.5"]
    # Nobody can be asked here, so nothing is begun without --yes.
    house.guard(*arguments, expect=2)
    with house.schedule():
        house.guard(*arguments, "--yes", "--wait")
    seen = house.state()["clusters"]["test-euw1-1"]
    assert (seen["istiod"], set(seen["proxies"])) == (house.start_version, {house.start_version})
    assert house.registry()["test-euw1-1"]["current_istio_version"] == house.start_version
    assert house.held_locks() == {}


def close_call(document):
    """One extension is all the judge has."""
    document["policy"]["soak_extensions_max"] = 1
    return document


def asks(house):
    """A run that came to a question, and the code it left its pipeline with."""
    house.pull(**{
        "do": "person", "upgrade": {"merge_after_minutes": 14}, "rollback": {"merge_after_minutes": 6},
    })
    # What is missing of the past may be what makes the difference: such a soak never passes by itself.
    house.pull(**{
        "do": "lose_metrics", "cluster": "test-euw1-1", "from_minutes_ago": 600, "until_minutes_ago": 480,
    })
    arn = house.start("batch-upgrade", "close", {"batch_id": "test", "target_version": house.target})

    def is_asking():
        house.tick()
        return house.entered(arn)[-1] == "AwaitDecision" and house.open_tokens()

    until("a person is asked", is_asking, 180)
    return arn


def test_a_question_is_answered_by_approve(open_house):
    house = open_house(clusters=1, config=close_call)
    arn = asks(house)
    waiting = house.guard("monitor", "--batch", "test", "--wait-minutes", "1", "--poll-seconds", "0.5", expect=5)
    assert "approve" in waiting.stdout + waiting.stderr
    house.guard("approve", "--batch", "test", "--who", "robin", "--reason", "fine for us")
    assert house.follow(arn)["status"] == "SUCCEEDED"
    assert_healthy(house, ["test-euw1-1"])


def test_a_question_is_answered_by_reject(open_house):
    house = open_house(clusters=1, config=close_call)
    arn = asks(house)
    house.guard("reject", "--batch", "test", "--who", "robin", "--reason", "too slow for checkout")
    told = house.follow(arn, 400)
    assert (told["status"], told["error"]) == ("FAILED", "RolledBack"), told
    assert house.state()["clusters"]["test-euw1-1"]["istiod"] == house.start_version


def test_the_registry_goes_out_and_comes_back(open_house, tmp_path):
    house = open_house(clusters=2)
    exported = house.guard("registry", "export", "--format", "json").stdout
    before = house.registry()
    document = tmp_path / "fleet.json"
    document.write_text(exported)
    house.guard("registry", "import", str(document), "--yes")
    assert house.registry() == before

    # One bad row, and no row is written.
    rows = json.loads(exported)
    rows = rows["clusters"] if isinstance(rows, dict) else rows
    rows[0]["owner_team"], rows[1]["current_istio_version"] = "other", "latest"
    document.write_text(json.dumps(rows))
    refused = house.guard("registry", "import", str(document), "--yes", expect=3)
    assert "current_istio_version" in refused.stderr, refused.stderr
    assert house.registry() == before

    rows[1]["current_istio_version"] = house.start_version
    document.write_text(json.dumps(rows))
    assert "other" in house.guard("registry", "import", str(document), "--dry-run").stdout
    assert house.registry() == before
    house.guard("registry", "import", str(document), "--yes")
    assert house.registry()[rows[0]["cluster_id"]]["owner_team"] == "other"

    house.guard("registry", "remove", "test-euw1-2", "--yes")
    assert set(house.registry()) == {"test-euw1-1"}


def test_validate_finds_everything_in_order_and_every_problem(open_house):
    house = open_house(clusters=1)
    config = house.folder / "world" / "config.yaml"
    house.guard("validate", "--config", str(config))
    document = json.loads(config.read_text())
    document["polcy"] = {}
    wrong = house.folder / "wrong.yaml"
    wrong.write_text(json.dumps(document))
    refused = house.guard("validate", "--config", str(wrong), expect=3)
    assert re.search(r"polcy.*policy", refused.stdout + refused.stderr, re.S), refused


def test_json_on_standard_output_is_json(open_house):
    house = open_house(clusters=1)
    listed = house.guard("list", "--format", "json").stdout
    subprocess.run(["python3", "-m", "json.tool"], input=listed, text=True, check=True, capture_output=True)
