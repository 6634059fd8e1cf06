"""What a large batch and a large cluster cost the functions: the figures that `Sizes` of infra/template.yaml come from.

Not a part of the end-to-end tests: `make bench-sizes` runs it alone and prints the table.
"""

from house import until

# A page of 500 pods takes the unoptimised world most of a second; a token of 15 minutes must outlive ten of them.
SPEED = 20
CLUSTERS = 75
WORKLOADS = 1_500
RESTART_CALLS = 12


def test_a_batch_of_75_clusters(open_house):
    house = open_house(clusters=CLUSTERS)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    arn = house.start("batch-upgrade", "large-batch", {"batch_id": "test", "target_version": house.target})
    told = house.follow(arn, 1_500)
    assert told["status"] == "SUCCEEDED", told


def test_a_cluster_of_1500_workloads(open_house):
    house = open_house(clusters=1, workloads=WORKLOADS, speed=SPEED)
    house.pull(**{"do": "person", "upgrade": {"merge_after_minutes": 14}})
    arn = house.start("batch-upgrade", "large-cluster", {"batch_id": "test", "target_version": house.target})

    def restarts():
        house.tick()
        told = house.states.describe_execution(executionArn=arn)
        assert told["status"] == "RUNNING", told["cause"]
        children = house.children()
        return children and children[0]["states"].count("RestartProxies") >= RESTART_CALLS

    until("the proxies are restarted", restarts, 1_200)
    # The post-check reads what the pre-check reads; hours of restarts would tell nothing new.
    house.states.stop_execution(executionArn=arn)
