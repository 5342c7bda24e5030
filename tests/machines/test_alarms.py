"""What stands still is told, what is idle or slow is not."""

from hypothesis import given
from hypothesis import strategies as st

from faust._machines.alarms import Alarms, Heard, Seen

NOTHING = Heard([], [])


def test_it_is_told_once_and_again_after_twice_as_long_and_when_it_is_over() -> None:
    alarms = Alarms()
    now = {"a": Seen(1, 10.0)}
    told = [alarms.look(now, 5.0).tell for _ in range(9)]
    assert told == [[], [], [("a", 10.0)], [], [("a", 20.0)], [], [], [], [("a", 40.0)]]
    assert alarms.standing() == [("a", 40.0)]
    assert repr(alarms) == "<Alarms: 1 of 1 stand still>"
    assert alarms.look({"a": Seen(2, 10.0)}, 5.0) == Heard([], [("a", 40.0)])
    assert (alarms.standing(), alarms.seconds("a"), alarms.seconds("b")) == ([], 0.0, 0.0)


def test_how_long_each_stands_still_is_known_before_it_is_told() -> None:
    alarms = Alarms()
    for moving in range(4):
        alarms.look({"still": Seen(0, 100.0), "moving": Seen(moving, 100.0)}, 5.0)
    assert [alarms.seconds(key) for key in ("still", "moving", "unknown")] == [15.0, 0.0, 0.0]
    assert alarms.standing() == []


def test_what_is_not_there_any_more_is_over() -> None:
    alarms = Alarms()
    for _ in range(3):
        alarms.look({"a": Seen(1, 4.0)}, 3.0)
    assert alarms.look({}, 3.0) == Heard([], [("a", 6.0)])
    assert alarms.look({"a": Seen(1, 4.0)}, 3.0) == NOTHING


@given(
    st.lists(
        st.tuples(st.floats(0.1, 5), st.dictionaries(st.sampled_from("abc"), st.integers(0, 1))),
        max_size=40,
    )
)
def test_it_stands_still_exactly_while_its_state_has_not_changed_for_so_long(
    looks: list[tuple[float, dict[str, int]]],
) -> None:
    alarms, patience = Alarms(), 4.0
    states: dict[str, int] = {}
    since: dict[str, float] = {}
    for elapsed, now in looks:
        for key in [*since]:
            if now.get(key) != states[key]:
                del since[key], states[key]
            else:
                since[key] += elapsed
        for key, state in now.items():
            states[key] = state
            since.setdefault(key, 0.0)
        heard = alarms.look({key: Seen(state, patience) for key, state in now.items()}, elapsed)
        assert dict(alarms.standing()) == {k: s for k, s in since.items() if s >= patience}
        assert {key for key, _ in heard.tell} <= {key for key, _ in alarms.standing()}
        assert not {key for key, _ in heard.over} & {key for key, _ in alarms.standing()}
