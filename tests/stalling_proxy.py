"""A door to a server that can be stalled, so that a connection hangs as it does in the world."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536


class StallingProxy:
    """Passes bytes between its port and a server's until the door is stalled.

    Attributes:
        lets_pass: bytes that a connection gets of the server before it hangs; None: all.
        has_stalled: set when a connection first hangs.
    """

    def __init__(self, port: int, lets_pass: int | None) -> None:
        self._server, self.lets_pass = port, lets_pass
        self.has_stalled = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def serve(self) -> None:
        """Takes connections until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self._open.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    _close(client)
                    continue
                self._open.append(server)
                threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._give, args=(server, client), daemon=True).start()

    def cut(self) -> None:
        """Ends all connections, also those that hang."""
        while self._open:
            _close(self._open.pop())

    def close(self) -> None:
        """Cuts, and takes no more."""
        _close(self._door)
        self.cut()

    def _give(self, server: socket.socket, client: socket.socket) -> None:
        """What the server says, up to the limit; what comes after that is held back for ever."""
        given = 0
        with suppress(OSError):
            while chunk := server.recv(_CHUNK):
                given += len(chunk)
                if self.lets_pass is not None and given > self.lets_pass:
                    self.has_stalled.set()
                    return
                client.sendall(chunk)
        _close(client)


@contextmanager
def stalling_proxy(port: int, lets_pass: int | None = None) -> Iterator[StallingProxy]:
    """A door to the server at ``port`` of this machine."""
    door = StallingProxy(port, lets_pass)
    threading.Thread(target=door.serve, daemon=True).start()
    try:
        yield door
    finally:
        door.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    _close(target)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
