"""The experience store: decisions, feedback, rewards and memory in one SQLite file, or on a PostgreSQL server.

record_decision -> mark_publishing -> publish -> mark_done
record_feedback -> label -> settlement -> transitions
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import SOURCES, VERDICTS, Feedback
from voice_rl_plugin.domain.home import States
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import MessageError, StoreError
from voice_rl_plugin.learning import rows
from voice_rl_plugin.learning.connection import StoreConnection
from voice_rl_plugin.learning.postgres import PostgresConnection, StoreServer
from voice_rl_plugin.learning.reward import Judgement, Settlement, reward_of, settle
from voice_rl_plugin.learning.statements import Statements
from voice_rl_plugin.learning.tally import tally
from voice_rl_plugin.understanding.text import normalise, words_of

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "experience.sqlite3"
DEDUP_S = 600.0
"""The sender's own id makes an utterance a duplicate for this long; afterwards a restarted sender may count from 1 again."""
BUSY_TIMEOUT_S = 2.0
ANSWERED = "answered"
"""The reason code of a question that became an action by its answer."""
_PAGE = 500
_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """Everything that is known about one decision."""

    decision: Decision
    previous: tuple[Action, ...]
    """The actions of the command just before."""
    states: dict[str, Any]
    """States of the entities that its candidates name, at decision time."""
    judgements: tuple[Judgement, ...] = ()
    settlement: Settlement | None = None
    """None while nobody judged, or where the row is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStep:
    """An action that was decided and is not known to be published."""

    decision: Decision
    step: int
    """Index into the decision's actions."""
    publishing_at: float | None
    """Unix seconds of the mark before the publish: it may have left. None: it has not left."""

    @property
    def action(self) -> Action:
        """Return the action."""
        return self.decision.actions[self.step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A decision whose steps have all left."""

    decision_id: str
    at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure did, and what it cannot reach."""

    decision_ids: tuple[str, ...]
    memory_entries: int
    aliases: int
    exports: tuple[Path, ...]
    """Archives that were exported earlier and still exist: whoever keeps them must delete them."""


class ExperienceStore:
    """The home's experience on disk; every method may be called from any thread."""

    def __init__(
        self,
        place: Path | StoreServer,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        owns_file: bool = True,
    ) -> None:
        """Open or create the store; a damaged file is moved aside and started anew.

        Args:
            place: the database file, a folder that holds one, or a server.
            clock: Unix seconds.
            busy_timeout_s: how long a call waits for another process.
            owns_file: true for the daemon; false for a command beside it, which neither creates nor replaces the file.

        Raises:
            StoreError: it cannot be opened, nor started anew.
        """
        self._place = place
        self._clock = clock
        self._connection: StoreConnection | PostgresConnection
        if isinstance(place, StoreServer):
            self._connection = PostgresConnection(place, clock=clock, busy_timeout_s=busy_timeout_s, owns_schema=owns_file)
        else:
            self._connection = StoreConnection(
                place / FILE_NAME if place.is_dir() or not place.suffix else place,
                clock=clock,
                busy_timeout_s=busy_timeout_s,
                owns_file=owns_file,
            )
        self._seen_version = self._connection.foreign_version()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def path(self) -> Path:
        """Return the database file; on a server its name, which is no file."""
        return self._connection.path

    @property
    def place(self) -> Path | StoreServer:
        """Return where it is, as it was opened: so that another connection can be made to it."""
        return self._place

    @property
    def moved_aside(self) -> tuple[Path, ...]:
        """Return the damaged databases that this store had to replace since it was opened: say so to the owner."""
        return self._connection.moved_aside

    def has_foreign_changes(self) -> bool:
        """Whether another process (an erasure, say) changed the store since the last call: reload the memory then."""
        version = self._connection.foreign_version()
        changed = version != self._seen_version
        self._seen_version = version
        return changed

    # Decisions

    def record_decision(
        self,
        decision: Decision,
        *,
        previous: Iterable[Action] = (),
        states: States | None = None,
        publishing_at: float | None = None,
        done: Sequence[Done] = (),
    ) -> bool:
        """Write a decision durably, with the marks that belong into the same commit.

        Args:
            decision: the decision, complete.
            previous: the actions of the command just before, to which a follow-up refers.
            states: the live states; those of the entities that the candidates name are kept.
            publishing_at: marks its steps as about to leave, as `mark_publishing` does; None leaves them unmarked.
            done: earlier decisions whose steps have all left.

        Returns:
            False when this decision, or one of the same utterance id and door in the last ten minutes, is known already.
        """
        values = _decision_row(decision, tuple(previous), rows.states_of_candidates(decision, states or {}))

        def change(connection: Statements) -> bool:
            _mark_done(connection, done)
            if not _insert_decision(connection, decision, values):
                return False
            if publishing_at is not None:
                steps = [(decision.id, step, publishing_at) for step in range(len(decision.actions))]
                connection.executemany("INSERT INTO marks (decision_id, step, publishing_at) VALUES (?, ?, ?)", steps)
            return True

        return self._connection.write(change)

    def decision(self, decision_id: str) -> Decision | None:
        """Return a decision; None when it is unknown, erased or damaged."""
        stored = self.stored(decision_id)
        return stored.decision if stored else None

    def stored(self, decision_id: str) -> StoredDecision | None:
        """Return a decision with its feedback and reward; None when it is unknown, erased or damaged."""
        found = self._connection.read(lambda c: _stored_where(c, "d.id = ?", (decision_id,)))
        return found[0][1] if found else None

    def decision_of_utterance(self, utterance_id: str, *, door: str, now: float) -> Decision | None:
        """Return what was decided about an utterance with this sender's id in the last ten minutes."""
        found = self._connection.read(lambda c: _stored_where(c, _SAME_UTTERANCE, (utterance_id, door, now, DEDUP_S)))
        return found[0][1].decision if found else None

    def decision_about(self, utterance: Utterance, *, now: float) -> Decision | None:
        """Return what was decided in the last ten minutes about exactly this utterance: said by the same, there, at the same time."""
        same_words = "d.pattern = ? AND abs(? - d.decided_at) <= ?"
        found = self._connection.read(lambda c: _stored_where(c, same_words, (rows.pattern_of(utterance), now, DEDUP_S)))
        return next((stored.decision for _, stored in found if stored.decision.utterance == utterance), None)

    def recent_decisions(self, *, since: float) -> tuple[Decision, ...]:
        """Return the decisions since a time, oldest first."""
        return tuple(s.decision for _, s in self._connection.read(lambda c: _stored_where(c, "d.decided_at >= ?", (since,))))

    def latest(self, limit: int = 20) -> tuple[StoredDecision, ...]:
        """Return the last decisions, newest first."""
        newest = "d.seq IN (SELECT seq FROM decisions ORDER BY seq DESC LIMIT ?)"
        return tuple(s for _, s in reversed(self._connection.read(lambda c: _stored_where(c, newest, (limit,)))))

    def all_stored(self) -> Iterator[StoredDecision]:
        """Yield every decision with its feedback, oldest first, a page at a time."""
        newest = self._connection.read(lambda c: int(c.execute("SELECT coalesce(max(seq), 0) FROM decisions").fetchone()[0]))
        for start in range(0, newest, _PAGE):
            page = partial(_stored_where, where="d.seq > ? AND d.seq <= ?", values=(start, start + _PAGE))
            for _, stored in self._connection.read(page):
                yield stored

    def transitions(self) -> Iterator[Transition]:
        """Yield every decision joined with its settled reward, oldest first; rows that fail their checksum are left out."""
        for stored in self.all_stored():
            yield _transition_of(stored)

    def damaged(self) -> tuple[str, ...]:
        """Return the ids of decisions of which some row fails its checksum; empty is healthy."""
        return self._connection.read(_damaged_ids)

    def count(self) -> tuple[int, int]:
        """Return the number of decisions, and of those with a reward."""
        sql = "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM rewards)"
        decisions, rewards = self._connection.read(lambda c: c.execute(sql).fetchone())
        return int(decisions), int(rewards)

    def judged_badly(self, policy_version: str, *, since: float = 0.0, limit: int = 1000) -> tuple[int, int]:
        """Return how many decisions a version made itself, without the memory, and how many of them people denied, corrected or took back.

        Args:
            policy_version: which version.
            since: Unix seconds; earlier ones do not count.
            limit: the newest so many.
        """
        row = self._connection.read(lambda c: c.execute(_JUDGED_BADLY, (policy_version, since, limit)).fetchone())
        return int(row[0]), int(row[1])

    def tally(self, *, since: float) -> Mapping[str, int]:
        """Return how many decisions were made since a time, by outcome, and how many were judged, by what was said of them."""
        return self._connection.read(lambda c: tally(c, since=since))

    # Feedback

    def record_feedback(self, feedback: Feedback) -> Settlement | None:
        """Write one judgement durably and settle its decision anew.

        Returns:
            What all judgements of the decision now come to; None when this feedback was known already.

        Raises:
            MessageError: the decision is unknown or erased, or a word is not one of the known ones.
        """
        if feedback.verdict not in VERDICTS or feedback.source not in SOURCES:
            raise MessageError(
                f"feedback: expected a verdict of {VERDICTS} and a source of {SOURCES}, got {feedback.verdict!r} and {feedback.source!r}"
            )
        if not math.isfinite(feedback.given_at):
            raise MessageError(f"feedback: expected given_at in Unix seconds, got {feedback.given_at!r}")
        named = replace(feedback, id=rows.feedback_id(feedback))
        now = self._clock()
        return self._connection.write(lambda connection: _insert_feedback(connection, named, now))

    # Memory

    def load_memory(self) -> tuple[MemoryEntry, ...]:
        """Return all memory entries, oldest first."""
        return self._connection.read(_load_memory)

    def save_memory(self, entry: MemoryEntry) -> None:
        """Write an entry; one of the same words and area is replaced."""
        self._connection.write(lambda c: _insert_memory(c, entry))

    def forget_memory(self, words: str, area: str | None) -> bool:
        """Erase an entry without a trace; return whether there was one."""
        sql = "DELETE FROM memory WHERE words = ? AND area = ?"
        return self._connection.erase(lambda c: c.execute(sql, (words, area or "")).rowcount > 0)

    def load_aliases(self) -> tuple[Alias, ...]:
        """Return all names that corrections have taught, oldest first."""
        return self._connection.read(_load_aliases)

    def save_alias(self, alias: Alias) -> None:
        """Write an alias; one of the same words is replaced."""
        self._connection.write(lambda c: _insert_alias(c, alias))

    def forget_alias(self, words: str) -> bool:
        """Erase an alias without a trace; return whether there was one."""
        return self._connection.erase(lambda c: c.execute("DELETE FROM aliases WHERE words = ?", (words,)).rowcount > 0)

    # Delivery

    def mark_publishing(self, decision_id: str, step: int, *, at: float) -> bool:
        """Note, before the publish, that a step is about to leave; return False when that was noted before."""
        sql = "INSERT INTO marks (decision_id, step, publishing_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        return self._connection.write(lambda c: c.execute(sql, (decision_id, step, at)).rowcount > 0)

    def mark_all_done(self, done: Sequence[Done]) -> None:
        """Note, after the broker has acknowledged them, that all steps of these decisions have left."""
        self._connection.write(lambda c: _mark_done(c, done))

    def mark_done(self, decision_id: str, step: int, *, at: float) -> None:
        """Note, after the broker has acknowledged it, that a step has left."""
        sql = (
            "INSERT INTO marks (decision_id, step, publishing_at, done_at) VALUES (?1, ?2, ?3, ?3) "
            "ON CONFLICT (decision_id, step) DO UPDATE SET done_at = ?3"
        )
        self._connection.write(lambda c: c.execute(sql, (decision_id, step, at)))

    def open_steps(self, *, since: float) -> tuple[OpenStep, ...]:
        """Return the steps decided since a time that are not known to have left, in order.

        A step with `publishing_at` may have left: repeat it only where repeating is harmless. One without has not left.
        A question that was answered since counts as the decision that its answer made of it.
        """

        def query(connection: Statements) -> tuple[OpenStep, ...]:
            acted = [s.decision for _, s in _stored_where(connection, _NOT_ALL_DONE, (since,))]
            marks = {
                (row[0], row[1]): (row[2], row[3])
                for row in connection.execute(
                    "SELECT m.decision_id, m.step, m.publishing_at, m.done_at FROM marks m JOIN decisions d ON d.id = m.decision_id "
                    "WHERE d.decided_at >= ?",
                    (since,),
                )
            }
            steps = [
                OpenStep(decision=decision, step=step, publishing_at=marks.get((decision.id, step), (None, None))[0])
                for decision in acted
                if decision.executor != "none"
                for step in range(len(decision.actions))
                if marks.get((decision.id, step), (None, None))[1] is None
            ]
            return (*steps, *_answered_steps(connection, since))

        return self._connection.read(query)

    def remember_once(self, key: str, *, at: float, keep_s: float = DEDUP_S) -> bool:
        """Remember an id of a message; return False when it was remembered in the last `keep_s` seconds."""

        def change(connection: Statements) -> bool:
            connection.execute("DELETE FROM dedup WHERE abs(? - seen_at) > ?", (at, keep_s))
            return connection.execute("INSERT INTO dedup VALUES (?, ?) ON CONFLICT DO NOTHING", (key, at)).rowcount > 0

        return self._connection.write(change)

    # Erasure

    def erase(
        self, *, decision_id: str | None = None, text: str | None = None, older_than: float | None = None, everything: bool = False
    ) -> Erasure:
        """Erase decisions with all that hangs on them, from every file of the store.

        Exactly one selection: an id, words that occur in anything kept about a decision, a time in Unix seconds, or everything.
        Damaged copies that were moved aside go in any case, for nobody can select within them.

        Raises:
            StoreError: not exactly one selection; or erased, but another process holds the log open.
        """
        if [decision_id is not None, text is not None, older_than is not None, everything].count(True) != 1:
            raise StoreError("erase: expected exactly one of a decision id, a text, an age, or everything")
        wanted = None if text is None else _squeeze(text)
        if wanted == "":
            raise StoreError("erase: expected some words, got an empty text")
        now = self._clock()

        def change(connection: Statements) -> Erasure:
            ids: list[str] = []
            keys: list[tuple[str, str]] = []
            names: list[str] = []
            if wanted is not None:
                ids, keys = _matching(connection, wanted)
                names = _matching_aliases(connection, wanted)
            elif decision_id is not None:
                ids = _ids_where(connection, "id = ?", (decision_id,))
            elif older_than is not None:
                ids = _ids_where(connection, "decided_at < ?", (older_than,))
            else:
                ids = _ids_where(connection, "TRUE", ())
                keys = list(connection.execute("SELECT words, area FROM memory"))
                names = [row[0] for row in connection.execute("SELECT words FROM aliases")]
                connection.execute("DELETE FROM dedup")
            _delete(connection, ids)
            connection.executemany(_NOTE_ERASED, [(one, now) for one in ids])
            forgotten = sum(connection.execute("DELETE FROM memory WHERE decision_id = ?", (one,)).rowcount for one in ids)
            forgotten += sum(connection.execute("DELETE FROM memory WHERE words = ? AND area = ?", key).rowcount for key in keys)
            unnamed = sum(connection.execute("DELETE FROM aliases WHERE decision_id = ?", (one,)).rowcount for one in ids)
            unnamed += sum(connection.execute("DELETE FROM aliases WHERE words = ?", (one,)).rowcount for one in names)
            exports = tuple(Path(row[0]) for row in connection.execute("SELECT path FROM exports ORDER BY exported_at"))
            return Erasure(
                decision_ids=tuple(ids),
                memory_entries=forgotten,
                aliases=unnamed,
                exports=tuple(path for path in exports if path.exists()),
            )

        return self._connection.erase(change)

    def apply_retention(self, *, keep_s: float, limit: int | None = None) -> int:
        """Erase the decisions older than `keep_s`; what they taught the memory stays.

        Args:
            keep_s: seconds.
            limit: at most so many, the oldest first, without rewriting the file: for a daemon that has to answer meanwhile.

        Returns:
            How many went.
        """
        horizon = self._clock() - keep_s
        if not self._connection.read(lambda c: _ids_where(c, "decided_at < ? LIMIT 1", (horizon,))):
            return 0

        def change(connection: Statements) -> int:
            ids = _ids_where(connection, "decided_at < ? ORDER BY decided_at LIMIT ?", (horizon, _ALL if limit is None else limit))
            _delete(connection, ids)
            connection.execute("DELETE FROM dedup WHERE seen_at < ?", (horizon,))
            return len(ids)

        return self._connection.erase(change, compacts=limit is None, keeps_copies_since=horizon)

    def last_erasure_at(self) -> float | None:
        """Return when something was last erased: a model trained before then has to be trained again."""
        value = self._connection.read(lambda c: c.execute("SELECT max(erased_at) FROM erased").fetchone()[0])
        return None if value is None else float(value)

    # Archives

    def note_export(self, path: Path, *, at: float) -> None:
        """Remember where an archive was written, so that an erasure can name it."""
        sql = "INSERT INTO exports VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET exported_at = ?2"
        self._connection.write(lambda c: c.execute(sql, (str(path), at)))

    def import_stored(
        self, stored: Iterable[StoredDecision], memory: Iterable[MemoryEntry], aliases: Iterable[Alias] = ()
    ) -> tuple[int, int]:
        """Add decisions with their feedback from elsewhere, in one transaction; rewards are made anew from the feedback.

        Returns:
            How many decisions and feedbacks were new. Erased ones do not come back.
        """
        now = self._clock()

        def change(connection: Statements) -> tuple[int, int]:
            decisions = judgements = 0
            for one in stored:
                if connection.execute("SELECT 1 FROM erased WHERE decision_id = ?", (one.decision.id,)).fetchone():
                    continue
                values = _decision_row(one.decision, one.previous, one.states)
                decisions += _insert_decision(connection, one.decision, values, checks_utterance=False)
                for judgement in one.judgements:
                    feedback = judgement.feedback
                    judgements += _insert_feedback(connection, replace(feedback, id=rows.feedback_id(feedback)), now) is not None
            for entry in memory:
                if not connection.execute("SELECT 1 FROM erased WHERE decision_id = ?", (entry.decision_id,)).fetchone():
                    _insert_memory(connection, entry, replaces=False)
            for alias in aliases:
                if not connection.execute("SELECT 1 FROM erased WHERE decision_id = ?", (alias.decision_id,)).fetchone():
                    _insert_alias(connection, alias, replaces=False)
            return decisions, judgements

        return self._connection.write(change)


_DECISION_COLUMNS = "id, utterance_id, door, pattern, outcome, decided_at, body, previous, states"
_JUDGED_BADLY = """
    SELECT count(*), count(*) FILTER (WHERE CAST(json_extract(r.body, '$.reward') AS REAL) < 0)
    FROM (
        SELECT id FROM decisions
        WHERE json_extract(body, '$.policy_version') = ? AND json_extract(body, '$.stage') IN ('policy', 'alias', 'exploration')
        AND decided_at >= ? ORDER BY seq DESC LIMIT ?
    ) d LEFT JOIN rewards r ON r.decision_id = d.id
"""
_NOTE_ERASED = "INSERT INTO erased VALUES (?, ?) ON CONFLICT (decision_id) DO UPDATE SET erased_at = excluded.erased_at"
_NOT_ALL_DONE = """
    d.decided_at >= ? AND d.outcome = 'act' AND (
        CASE WHEN json_valid(d.body) THEN json_array_length(d.body, '$.actions') ELSE 0 END >
        (SELECT count(*) FROM marks m WHERE m.decision_id = d.id AND m.done_at IS NOT NULL)
        OR EXISTS (SELECT 1 FROM marks m WHERE m.decision_id = d.id AND m.done_at IS NULL)
    )
"""
_SAME_UTTERANCE = "d.utterance_id = ? AND d.door = ? AND abs(? - d.decided_at) <= ?"


def _parse(text: str) -> Any:
    return json.loads(text)


def _decision_row(decision: Decision, previous: tuple[Action, ...], states: dict[str, Any]) -> tuple[Any, ...]:
    columns = (
        decision.id,
        decision.utterance.id,
        decision.utterance.door,
        rows.pattern_of(decision.utterance),
        decision.outcome,
        decision.decided_at,
        rows.dump(rows.decision_to_mapping(decision)),
        rows.dump(rows.actions_to_list(previous)),
        rows.dump(states),
    )
    return (*columns, rows.checksum_of(*columns))


def _insert_decision(connection: Statements, decision: Decision, values: tuple[Any, ...], *, checks_utterance: bool = True) -> bool:
    if checks_utterance and decision.utterance.id is not None:
        sql = f"SELECT 1 FROM decisions d WHERE {_SAME_UTTERANCE}"  # noqa: S608 - a fixed text
        if connection.execute(sql, (decision.utterance.id, decision.utterance.door, decision.decided_at, DEDUP_S)).fetchone():
            return False
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO decisions ({_DECISION_COLUMNS}, checksum) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - fixed texts
    return connection.execute(sql, values).rowcount > 0


def _mark_done(connection: Statements, done: Iterable[Done]) -> None:
    connection.executemany("UPDATE marks SET done_at = ? WHERE decision_id = ?", [(one.at, one.decision_id) for one in done])


def _answered_steps(connection: Statements, since: float) -> tuple[OpenStep, ...]:
    """Return the open steps of questions whose answer was about to be carried out."""
    marked = "d.outcome = 'clarify' AND d.id IN (SELECT decision_id FROM marks WHERE publishing_at >= ? AND done_at IS NULL)"
    steps: list[OpenStep] = []
    for _, stored in _stored_where(connection, marked, (since,)):
        answers = [one.feedback for one in stored.judgements if one.feedback.verdict == "yes" and one.feedback.correction]
        if not answers:
            continue
        acting = replace(stored.decision, outcome="act", actions=answers[0].correction, question=None, choices=(), reason_code=ANSWERED)
        times = connection.execute(
            "SELECT step, publishing_at FROM marks WHERE decision_id = ? AND done_at IS NULL", (acting.id,)
        ).fetchall()
        steps += [OpenStep(decision=acting, step=step, publishing_at=at) for step, at in times if step < len(acting.actions)]
    return tuple(steps)


def _insert_memory(connection: Statements, entry: MemoryEntry, *, replaces: bool = True) -> None:
    columns = (entry.words, entry.area or "", entry.decision_id, entry.learned_at, rows.dump(rows.entry_to_mapping(entry)))
    again = "UPDATE SET decision_id = ?3, learned_at = ?4, body = ?5, checksum = ?6" if replaces else "NOTHING"
    sql = f"INSERT INTO memory VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (words, area) DO {again}"  # noqa: S608 - fixed texts
    connection.execute(sql, (*columns, rows.checksum_of(*columns)))


def _load_memory(connection: Statements) -> tuple[MemoryEntry, ...]:
    entries: list[MemoryEntry] = []
    for *columns, checksum in connection.execute(
        "SELECT words, area, decision_id, learned_at, body, checksum FROM memory ORDER BY learned_at"
    ):
        if checksum == rows.checksum_of(*columns):
            entries.append(rows.entry_from_mapping(_parse(columns[4])))
        else:
            _LOGGER.warning("a memory entry of decision %s fails its checksum and is left out", columns[2])
    return tuple(entries)


def _insert_alias(connection: Statements, alias: Alias, *, replaces: bool = True) -> None:
    columns = (alias.words, alias.decision_id, alias.learned_at, rows.dump(rows.alias_to_mapping(alias)))
    again = "UPDATE SET decision_id = ?2, learned_at = ?3, body = ?4, checksum = ?5" if replaces else "NOTHING"
    sql = f"INSERT INTO aliases VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (words) DO {again}"  # noqa: S608 - fixed texts
    connection.execute(sql, (*columns, rows.checksum_of(*columns)))


def _load_aliases(connection: Statements) -> tuple[Alias, ...]:
    aliases: list[Alias] = []
    for *columns, checksum in connection.execute("SELECT words, decision_id, learned_at, body, checksum FROM aliases ORDER BY learned_at"):
        if checksum == rows.checksum_of(*columns):
            aliases.append(rows.alias_from_mapping(_parse(columns[3])))
        else:
            _LOGGER.warning("an alias of decision %s fails its checksum and is left out", columns[1])
    return tuple(aliases)


def _insert_feedback(connection: Statements, feedback: Feedback, now: float) -> Settlement | None:
    if connection.execute("SELECT 1 FROM feedback WHERE id = ?", (feedback.id,)).fetchone():
        return None
    found = _stored_where(connection, "d.id = ?", (feedback.decision_id,))
    if not found:
        raise MessageError(f"feedback: no decision {feedback.decision_id!r} is stored; it may have been erased")
    decision = found[0][1].decision
    pattern, day = rows.pattern_of(decision.utterance), int(feedback.given_at // rows.DAY_S)
    counted = "SELECT count(*), count(*) FILTER (WHERE pattern = ?) FROM feedback WHERE day = ? AND source = ? AND reward IS NOT NULL"
    of_source, of_pattern = connection.execute(counted, (pattern, day, feedback.source)).fetchone()
    reward, weight = reward_of(
        feedback,
        decision=decision,
        seconds_since=feedback.given_at - decision.decided_at,
        of_pattern_today=of_pattern,
        of_source_today=of_source,
    )
    columns = (
        feedback.id,
        feedback.decision_id,
        feedback.source,
        pattern,
        day,
        rows.dump(rows.feedback_to_mapping(feedback)),
        reward,
        weight,
    )
    connection.execute(
        "INSERT INTO feedback (id, decision_id, source, pattern, day, body, reward, weight, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*columns, rows.checksum_of(*columns)),
    )
    settlement = settle((*found[0][1].judgements, Judgement(feedback=feedback, reward=reward, weight=weight)), decision=decision)
    if settlement.reward is not None:
        body = rows.dump(rows.settlement_to_mapping(settlement))
        connection.execute(
            "INSERT INTO rewards VALUES (?1, ?2, ?3, ?4) ON CONFLICT (decision_id) DO UPDATE SET body = ?2, settled_at = ?3, checksum = ?4",
            (feedback.decision_id, body, now, rows.checksum_of(feedback.decision_id, body, now)),
        )
    return settlement


def _stored_where(connection: Statements, where: str, values: tuple[Any, ...]) -> list[tuple[int, StoredDecision]]:
    sql = (
        f"SELECT d.seq, {', '.join('d.' + name for name in _DECISION_COLUMNS.split(', '))}, d.checksum, r.body, r.settled_at, r.checksum "  # noqa: S608
        f"FROM decisions d LEFT JOIN rewards r ON r.decision_id = d.id WHERE {where} ORDER BY d.seq"
    )
    found: list[tuple[int, StoredDecision]] = []
    for row in connection.execute(sql, values).fetchall():
        seq, columns, (checksum, reward_body, settled_at, reward_checksum) = row[0], row[1:10], row[10:]
        decision_id, body, previous, states = columns[0], columns[6], columns[7], columns[8]
        if checksum != rows.checksum_of(*columns):
            _LOGGER.warning("decision %s fails its checksum and is left out", decision_id)
            continue
        decision = rows.decision_from_mapping(_parse(body))
        judgements = _judgements_of(connection, decision_id)
        settlement = None
        if reward_body is not None:
            if reward_checksum == rows.checksum_of(decision_id, reward_body, settled_at):
                settlement = rows.settlement_from_mapping(_parse(reward_body))
            else:
                _LOGGER.warning("the reward of decision %s fails its checksum and is settled again from its feedback", decision_id)
                settlement = settle(judgements, decision=decision)
        stored = StoredDecision(
            decision=decision,
            previous=rows.actions_from_list(_parse(previous)),
            states=_parse(states),
            judgements=judgements,
            settlement=settlement,
        )
        found.append((seq, stored))
    return found


def _judgements_of(connection: Statements, decision_id: str) -> tuple[Judgement, ...]:
    sql = "SELECT id, decision_id, source, pattern, day, body, reward, weight, checksum FROM feedback WHERE decision_id = ? ORDER BY seq"
    judgements: list[Judgement] = []
    for *columns, checksum in connection.execute(sql, (decision_id,)).fetchall():
        if checksum != rows.checksum_of(*columns):
            _LOGGER.warning("feedback %s fails its checksum and is left out", columns[0])
            continue
        judgements.append(Judgement(feedback=rows.feedback_from_mapping(_parse(columns[5])), reward=columns[6], weight=columns[7]))
    return tuple(judgements)


def _damaged_ids(connection: Statements) -> tuple[str, ...]:
    checks = (
        (f"SELECT id, {_DECISION_COLUMNS}, checksum FROM decisions", 1),  # noqa: S608 - fixed texts
        ("SELECT decision_id, id, decision_id, source, pattern, day, body, reward, weight, checksum FROM feedback", 1),
        ("SELECT decision_id, decision_id, body, settled_at, checksum FROM rewards", 1),
    )
    ids: set[str] = set()
    for sql, first in checks:
        for row in connection.execute(sql):
            if row[-1] != rows.checksum_of(*row[first:-1]):
                ids.add(row[0])
    return tuple(sorted(ids))


def _squeeze(text: str) -> str:
    return " ".join(normalise(text).split())


def _ids_where(connection: Statements, where: str, values: tuple[Any, ...]) -> list[str]:
    return [row[0] for row in connection.execute(f"SELECT id FROM decisions WHERE {where}", values)]  # noqa: S608 - fixed texts


def _matching(connection: Statements, wanted: str) -> tuple[list[str], list[tuple[str, str]]]:
    texts = {
        one.decision.id: rows.words_in(one.decision, one.previous, (judgement.feedback for judgement in one.judgements))
        for _, one in _stored_where(connection, "TRUE", ())
    }
    for decision_id, body in connection.execute("SELECT id, body FROM decisions"):
        texts.setdefault(decision_id, body)  # a damaged row is searched as it stands
    ids = [decision_id for decision_id, text in texts.items() if wanted in _squeeze(text)]
    entries = connection.execute("SELECT words, area, body FROM memory").fetchall()
    return ids, [(words, area) for words, area, body in entries if wanted in _squeeze(words) or wanted in _squeeze(body)]


def _matching_aliases(connection: Statements, wanted: str) -> list[str]:
    aliases = connection.execute("SELECT words, body FROM aliases").fetchall()
    tokens = " ".join(words_of(wanted))
    return [words for words, body in aliases if tokens in words or wanted in _squeeze(body)]


def _delete(connection: Statements, ids: list[str]) -> None:
    for decision_id in ids:
        for (body,) in connection.execute("SELECT body FROM decisions WHERE id = ?", (decision_id,)).fetchall():
            _blank_previous(connection, body)
        connection.execute("DELETE FROM decisions WHERE id = ?", (decision_id,))


def _blank_previous(connection: Statements, body: str) -> None:
    """Take an erased decision's actions out of the follow-ups that refer to it: their slots may hold its words."""
    try:
        actions = _parse(body)["actions"]
    except (ValueError, KeyError):
        return
    if not any(action.get("data") for action in actions):
        return
    sql = f"SELECT {_DECISION_COLUMNS} FROM decisions WHERE previous = ?"  # noqa: S608 - fixed texts
    for columns in connection.execute(sql, (rows.dump(actions),)).fetchall():
        blanked = (*columns[:7], "[]", columns[8])
        connection.execute("UPDATE decisions SET previous = '[]', checksum = ? WHERE id = ?", (rows.checksum_of(*blanked), columns[0]))


def _transition_of(stored: StoredDecision) -> Transition:
    decision, settlement = stored.decision, stored.settlement
    is_labelled = settlement is not None and settlement.reward is not None
    correction = settlement.correction if settlement is not None else None
    return Transition(
        decision_id=decision.id,
        text=decision.utterance.text,
        language=decision.language,
        area=decision.utterance.area,
        previous=tuple(rows.actions_to_list(stored.previous)),
        outcome=decision.outcome,
        actions=tuple(rows.actions_to_list(decision.actions)),
        candidates=tuple(
            {"actions": rows.actions_to_list(candidate.actions), "probability": candidate.probability} for candidate in decision.candidates
        ),
        propensity=decision.propensity,
        policy_version=decision.policy_version,
        stage=decision.stage,
        reward=settlement.reward if settlement is not None else None,
        reward_source=settlement.source if settlement is not None else None,
        weight=settlement.weight if settlement is not None and is_labelled else 1.0,
        correction=None if correction is None else tuple(rows.actions_to_list(correction)),
        correction_text=settlement.correction_text if settlement is not None else None,
        decided_at=decision.decided_at,
        choices=tuple({"actions": rows.actions_to_list(choice.actions), "probability": choice.probability} for choice in decision.choices),
        states=stored.states,
    )
