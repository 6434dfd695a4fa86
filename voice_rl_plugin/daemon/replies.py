"""Replies: collects what is said about a request, and answers it once when all is said and settled."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from voice_rl_plugin.acting.assist_intents import AssistIntent
from voice_rl_plugin.doors.request import Answer, Request


@dataclass(slots=True, kw_only=True)
class _Open:
    """A request that is not answered yet."""

    request: Request
    texts: list[str] = field(default_factory=list)
    awaited: set[str] = field(default_factory=set)
    """Decisions that are being carried out."""
    is_failure: bool = False
    expects_reply: bool = False
    intent: AssistIntent | None = None
    nothing: str = ""
    """What to answer when nothing was said."""
    is_handled: bool = False
    """Whether the daemon is done with the words; what was begun may still be awaited."""


class Replies:
    """The requests that are being answered; used in the daemon's thread alone."""

    def __init__(self) -> None:
        self._current: _Open | None = None
        self._by_decision: dict[str, _Open] = {}

    @property
    def takes_intent(self) -> bool:
        """Whether the request at hand can be answered with an intent."""
        one = self._current
        return one is not None and one.intent is None and one.request.takes_intents and not one.request.is_late

    @property
    def forwards(self) -> bool:
        """Whether the request at hand can be answered with the advice to ask Home Assistant's own agent."""
        one = self._current
        return one is not None and one.intent is None and one.request.forwards

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits for an answer to the words at hand."""
        return self._current is not None

    @contextlib.contextmanager
    def about(self, request: Request, *, nothing: str, failed: str) -> Iterator[None]:
        """Take all that is said inside as said about a request.

        Args:
            request: whom to answer.
            nothing: the answer when nothing is said.
            failed: the answer when an error ends it.
        """
        one = self._current = _Open(request=request, nothing=nothing)
        try:
            yield
        except BaseException:
            one.texts, one.is_failure, one.intent = [failed], True, None
            one.awaited.clear()
            raise
        finally:
            self._current = None
            one.is_handled = True
            self._finish(one)

    def take(self, text: str, decision_id: str, *, is_success: bool, expects_reply: bool) -> bool:
        """Take a sentence; return whether a request is waiting for it."""
        one = self._current or self._by_decision.get(decision_id)
        if one is None:
            return False
        if text not in one.texts:
            one.texts.append(text)
        one.is_failure = one.is_failure or not is_success
        one.expects_reply = one.expects_reply or expects_reply
        return True

    def hand_over(self, intent: AssistIntent) -> None:
        """Answer the request at hand with an intent."""
        if self._current is not None:
            self._current.intent = intent

    def expect(self, decision_id: str, late: str) -> None:
        """Wait with the answer until a decision is settled.

        Args:
            decision_id: what is being carried out.
            late: what to say when it is not settled in time.
        """
        if self._current is not None:
            self._by_decision[decision_id] = self._current
            self._current.awaited.add(decision_id)
            self._current.request.late_answer = Answer(text=late)

    def settle(self, decision_id: str) -> None:
        """Wait no longer for a decision."""
        one = self._by_decision.pop(decision_id, None)
        if one is not None:
            one.awaited.discard(decision_id)
            self._finish(one)

    def _finish(self, one: _Open) -> None:
        if not one.is_handled or (one.awaited and one.intent is None):
            return
        if one.intent is not None:
            one.request.reply(Answer(text=one.intent.text, is_success=True, intent=one.intent))
        elif one.texts:
            is_success = not one.is_failure and not one.expects_reply
            one.request.reply(Answer(text=" ".join(one.texts), is_success=is_success, expects_reply=one.expects_reply))
        else:
            one.request.reply(Answer(text=one.nothing))
