"""A workflow is the tree of executions under one root, folded from them whenever somebody looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, cast

from .contract.types import (
    ExecutionResource,
    ExecutionStatus,
    WorkflowNode,
    WorkflowResource,
    WorkflowResourceEdgesItem,
)

_UNFINISHED = frozenset(("queued", "running"))
_OF_A_NODE = (
    "parent_execution_id",
    "session_id",
    "reason",
    "started_at_ms",
    "finished_at_ms",
    "duration_ms",
    "error",
)


def is_terminal(status: ExecutionStatus) -> bool:
    """True when an execution of this status will not change any more.

    >>> is_terminal("timed_out"), is_terminal("running")
    (True, False)
    """
    return status not in _UNFINISHED


def fold_workflow(executions: Iterable[ExecutionResource]) -> WorkflowResource | None:
    """Folds executions of one workflow, in any order, into its tree; None when there are none.

    An execution whose parent is not among them hangs below the root. The workflow runs while any execution does;
    afterwards it ended as its root did: a failed child that its parent dealt with is not a failed workflow.

    >>> root = {"execution_id": "r", "workflow_id": "w", "target": "a.f", "kind": "skill", "created_at_ms": 1}
    >>> child = {**root, "execution_id": "c", "parent_execution_id": "r", "created_at_ms": 2}
    >>> tree = fold_workflow([{**child, "status": "failed"}, {**root, "status": "succeeded"}])
    >>> tree["status"], tree["edges"]
    ('succeeded', [{'from': 'r', 'to': 'c'}])
    """
    # Ids are ASCII, so code points order them as UTF-16 units do.
    ordered = sorted(executions, key=lambda one: (one["created_at_ms"], one["execution_id"]))
    if not ordered:
        return None
    root = next((one for one in ordered if "parent_execution_id" not in one), ordered[0])
    known = {one["execution_id"] for one in ordered}
    children: dict[str, list[ExecutionResource]] = {}
    for one in ordered:
        if one is not root:
            parent = one.get("parent_execution_id")
            of = parent if parent is not None and parent in known else root["execution_id"]
            children.setdefault(of, []).append(one)
    nodes: list[WorkflowNode] = []
    edges: list[WorkflowResourceEdgesItem] = []
    placed: set[str] = set()

    def place(top: ExecutionResource, depth: int) -> None:
        queue = deque([(top, depth)])
        placed.add(top["execution_id"])
        while queue:
            one, at = queue.popleft()
            nodes.append(_node(one, at))
            for child in children.get(one["execution_id"], ()):
                if child["execution_id"] not in placed:
                    placed.add(child["execution_id"])
                    edges.append({"from": one["execution_id"], "to": child["execution_id"]})
                    queue.append((child, at + 1))

    place(root, 0)
    # Executions that name each other as parents reach no root; they are shown below it rather than not at all.
    for one in ordered:
        if one["execution_id"] not in placed:
            edges.append({"from": root["execution_id"], "to": one["execution_id"]})
            place(one, 1)
    workflow: WorkflowResource = {
        "workflow_id": root["workflow_id"],
        "root_execution_id": root["execution_id"],
        "status": root["status"] if all(is_terminal(node["status"]) for node in nodes) else "running",
        "total_nodes": len(nodes),
        "max_depth": max(node["depth"] for node in nodes),
        "nodes": nodes,
        "edges": edges,
    }
    if "session_id" in root:
        workflow["session_id"] = root["session_id"]
    return workflow


def _node(one: ExecutionResource, depth: int) -> WorkflowNode:
    node: dict[str, Any] = {
        "execution_id": one["execution_id"],
        "target": one["target"],
        "kind": one["kind"],
        "status": one["status"],
        "depth": depth,
        "created_at_ms": one["created_at_ms"],
        "notes": len(one.get("notes", ())),
    }
    node.update({name: value for name, value in one.items() if name in _OF_A_NODE})
    return cast(WorkflowNode, node)
