"""An utterance: what was said, by whom, where, and which door it came through."""

from dataclasses import dataclass

MAX_TEXT_CHARACTERS = 500
"""A longer text is no spoken command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One transcribed sentence."""

    text: str
    language: str | None = None
    """A tag such as `en` or `zh-CN`: a prior, not a fact."""
    area: str | None = None
    """Id of the area where the speaker is."""
    id: str | None = None
    """The sender's own id, for deduplication."""
    device_id: str | None = None
    satellite_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    said_at: float = 0.0
    """Unix seconds; 0 when unknown."""
    door: str = "native"
    """`native`, `assist`, `hermes`, `wyoming` or `dry_run`."""

    @property
    def place(self) -> str:
        """Return the key of the conversation it belongs to: satellite, else session, else area."""
        return self.satellite_id or self.session_id or self.area or ""
