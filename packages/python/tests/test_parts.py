"""The parts of which an agent is made, without a network."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from parley import BlockingContext, Context, ParleyError, Turn
from parley.backoff import Backoff, retry_after_ms
from parley.check import Problem, problem_of
from parley.errors import close_code_of, error_code_of_close
from parley.ids import is_id, new_id
from parley.json_text import dumps, loads, payload
from parley.log import Log
from parley.settings import link_url
from parley.signals import Signal
from parley.threads import Threads
from parley.turns import TurnQueue


def turn(text: str) -> Turn:
    return Turn({"turn_id": f"turn_{text}", "text": text, "source": "text"})


def test_only_a_connection_that_lived_resets_the_backoff() -> None:
    backoff = Backoff(250, 1_000, 5_000, fraction=lambda: 1.0)
    assert [backoff.next() for _ in range(4)] == [250, 500, 1_000, 1_000]
    backoff.lived(4_999)
    assert backoff.next() == 1_000
    backoff.lived(5_000)
    assert [backoff.next(), backoff.next(7_000)] == [250, 7_000]


def test_new_ids_have_the_shape_of_their_kind() -> None:
    ids = {new_id("session") for _ in range(100)}
    assert len(ids) == 100
    assert all(is_id("session", one) and not is_id("execution", one) for one in ids)


def test_errors_are_told_by_their_close_codes() -> None:
    assert close_code_of("unavailable") == 4014
    assert error_code_of_close(4516) == ("unauthenticated", False)
    assert error_code_of_close(1006) is None


def test_any_error_becomes_a_parley_error() -> None:
    assert ParleyError.of(ValueError("the kettle is empty")).to_object() == {
        "code": "unknown",
        "message": "the kettle is empty",
        "retryable": False,
    }
    assert ParleyError.of(asyncio.TimeoutError()).code == "deadline_exceeded"
    assert ParleyError.of(asyncio.CancelledError()).code == "cancelled"


def test_what_json_cannot_say_is_named_with_its_place() -> None:
    @dataclass
    class Basket:
        items: list[Any]

    assert payload(Basket([turn("x"), (1, 2)]), "it", "internal") == {
        "items": [{"turn_id": "turn_x", "text": "x", "source": "text"}, [1, 2]]
    }
    for value, words in [
        ({"a": [1, float("nan")]}, r"it\.a\[1\] is nan"),
        ({"a": {1, 2}}, r"it\.a is a set"),
        ({1: 2}, "it has a key of type int"),
    ]:
        with pytest.raises(ParleyError, match=words):
            payload(value, "it", "internal")
    with pytest.raises(ParleyError, match="the limit is 1048576"):
        payload("x" * 1_048_576, "it", "internal")


def test_half_a_surrogate_pair_can_be_sent() -> None:
    assert json.loads(dumps({"a": "\ud83d"}).encode()) == {"a": "\ud83d"}
    with pytest.raises(ValueError, match="NaN is no JSON"):
        loads('{"a": NaN}')


def test_a_number_beyond_every_double_is_no_integer() -> None:
    frame = {"type": "server.drain", "deadline_ms": 10**400}
    assert problem_of("ServerFrame", frame) == Problem("deadline_ms", "deadline_ms must be an integer, got number")


def test_an_address_without_a_path_means_the_agent_link() -> None:
    assert link_url("https://parley.example") == "wss://parley.example/api/v1/agent-link"
    assert link_url("ws://127.0.0.1:7700/x") == "ws://127.0.0.1:7700/x"


async def test_a_signal_is_set_once_and_tells_everybody() -> None:
    signal, heard = Signal(), []
    deaf = signal.listen(lambda _: heard.append("deaf"))
    signal.listen(lambda reason: heard.append(reason.message))
    deaf()
    signal.set(ParleyError("cancelled", "first"))
    signal.set(ParleyError("cancelled", "second"))
    signal.listen(lambda reason: heard.append(f"late {reason.message}"))
    assert heard == ["first", "late first"]


async def test_a_handler_that_does_not_keep_up_loses_the_oldest_turn() -> None:
    turns = TurnQueue(2)
    assert [turns.push(turn(text)) for text in "ab"] == [None, None]
    dropped = turns.push(turn("c"))
    assert dropped is not None
    assert (dropped.text, dropped.interrupted) == ("a", True)
    assert [(await turns.next()).text for _ in range(2)] == ["b", "c"]


async def test_input_given_up_takes_no_turn_with_it() -> None:
    turns = TurnQueue(2)
    waiting = asyncio.ensure_future(turns.next())
    await asyncio.sleep(0)
    turns.push(turn("a"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await turns.next()).text == "a"


async def test_an_interrupted_turn_ends_its_block_and_nothing_else() -> None:
    one, steps = turn("a"), []
    asyncio.get_running_loop().call_soon(one.interrupt)
    async with one:
        await asyncio.Event().wait()
        steps.append("never")
    steps.append("after")
    async with one:
        await asyncio.Event().wait()
    async with one:
        # It has nothing to wait for, so there is nothing to cancel.
        steps.append("short")
    await asyncio.sleep(0)
    assert steps == ["after", "short"]


async def test_a_task_that_is_cancelled_in_a_block_stays_cancelled() -> None:
    async def handler() -> None:
        async with turn("a"):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(handler())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_threads_are_kept_for_the_next_work_and_tell_errors() -> None:
    threads = Threads()

    def fail() -> None:
        raise ValueError("no")

    assert await asyncio.gather(*(threads.run(partial(int, n)) for n in range(20))) == list(range(20))
    with pytest.raises(ValueError, match="no"):
        await threads.run(fail)


async def test_asking_again_and_again_for_a_turn_leaves_nothing_behind() -> None:
    queue = TurnQueue(4)
    for _ in range(100):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.next(), 0)
        asking = asyncio.ensure_future(queue.next())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert len(queue._waiters) == 0
    queue.push(turn("one"))
    assert (await queue.next()).text == "one"


@pytest.mark.parametrize("ending", [SystemExit(2), KeyboardInterrupt(), StopIteration("x")])
async def test_what_would_end_a_program_ends_only_the_thread_that_raised_it(ending: BaseException) -> None:
    def work() -> None:
        raise ending

    with pytest.raises(RuntimeError, match=type(ending).__name__):
        await Threads().run(work)


async def test_a_note_that_cannot_be_sent_is_told_to_the_thread_that_leaves_it() -> None:
    async def request(_: dict[str, Any]) -> None: ...

    def note(text: str, data: Any) -> None:
        raise ParleyError("invalid_argument", f"{text} is no JSON")

    dispatch = {"execution_id": "exec_1", "workflow_id": "wf_1"}
    context = Context(dispatch, agent="a", request=request, note=note, end=Signal(), log=Log())
    face = BlockingContext(context, asyncio.get_running_loop())
    with pytest.raises(ParleyError, match="a kettle is no JSON"):
        await Threads().run(lambda: face.note("a kettle", object()))


def test_a_header_says_when_to_come_back_in_seconds_or_as_a_date() -> None:
    assert retry_after_ms("7") == 7_000
    assert retry_after_ms("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (retry_after_ms("Wed, 21 Oct 2095 07:28:00 -0000") or 0) > 0
    assert [retry_after_ms(text) for text in ("", "soon", "-1")] == [None, None, None]
