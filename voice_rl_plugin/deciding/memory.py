"""Memory of corrections: the same words in the same place do the right thing next time, without training.

The key is exact: normalised words, language, area. Two opposite corrections of one key make it contested, and then it asks.
What is denied without a correction is forgotten.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from voice_rl_plugin.deciding.aliases import Alias, Aliases
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.understanding.text import tokenise


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEntry:
    """What one correction taught."""

    words: str
    """The normalised words, joined by single spaces."""
    area: str | None
    actions: tuple[Action, ...]
    """What to do; empty means that these words are to be refused."""
    decision_id: str
    """The decision that was corrected."""
    learned_at: float
    """Unix seconds."""
    is_contested: bool = False
    rival: tuple[Action, ...] | None = None
    """The opposite correction, where it is contested."""

    @property
    def key(self) -> tuple[str, str | None]:
        """Return what it is found by."""
        return self.words, self.area


def memory_words(text: str) -> str:
    """Return the words of a text as a memory key: normal form, punctuation dropped."""
    return " ".join(token.text for token in tokenise(text) if token.text not in (",", "?"))


def refusal_of(decision: Decision, *, at: float) -> MemoryEntry:
    """Return what a bare no to a guess by an own phrase teaches: these words are not that phrase."""
    said = decision.utterance
    return MemoryEntry(words=memory_words(said.text), area=said.area, actions=(), decision_id=decision.id, learned_at=at)


class Memory:
    """All entries, by key, and the aliases; the store keeps them on disk."""

    def __init__(self, entries: Iterable[MemoryEntry] = (), aliases: Iterable[Alias] = ()) -> None:
        self.aliases = Aliases(aliases)
        self.changes = 0
        """How often it has changed: what is made of it is made anew then."""
        self._entries = {entry.key: entry for entry in entries}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[MemoryEntry, ...]:
        """Return all entries, oldest first."""
        return tuple(sorted(self._entries.values(), key=lambda entry: entry.learned_at))

    def recall(self, text: str, area: str | None) -> MemoryEntry | None:
        """Return the entry for these words said in this area."""
        return self._entries.get((memory_words(text), area)) if self._entries else None

    def repeating(self, text: str, area: str | None, actions: Sequence[Action]) -> MemoryEntry | None:
        """Return the entry by which the same words in the same area would lead to these actions again; a contested one asks instead."""
        entry = self.recall(text, area)
        if entry is None or entry.is_contested or [one.key for one in entry.actions] != [one.key for one in actions]:
            return None
        return entry

    def learn(self, entry: MemoryEntry) -> MemoryEntry:
        """Add a correction and return the entry as it now stands.

        A second correction of the same key to other actions makes the entry contested; a third that agrees with either one settles it.
        """
        known = self._entries.get(entry.key)
        if known is not None and not known.is_contested and known.actions != entry.actions:
            entry = replace(entry, is_contested=True, rival=known.actions)
        self.put_back(entry)
        return entry

    def taught_by(self, decision_id: str) -> MemoryEntry | None:
        """Return the entry that the correction of a decision taught."""
        return next((entry for entry in self._entries.values() if entry.decision_id == decision_id), None)

    def put_back(self, entry: MemoryEntry) -> None:
        """Write an entry as it is, whatever was known of its words."""
        self.changes += 1
        self._entries[entry.key] = entry

    def forget(self, words: str, area: str | None) -> bool:
        """Drop an entry; return whether there was one."""
        self.changes += 1
        return self._entries.pop((words, area), None) is not None
