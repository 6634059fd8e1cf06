import pytest

pytest.register_assert_rewrite("histories", "house")

from house import House


@pytest.fixture
def open_house(request):
    """Makes a house; on failure its logs are part of the report."""
    houses = []

    def build(**options):
        houses.append(House(**options))
        return houses[-1]

    yield build
    for house in houses:
        house.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.user_properties.append(("seconds", round(report.duration, 1)))
