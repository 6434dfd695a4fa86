"""The Hermes desk: answers queries of Rhasspy as understanding and as handler, in its own dialogue.

query -> decide -> intentParsed, intent/<name> -> carry out -> endSession        question -> continueSession
                -> intentNotRecognized                                          aborted  -> a weak no
"""

from collections.abc import Callable
from dataclasses import replace

from voice_rl_plugin.config import HermesSection
from voice_rl_plugin.daemon.clock import SteadyClock
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.decisions import is_silent
from voice_rl_plugin.daemon.feedback import FeedbackDesk
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.speech import sentence
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.deciding.turn import Heard
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import hermes, native
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.doors.request import Answer, Request
from voice_rl_plugin.errors import MessageError

Hear = Callable[[Utterance, Message, Callable[[Heard], bool]], None]
"""Decides about an utterance and carries it out, if the last argument says of what was heard that it may."""


class HermesDesk:
    """Takes what Rhasspy publishes."""

    def __init__(
        self,
        settings: HermesSection,
        *,
        hear: Hear,
        feedback: FeedbackDesk,
        surroundings: Surroundings,
        outlet: Outlet,
        counters: Counters,
        clock: SteadyClock,
        check_rate: Callable[[str], None],
        freshness_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._hear = hear
        self._feedback = feedback
        self._surroundings = surroundings
        self._outlet = outlet
        self._counters = counters
        self._clock = clock
        self._check_rate = check_rate
        self._freshness_s = freshness_s
        self._seen = native.SeenIds()
        spoken = hermes.QUERY if settings.dialogue_manager else hermes.TEXT_CAPTURED
        self.topics = (spoken, hermes.SESSION_ENDED) if settings.enabled else ()
        """What to subscribe to."""

    def take(self, message: Message) -> None:
        """Take one message.

        Raises:
            MessageError: it is malformed, or too old.
        """
        if message.topic == hermes.SESSION_ENDED:
            ended = hermes.parse_session_ended(message.payload)
            if ended.reason == hermes.ABORTED:
                self._feedback.take_aborted(ended.session_id)
            return
        query = hermes.parse_query(message.payload, topic=message.topic)
        if self._settings.site_ids and query.site_id not in self._settings.site_ids:
            return
        if self._clock.waited_s(message) > self._freshness_s():
            self._counters.count("stale")
            raise MessageError(f"{message.topic}: it waited while this program was away; nothing was done")
        if self._is_repeated(query, message):
            self._counters.count("duplicates")
            return
        self._answer(query, message)

    def _is_repeated(self, query: hermes.Query, message: Message) -> bool:
        """Whether the broker sent the same again; a person may well say the same words twice in a session."""
        key, now = f"{query.site_id}|{query.session_id}|{query.id}|{query.text}", self._clock.mono()
        is_repeated = message.is_duplicate and self._seen.has(key, now)
        self._seen.add(key, now)
        return is_repeated

    def _answer(self, query: hermes.Query, message: Message) -> None:
        home = self._surroundings.home
        area = home.find_area(query.site_id)
        fields = {"text": query.text, "language": query.language, "session_id": query.session_id, "satellite_id": query.site_id}
        fields["area"] = area.id if area is not None else None
        request = Request(door="hermes", fields={key: value for key, value in fields.items() if value is not None})
        request.claim()
        verdicts: list[bool | None] = []
        """Whether it is understood and wanted; None for what is refused without a word; empty when an error came first."""

        def admits(heard: Heard) -> bool:
            verdicts.append(self._tell_understood(query, heard))
            is_unwanted = not verdicts[-1] and (heard.decision is None or heard.decision.outcome != "reject")
            return not is_unwanted

        language = request.language
        try:
            with self._outlet.replies.about(request, nothing="", failed=sentence("failed", language)):
                self._check_rate(f"hermes {query.site_id}")
                utterance = native.parse_command(native.encode(request.fields), area=None, home=home)
                self._hear(replace(utterance, door="hermes"), message, admits)
        finally:
            request.answer.add_done_callback(lambda done: self._tell_answer(query, done.result(), verdicts[-1] if verdicts else True))
            if not verdicts:
                self._publish("hermes/error/nlu", hermes.error(query, sentence("failed", language)))

    def _tell_understood(self, query: hermes.Query, heard: Heard) -> bool | None:
        """Tell Rhasspy what was understood before anything is done."""
        name = hermes.intent_name(heard)
        if name is None or not query.admits(name):
            self._publish("hermes/nlu/intentNotRecognized", hermes.not_recognized(query))
            return None if name is not None or (heard.decision is not None and is_silent(heard.decision)) else False
        self._publish("hermes/nlu/intentParsed", hermes.intent_parsed(query, name, heard))
        self._publish(f"hermes/intent/{name}", hermes.intent(query, name, heard))
        return True

    def _tell_answer(self, query: hermes.Query, answer: Answer, verdict: bool | None) -> None:  # noqa: FBT001
        """End or continue the session; a refusal ends it by itself, and only its reason is spoken."""
        if verdict and query.session_id is not None and self._settings.dialogue_manager:
            if answer.expects_reply:
                self._publish("hermes/dialogueManager/continueSession", hermes.continue_session(query, answer.text))
            else:
                self._publish("hermes/dialogueManager/endSession", hermes.end_session(query, answer.text))
            return
        if answer.text and verdict is not None:
            self._publish("hermes/tts/say", hermes.say(query, answer.text))
        if answer.expects_reply and not self._settings.dialogue_manager:
            self._publish("hermes/asr/startListening", hermes.start_listening(query))

    def _publish(self, topic: str, payload: dict[str, object]) -> None:
        self._outlet.publish(topic, payload)
