"""A proxy between a check and its server, which can hang, refuse, and come back; it counts the check's connections."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress


class Proxy:
    """Forward bytes to a port; `port` is where it listens."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._peers: dict[socket.socket, socket.socket] = {}  # both ways
        self._clients: set[socket.socket] = set()
        self.accepted = 0
        self.hangs = False
        self._ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def open(self) -> int:
        """Count the connections that the check holds."""
        with self._lock:
            return len(self._clients)

    def refuse(self) -> None:
        """Break all connections, and accept no more, as a server that has ended."""
        with self._lock:
            self._listener.close()
            for client in list(self._clients):
                self._hang_up(client)

    def accept_again(self) -> None:
        with self._lock:
            self._listener = socket.create_server(("127.0.0.1", self.port))

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self.refuse()

    def _work(self) -> None:
        while not self._ended:
            with self._lock:
                poll = select.poll()
                wanted = select.POLLRDHUP if self.hangs else select.POLLIN
                sockets = {one.fileno(): one for one in (*self._peers, self._listener) if one.fileno() >= 0}
                for number, one in sockets.items():
                    poll.register(number, select.POLLIN if one is self._listener else wanted)
            for number, event in poll.poll(5):
                with self._lock:
                    one = sockets[number]
                    if one is self._listener:
                        self._accept()
                    elif one in self._peers:
                        self._forward(one, event)

    def _accept(self) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._target))
            self._peers[client], self._peers[server] = server, client
            self._clients.add(client)
            self.accepted += 1

    def _forward(self, one: socket.socket, event: int) -> None:
        data = b""
        if not self.hangs and event & select.POLLIN:
            with suppress(OSError):
                data = one.recv(65536)
                self._peers[one].sendall(data)
        if not data and (not self.hangs or event & ~select.POLLIN):
            self._hang_up(one)

    def _hang_up(self, one: socket.socket) -> None:
        for each in (one, self._peers[one]):
            self._peers.pop(each)
            self._clients.discard(each)
            each.close()
