"""How far restoring has come, in numbers and in words."""

from faust._machines.progress import Restores


def test_nothing_is_under_way_at_first() -> None:
    restores = Restores(5.0)
    assert restores.status(10.0) == (0, 0.0, None, 0, 0)
    assert restores.report(10.0) is None


def test_a_wave_of_restores_is_counted_as_one() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 100.0)
    restores.begin("b", 500, 1500, 100.0)
    restores.advance("a", 600)
    restores.advance("a", 400)  # never back
    status = restores.status(102.0)
    assert status == (1400, 300.0, 1400 / 300, 0, 2)
    assert str(status) == (
        "1,400 records left, 0 of 2 partitions restored, 300 records/s, about 5 s left"
    )
    restores.advance("a", 1000)
    restores.end("a", restored=True)
    assert restores.status(104.0)[:1] + restores.status(104.0)[3:] == (1000, 1, 2)


def test_as_long_as_nobody_can_know_how_long_it_takes_nothing_is_said_of_it() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 100.0)
    assert str(restores.status(100.0)) == "1,000 records left, 0 of 1 partitions restored"
    restores.advance("a", 1000)
    done = "0 records left, 0 of 1 partitions restored, 1,000 records/s"
    assert str(restores.status(101.0)) == done


def test_what_was_given_up_does_not_count_as_restored() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    restores.begin("b", 0, 1000, 0.0)
    restores.end("a", restored=False)
    restores.end("a", restored=True)  # it is over already
    restores.advance("a", 500)
    assert restores.status(1.0) == (1000, 0.0, None, 0, 1)


def test_the_next_wave_begins_anew() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    restores.advance("a", 1000)
    restores.end("a", restored=True)
    restores.begin("b", 0, 100, 50.0)
    restores.advance("b", 50)
    assert restores.status(51.0) == (50, 50.0, 1.0, 0, 1)


def test_a_report_is_made_once_in_an_interval() -> None:
    restores = Restores(5.0)
    restores.begin("a", 0, 1000, 0.0)
    assert restores.report(4.9) is None
    restores.advance("a", 500)
    report = restores.report(5.0)
    assert report is not None
    assert report.left == 500
    assert restores.report(9.9) is None
    assert restores.report(10.0) is not None
