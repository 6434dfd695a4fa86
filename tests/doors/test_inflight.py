"""A message that the broker gives twice is taken once."""

from voice_rl_plugin.doors.inflight import KEPT, NEAR_S, Inflight


def take(
    inflight: Inflight, receipt: tuple[int, int], *, content: bytes = b"louder", is_duplicate: bool = False, lost_at: float | None = None
) -> str:
    """Take a message."""
    return inflight.take(receipt, content, is_duplicate=is_duplicate, lost_at=lost_at)


def test_repetition_of_what_waits_here_takes_its_place() -> None:
    """What was not settled when the line broke is not taken again, and is acknowledged under its new receipt."""
    inflight = Inflight()
    assert take(inflight, (1, 7)) == "new"

    assert take(inflight, (2, 7), is_duplicate=True) == "held"
    assert inflight.settle((1, 7), 10.0) == (2, 7)


def test_repetition_of_what_is_settled_is_acknowledged_at_once() -> None:
    """The acknowledgement was lost with the line: it is given again, and nothing else happens."""
    inflight = Inflight()
    take(inflight, (1, 7))
    assert inflight.settle((1, 7), 10.0) == (1, 7)

    assert take(inflight, (2, 7), is_duplicate=True) == "settled"


def test_same_words_again_are_another_message() -> None:
    """Said twice is meant twice: on one connection, or without a sign of repetition."""
    inflight = Inflight()
    take(inflight, (1, 7))
    inflight.settle((1, 7), 10.0)

    assert take(inflight, (1, 8)) == "new"
    assert take(inflight, (2, 1)) == "new"
    assert take(inflight, (2, 9), is_duplicate=True) == "new"
    assert take(inflight, (2, 7), content=b"quieter", is_duplicate=True) == "new"


def test_killed_broker_repeats_without_saying_so() -> None:
    """A broker that lost its last second gives a message again under another id: it is known by its content, for a moment."""
    inflight = Inflight()
    take(inflight, (1, 7))
    inflight.settle((1, 7), 10.0)

    assert take(inflight, (2, 1), lost_at=10.0 + NEAR_S / 2) == "settled"
    assert take(inflight, (2, 2), lost_at=10.0 + NEAR_S / 2) == "new"


def test_old_settled_message_is_not_taken_for_a_repetition() -> None:
    """What was settled long before the line broke was acknowledged: the same words that waited meanwhile are new."""
    inflight = Inflight()
    take(inflight, (1, 7))
    inflight.settle((1, 7), 10.0)

    assert take(inflight, (2, 1), lost_at=10.0 + 2 * NEAR_S) == "new"


def test_twice_broken_line_keeps_track() -> None:
    """A message that waits through two losses is acknowledged under its last receipt."""
    inflight = Inflight()
    take(inflight, (1, 7))
    take(inflight, (2, 7), is_duplicate=True)
    take(inflight, (3, 7), is_duplicate=True)

    assert inflight.settle((1, 7), 10.0) == (3, 7)


def test_memory_is_bounded() -> None:
    """However many messages come, only the last ones are remembered."""
    inflight = Inflight()
    for number in range(3 * KEPT):
        take(inflight, (1, number), content=str(number).encode())

    assert len(inflight._held) == KEPT
