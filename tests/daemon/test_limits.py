"""A source that sends too much is held back; the others are not."""

from voice_rl_plugin.daemon.limits import KEPT_SOURCES, RateLimit


def test_burst_passes_then_the_rate_holds() -> None:
    """A full bucket gives its burst at once, then one token each time that the rate has filled one."""
    limit = RateLimit(rate_per_s=2.0, burst=3)

    assert [limit.allows("kitchen", 10.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allows("kitchen", 10.5), limit.allows("kitchen", 10.6)] == [True, False]


def test_sources_do_not_share() -> None:
    """One stuck button takes nothing from the next room."""
    limit = RateLimit(rate_per_s=1.0, burst=1)

    assert [limit.allows("kitchen", 1.0), limit.allows("kitchen", 1.0), limit.allows("hall", 1.0)] == [True, False, True]


def test_bucket_fills_to_its_burst_only() -> None:
    """A quiet night does not save up more than the burst."""
    limit = RateLimit(rate_per_s=1.0, burst=2)
    limit.allows("kitchen", 0.0)

    assert [limit.allows("kitchen", 10_000.0) for _ in range(3)] == [True, True, False]


def test_sources_are_bounded() -> None:
    """Invented sources do not fill the memory."""
    limit = RateLimit(rate_per_s=1.0, burst=1)
    for number in range(2 * KEPT_SOURCES):
        limit.allows(str(number), 1.0)

    assert len(limit._buckets) == KEPT_SOURCES
