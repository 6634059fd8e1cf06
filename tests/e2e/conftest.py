import pytest

pytest.register_assert_rewrite("histories", "house")

import figures
from house import House


@pytest.fixture
def open_house():
    """Makes houses for one test, and ends them."""
    houses = []

    def build(**options):
        houses.append(House(**options))
        return houses[-1]

    yield build
    for house in houses:
        house.close()


def pytest_terminal_summary(terminalreporter):
    if figures.durations:
        terminalreporter.section("what the functions took, in this unoptimised build")
        for line in figures.table():
            terminalreporter.write_line(line)
