"""Moments that a language model chooses, from a real HTTP server with scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from clipengine.clips.suggested import MAX_TITLE_CHARACTERS, Choice
from clipengine.errors import Busy, SuggestionsUnavailable
from clipengine.outbound.services import Service
from clipengine.settings.settings import Suggestions
from clipengine.work.suggester import Suggester
from tests.support.receiver import Answer, Receiver, Request, redirect

LINES = ["0 0s Ana: What does it cost?", "1 12s Less than before."]
KEY = "sk-very-secret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def suggester_of(receiver: Receiver, **settings: Any) -> Suggester:
    url = f"http://{receiver.host}:{receiver.port}/v1/chat/completions"
    return Suggester(Suggestions(url=url, api_key=KEY, **settings), Service(url))


def chat(*moments: dict[str, Any]) -> Answer:
    return saying(json.dumps({"moments": moments}))


def saying(content: str) -> Answer:
    return Answer(body=json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode())


def moment(first: int, last: int, title: str = "Costs") -> dict[str, Any]:
    return {"first": first, "last": last, "title": title}


def test_model_gets_the_lines_and_its_choices_are_kept(receiver: Receiver) -> None:
    receiver.script(chat(moment(1, 1), moment(0, 1, "  What\nit\x00 costs  ")))
    with closing(suggester_of(receiver, model="small")) as suggester:
        expected = (Choice(1, 1, "Costs"), Choice(0, 1, "What it costs"))
        assert suggester.choose(LINES, limit=5) == expected
        assert suggester.choose(LINES, limit=5) == expected
    (request,) = receiver.requests
    sent = json.loads(request.body)
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert (sent["model"], sent["temperature"], sent["response_format"]) == ("small", 0, {"type": "json_object"})
    assert [each["role"] for each in sent["messages"]] == ["system", "user"]
    assert "at most 5" in sent["messages"][0]["content"]
    assert sent["messages"][1]["content"].splitlines() == LINES


def test_long_transcript_is_read_in_parts_whose_best_moments_come_first(receiver: Receiver) -> None:
    lines = [f"{number} {10 * number}s {'word ' * 100}" for number in range(100)]

    def answer(request: Request) -> Answer:
        first = int(json.loads(request.body)["messages"][1]["content"].split()[0])
        return chat(moment(first, first + 1, "best"), moment(first + 2, first + 3, "second"))

    receiver.answer = answer
    with closing(suggester_of(receiver)) as suggester:
        found = suggester.choose(lines, limit=10)
    assert len(receiver.requests) == 3
    assert [each.title for each in found] == ["best"] * 3 + ["second"] * 3
    assert [each.first for each in found[:3]] == sorted(each.first for each in found[:3])


def test_transcript_that_is_too_long_is_not_sent(receiver: Receiver) -> None:
    with closing(suggester_of(receiver)) as suggester, pytest.raises(SuggestionsUnavailable, match="longer than"):
        suggester.choose(["x" * 24_001] * 41, limit=10)
    assert receiver.requests == []


def test_answer_may_stand_in_a_code_block(receiver: Receiver) -> None:
    receiver.script(saying('Here you are:\n```json\n{"moments": [{"first": 0, "last": 1}]}\n```'))
    with closing(suggester_of(receiver)) as suggester:
        assert suggester.choose(LINES, limit=5) == (Choice(0, 1, None),)


def test_long_title_is_shortened(receiver: Receiver) -> None:
    receiver.script(chat(moment(0, 1, "cost " * 1000)))
    with closing(suggester_of(receiver)) as suggester:
        (found,) = suggester.choose(LINES, limit=5)
    assert found.title is not None
    assert len(found.title) <= MAX_TITLE_CHARACTERS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(body=b"not JSON"), "not what was asked for"),
        (Answer(body=b'{"choices": []}'), "not what was asked for"),
        (Answer(body=b"[" * 100_000), "not what was asked for"),
        (saying("I cannot help with that."), "not what was asked for"),
        (saying('{"moments": [{"first": "one", "last": 2}]}'), "not what was asked for"),
        (saying(json.dumps({"moments": [moment(0, 1)] * 1001})), "not what was asked for"),
        (saying('{"moments": ' + "[" * 100_000), "not what was asked for"),
        (Answer(body=b"x" * ((1 << 20) + 1)), "longer than 1048576 bytes"),
        (Answer(401, body=b'{"error": {"message": "no key sk-very-secret"}}'), "status 401: no key …"),
        (redirect("http://127.0.0.1:1/"), "status 302"),
        (Answer(hang_up=True), "the server of the model"),
    ],
)
def test_unusable_answer_is_an_error(answer: Answer, said: str, receiver: Receiver) -> None:
    receiver.script(answer)
    with closing(suggester_of(receiver)) as suggester, pytest.raises(SuggestionsUnavailable) as caught:
        suggester.choose(LINES, limit=5)
    assert said in caught.value.message
    assert KEY not in caught.value.message
    assert len(receiver.requests) == 1


def test_slow_server_is_given_up(receiver: Receiver) -> None:
    receiver.script(Answer(delay=60))
    with closing(suggester_of(receiver, timeout_seconds=1)) as suggester, pytest.raises(SuggestionsUnavailable):
        suggester.choose(LINES, limit=5)


def test_only_two_transcripts_are_read_at_a_time_and_a_stop_ends_them(receiver: Receiver) -> None:
    receiver.answer = lambda request: Answer(delay=300)
    suggester = suggester_of(receiver)
    raised: list[Exception] = []

    def ask(number: int) -> None:
        try:
            suggester.choose([f"0 0s {number}"], limit=5)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    receiver.wait_for(2)
    with pytest.raises(Busy, match="already reads 2"):
        suggester.choose(LINES, limit=5)
    suggester.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in raised] == [Busy, Busy]
