"""The tree of nodes: each is a task with an inbox, which hands messages down and says up whom they have reached.

A node that fails is started again a moment later, with the messages that have come meanwhile; its parent does not wait.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from opentelemetry import context, trace
from starlette.concurrency import run_in_threadpool

from example_apps.utilityfog import storage

KINDS = ("task-completed", "rebalance")
ROOT = 0
RESTART_SECONDS = 1.0
REPLY_SECONDS = 2.0

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)


class NodeFailed(Exception):
    """A node was told to fail."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a node gets; it replies with the nodes that the message has reached: itself, and those below."""

    kind: str
    subject: str
    asleep: frozenset[int]
    parent: context.Context  # of the span that has sent it
    reply: asyncio.Future[list[int]]


class Node:
    """One node; `tree` tells those who listen what it does."""

    def __init__(self, node_id: int, tree: "Tree") -> None:
        self.node_id = node_id
        self.inbox: asyncio.Queue[Message | NodeFailed] = asyncio.Queue()
        self.handled: Counter[str] = Counter()
        self.has_failed = False
        self._tree = tree

    async def run(self) -> None:
        """Handle one message after the other, until one makes it fail."""
        while True:
            message = await self.inbox.get()
            if isinstance(message, NodeFailed):
                raise message
            if not message.reply.done():  # else its sender waits no longer
                await self._handle(message)

    async def _handle(self, message: Message) -> None:
        self._tree.tell("received", kind=message.kind)
        began = perf_counter()
        attributes: dict[str, str | int] = {"node": self.node_id, "message.kind": message.kind}
        with tracer.start_as_current_span("node.process", message.parent, attributes=attributes):
            self.handled[message.kind] += 1
            below = await asyncio.gather(
                *(self._tree.send(child, message) for child in storage.children_of(self.node_id))
            )
        if not message.reply.done():
            message.reply.set_result([self.node_id, *(node for nodes in below for node in nodes)])
        self._tree.tell("processed", amount=perf_counter() - began)


class Tree:
    """All nodes, who supervises them, and who listens to what they do."""

    def __init__(self) -> None:
        self.nodes = {number: Node(number, self) for number in range(storage.NODES)}
        self._listeners: defaultdict[str, list[Callable[..., object]]] = defaultdict(list)

    def on(self, what: str, listener: Callable[..., object]) -> None:
        """Have a listener called when something is sent, received, processed, coordinated, failed or restarted."""
        self._listeners[what].append(listener)

    def tell(self, what: str, **details: Any) -> None:
        for listener in self._listeners[what]:
            try:
                listener(**details)
            except Exception:
                logger.exception("a listener has failed", extra={"listens_to": what})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all nodes until the block ends."""
        tasks = [asyncio.create_task(self._supervise(node)) for node in self.nodes.values()]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervise(self, node: Node) -> None:
        while True:
            try:
                await node.run()
            except Exception as error:
                node.has_failed = True
                logger.exception("node failed", extra={"node": node.node_id})
                self.tell("failed", node=node.node_id, why=str(error))
            await asyncio.sleep(RESTART_SECONDS)
            node.has_failed = False
            self.tell("restarted", node=node.node_id, waiting=node.inbox.qsize())

    async def coordinate(self, kind: str, subject: str) -> list[int]:
        """Send a message down from the root, and give the nodes that it has reached."""
        asleep = frozenset(await run_in_threadpool(storage.sleeping_nodes))
        began = perf_counter()
        with tracer.start_as_current_span("coordination.spread", attributes={"message.kind": kind}) as span:
            message = Message(kind, subject, asleep, context.get_current(), asyncio.Future())
            reached = await self.send(ROOT, message)
            await run_in_threadpool(storage.add_messages, reached, kind, subject)
            span.set_attribute("coordination.nodes", len(reached))
        self.tell("coordinated", kind=kind, nodes=len(reached), seconds=perf_counter() - began)
        return reached

    async def send(self, node_id: int, message: Message) -> list[int]:
        """Put a message into the inbox of a node and wait for its reply; nobody is reached where there is none."""
        node = self.nodes[node_id]
        if node.has_failed or node_id in message.asleep:
            return []
        reply: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        own = Message(message.kind, message.subject, message.asleep, context.get_current(), reply)
        self.tell("sent", kind=message.kind)
        node.inbox.put_nowait(own)
        try:
            return await asyncio.wait_for(reply, REPLY_SECONDS)
        except asyncio.TimeoutError:
            return []

    def waiting(self) -> int:
        """Count the messages in all inboxes."""
        return sum(node.inbox.qsize() for node in self.nodes.values())

    def within_reach(self, node_id: int = ROOT) -> list[int]:
        """Give the nodes that a message to this one would reach now."""
        down = {node.node_id for node in self.nodes.values() if node.has_failed} | storage.sleeping_nodes()
        found, looking = [], [node_id]
        while looking:
            if (one := looking.pop()) not in down:
                found.append(one)
                looking += storage.children_of(one)
        return found


tree = Tree()
