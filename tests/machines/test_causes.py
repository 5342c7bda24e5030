"""Why there is another generation, as the leader tells it."""

from faust._machines.causes import STARTING, Joining, causes, summary


def test_who_came_who_is_gone_and_who_asked_is_told_in_that_order() -> None:
    before = ["a:1", "b:1", "c:1"]
    now = [Joining("a:1", ""), Joining("c:1", "topics changed: x"), Joining("d:1", STARTING)]
    assert causes(before, now) == ["b:1 is gone", "c:1: topics changed: x", "d:1 joined"]


def test_who_joins_under_a_known_name_has_been_started_again() -> None:
    assert causes(["a:1"], [Joining("a:1", STARTING)]) == ["a:1 started again"]


def test_who_was_out_and_is_back_says_why_it_was() -> None:
    reason = "no heartbeat has succeeded for 61 s"
    assert causes(["a:1"], [Joining("a:1", ""), Joining("b:1", reason)]) == [
        f"b:1 joined ({reason})"
    ]


def test_workers_that_share_a_name_are_counted() -> None:
    same = [Joining("host:6066", ""), Joining("host:6066", STARTING)]
    assert causes(["host:6066"], [*same[:1], same[0]]) == ["host:6066 joined"]
    assert causes(["host:6066"] * 3, same[:1]) == ["host:6066 is gone", "host:6066 is gone"]


def test_many_causes_make_no_long_line_and_none_is_told_as_well() -> None:
    assert summary(["a joined"]) == "a joined"
    assert summary([]) == "a round was repeated"
    assert summary([f"w{n} joined" for n in range(50)]).endswith("w5 joined; and 44 more")
