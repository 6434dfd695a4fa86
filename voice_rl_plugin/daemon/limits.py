"""Limits: how often one source may be heard, so that a stuck button or a loop of automations does not drown the others."""

from collections import OrderedDict

KEPT_SOURCES = 1000


class RateLimit:
    """One bucket of tokens a source: it fills at a steady rate up to a burst, and each message takes one token.

    Source: J. Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986: the leaky bucket.

    Args:
        rate_per_s: tokens that a source gains a second.
        burst: tokens that a source can save.
    """

    def __init__(self, *, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens and when they were counted, by source, the most recent last."""

    def allows(self, source: str, now: float) -> bool:
        """Take a token of a source, if it has one.

        Args:
            source: satellite, session or area.
            now: monotonic seconds.
        """
        tokens, counted_at = self._buckets.pop(source, (self._burst, now))
        tokens = min(tokens + (now - counted_at) * self._rate_per_s, self._burst)
        is_allowed = tokens >= 1.0
        self._buckets[source] = (tokens - is_allowed, now)
        while len(self._buckets) > KEPT_SOURCES:
            self._buckets.popitem(last=False)
        return is_allowed
