"""A tracking server that is down, or answers wrongly: the cells finish, and another store is filled afterwards."""

from __future__ import annotations

import socket
import time
from random import Random

from tests.faults.kinds.kind import Did, Kind, did, set_world
from tests.faults.world import World

ANSWERS = {
    "errors": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "nonsense": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
    "no HTTP": b"\x00\x01\x02",
    "nothing, and hangs up": b"",
}


def _down(world: World, draw: Random) -> Did:
    at = set_world(world, draw)
    how = draw.choice(("refuses", *ANSWERS))
    live = draw.random() < 0.4
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if how == "refuses":
            listening.close()
        else:
            listening.listen(64)
        options = [f"paths.tracking_uri=http://127.0.0.1:{port}", f"site.live_tracking={str(live).lower()}"]
        run = world.start("multirun", *options)
        while run.poll() is None:
            _answer(listening, ANSWERS.get(how))
        run.wait()
    return did(f"{at}, the server answers: {how}{', live' if live else ''}")


def _answer(listening: socket.socket, answer: bytes | None) -> None:
    if answer is None:
        time.sleep(0.05)
        return
    listening.settimeout(0.1)
    try:
        connection, _ = listening.accept()
    except TimeoutError:
        return
    with connection:
        connection.settimeout(0.5)
        try:
            connection.recv(65536)
            connection.sendall(answer)
        except OSError:
            return


KINDS = (Kind("the tracking server is down", "refuses, errors, nonsense, hangs up", _down, 3),)
