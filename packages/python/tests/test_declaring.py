"""What an author declares, without a control plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from parley import Agent, Context, ParleyError
from parley.functions import FunctionDefinition

SIMULATED: dict[str, Any] = {"provider": "simulator", "transport": "websocket"}


@dataclass
class Order:
    number: str
    note: str = ""


class Item(BaseModel):
    name: str
    count: int = Field(default=1, ge=1)


class Address(TypedDict):
    street: str


def test_the_program_in_the_readme_declares_what_it_says() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    program = page.split("```python\n")[1].split("```")[0].replace("app.run()", "")
    names: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), names)
    assert list(names["app"]._functions) == ["find_order", "look_up"]
    assert list(names["app"]._sessions) == ["desk", "voice"]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda _: Agent("Support"), "an agent's name must match"),
        (lambda app: app.session("voice", provider="", transport=""), "Session provider is required"),
        (lambda app: app.session("voice", provider="acme", transport="websocket"), "Unknown session provider 'acme'"),
        (
            lambda app: app.session("voice", **SIMULATED, turn_detection={"type": "server_vad", "threshold": 2}),
            "turn_detection.threshold must be at most 1",
        ),
        (lambda app: app.session("taken", **SIMULATED), "agent support has a session 'taken' already"),
        (lambda app: app.skill("find")(find), "agent support has a function 'find' already"),
        (lambda app: app.skill("no name")(find), "name must match"),
        (lambda app: app.skill("late", timeout_ms=0)(find), "timeout_ms must be at least 1"),
        (lambda app: app.skill()(unknown_type), "have no JSON form"),
        (lambda app: app.skill()(any_number), "cannot be given by name"),
        (lambda _: Agent("x", executions_max=0).start(), "executions_max must be a whole number of at least 1, got 0"),
        (lambda _: Agent("x").start(url="ftp://x"), "url must start with"),
        (lambda _: Agent("x").start(url="ws://me:secret@x"), "must not hold a user or a password"),
    ],
)
async def test_mistakes_are_raised_where_they_are_made(declare: Callable[[Agent], Any], message: str) -> None:
    app = Agent("support")
    app.session("taken", **SIMULATED)
    app.skill()(find)
    with pytest.raises(ParleyError) as raised:
        declare(app)
    assert message in raised.value.message
    assert "secret" not in raised.value.message


async def test_a_session_that_a_handler_shall_answer_needs_one() -> None:
    app = Agent("support")
    app.session("desk", **SIMULATED, responder="handler")
    with pytest.raises(ParleyError, match="has the responder 'handler' and no handler"):
        app.start()


def find(order: str) -> str:
    return order


def unknown_type(order: ParleyError) -> None:
    raise AssertionError(order)


def any_number(*orders: str) -> None:
    raise AssertionError(orders)


def test_the_fields_of_an_input_are_the_parameters_with_their_types() -> None:
    app = Agent("support")

    @app.reasoner(tags=["orders"])
    def place(
        order: Order, item: Item, schema: Address, kind: Literal["a", "b"] = "a", *, context: Context
    ) -> Annotated[int, Field(ge=0)]:
        """Places an order."""
        raise AssertionError(order, item, schema, kind, context)

    declared = app._functions["place"].declaration
    assert declared["description"] == "Places an order."
    schema = declared["input_schema"]
    assert list(schema["properties"]) == ["order", "item", "schema", "kind"]
    assert schema["required"] == ["order", "item", "schema"]
    assert schema["properties"]["kind"]["default"] == "a"
    assert declared["output_schema"]["minimum"] == 0
    assert declared["tags"] == ["orders"]


def test_an_input_becomes_what_the_type_hints_say() -> None:
    app = Agent("support")
    seen: list[Any] = []

    @app.skill
    def keep(order: Order, item: Item, count: int = 3) -> None:
        seen.extend([order, item, count])

    definition = app._functions["keep"]
    definition.body(**definition.arguments({"order": {"number": "42"}, "item": {"name": "desk"}}, None))  # type: ignore[arg-type]
    assert seen == [Order("42"), Item(name="desk"), 3]
    with pytest.raises(ParleyError, match=r"the input of support\.keep is not valid: item\.count: ") as refused:
        definition.arguments({"order": {"number": "42"}, "item": {"name": "desk", "count": 0}}, None)  # type: ignore[arg-type]
    assert refused.value.details == {"path": "item.count"}


def test_a_parameter_named_input_is_the_whole_input() -> None:
    app = Agent("support")

    @app.skill("whole")
    def whole(input: Order) -> Order:
        return input

    definition = app._functions["whole"]
    returned = definition.body(**definition.arguments({"number": "42"}, None))  # type: ignore[arg-type]
    assert definition.output(returned) == {"number": "42", "note": ""}
    with pytest.raises(ParleyError, match=r"the output of support\.whole is not valid"):
        definition.output("no order")


def test_a_decorated_function_stays_what_it_was() -> None:
    app = Agent("support")

    @app.skill()
    def double(n: int) -> int:
        return n * 2

    assert double(21) == 42


def test_functions_with_the_same_types_share_their_shape_and_no_others_do() -> None:
    app = Agent("shapes")

    def declared(body: Any) -> FunctionDefinition:
        app.skill(f"f{len(app._functions)}")(body)
        return list(app._functions.values())[-1]

    def one(a: int, b: bool = True) -> dict[str, int]:
        return {}

    def same(a: int, b: bool = True) -> dict[str, int]:
        return {}

    def other_default(a: int, b: bool = 1) -> dict[str, int]:  # type: ignore[assignment]
        return {}

    def other_name(a: int, c: bool = True) -> dict[str, int]:
        return {}

    def one_order(a: int | str) -> None:
        return None

    def other_order(a: str | int) -> None:
        return None

    def changing(a: list[int] = [1]) -> None:  # noqa: B006
        return None

    def changing_too(a: list[int] = [1]) -> None:  # noqa: B006
        return None

    first = declared(one)
    assert declared(same)._input is first._input
    assert declared(same)._output is first._output
    assert declared(other_default)._input is not first._input
    assert declared(other_name)._input is not first._input
    kinds = [declared(body).declaration["input_schema"]["properties"]["a"] for body in (one_order, other_order)]
    assert [[kind["type"] for kind in one["anyOf"]] for one in kinds] == [["integer", "string"], ["string", "integer"]]
    assert declared(changing)._input is not declared(changing_too)._input
