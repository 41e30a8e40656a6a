"""What the agent can do is plain Python."""

from agent import find_order


def test_it_says_where_an_order_is() -> None:
    assert find_order("42") == {"state": "on its way"}
    assert find_order("7") == {"state": "not known to us"}
