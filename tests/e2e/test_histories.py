"""The comparison itself: what it forgives, and what it does not."""

from histories import normal, without_turns


def test_turns_of_a_loop_count_once():
    once = ["Soak", "JudgeSoak", "WhatNext", "PostCheck"]
    assert without_turns(["Soak", "JudgeSoak", "WhatNext"] * 5 + ["PostCheck"]) == once


def test_another_way_is_another_history():
    def batch(*states):
        return normal({"machine": "batch-upgrade", "status": "SUCCEEDED", "states": list(states)})

    assert batch("Soak", "JudgeSoak") != batch("JudgeSoak", "Soak")
    assert batch("PlanBatch", "PreCheck", "IsPlanAccepted") == batch("PlanBatch", "IsPlanAccepted", "PreCheck")
