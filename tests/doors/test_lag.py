"""Marks tell how long messages wait at the broker."""

from voice_rl_plugin.doors.lag import GIVE_UP_S, LAGGING_MARK_S, MARK_S, LagGauge


def test_mark_that_comes_back_at_once_means_no_waiting() -> None:
    """Between two marks nothing is said to wait, and the next one is due after its interval."""
    gauge = LagGauge("us")
    gauge.take(gauge.next_mark(100.0))

    assert gauge.waited_s(100.4) == 0.0
    assert not gauge.is_due(100.0 + MARK_S / 2)
    assert gauge.is_due(100.0 + MARK_S)


def test_mark_that_is_away_means_waiting() -> None:
    """What arrives while a mark is away for long may be as old as the last mark that came back; then marks go out faster."""
    gauge = LagGauge("us")
    gauge.take(gauge.next_mark(100.0))
    gauge.next_mark(101.0)

    assert gauge.waited_s(101.3) == 101.3 - 101.0
    assert gauge.waited_s(104.0) == 104.0 - 100.0
    assert gauge.is_due(101.0 + LAGGING_MARK_S + 3.0)


def test_mark_that_comes_back_late_ends_the_waiting() -> None:
    """Behind a late mark all is as fresh as the marks that are still away; those before it are lost."""
    gauge = LagGauge("us")
    gauge.take(gauge.next_mark(100.0))
    gauge.next_mark(101.0)
    late = gauge.next_mark(110.0)
    gauge.take(late)

    assert gauge.waited_s(110.2) == 0.0


def test_first_mark_is_needed() -> None:
    """Where no mark ever came back nothing is known, and nothing is refused."""
    gauge = LagGauge("us")
    gauge.next_mark(100.0)

    assert gauge.waited_s(200.0) == 0.0


def test_marks_that_stay_away_for_ever_are_given_up() -> None:
    """An access list that was changed must not refuse every command from then on."""
    gauge = LagGauge("us")
    gauge.take(gauge.next_mark(100.0))
    gauge.next_mark(101.0)

    assert gauge.waited_s(101.0 + GIVE_UP_S + 1) == 0.0


def test_forbidden_marks_stop() -> None:
    """A broker that refuses marks is not asked again."""
    gauge = LagGauge("us")
    gauge.take(gauge.next_mark(100.0))
    gauge.forbid()

    assert gauge.is_forbidden
    assert not gauge.is_due(1000.0)
    assert gauge.waited_s(1000.0) == 0.0


def test_foreign_marks_are_ignored() -> None:
    """A mark of an earlier connection, or of anybody else, says nothing."""
    gauge, other = LagGauge("us"), LagGauge("us")
    gauge.next_mark(100.0)
    for payload in (other.next_mark(1.0), b"", b"nonsense", b"\xff", b"1:2:3"):
        gauge.take(payload)

    assert gauge.waited_s(150.0) == 0.0
