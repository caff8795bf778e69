"""Who may look at what `scenetex view` serves: pages from its own address, by those who know the word in it.

Any page in the same browser can ask a server on this machine, and by a name that its owner points here (DNS rebinding),
read what it says. Hence three questions of each request: is it to this machine by name, does it come from a page that
was served here, and is the word in it.
"""

import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ..errors import InputError

_NAMES = ("localhost", "127.0.0.1", "[::1]")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Gate:
    """What a request has to know and to say.

    Attributes:
        word: first part of the path in the address.
    """

    word: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def refusal(self, path: str, hosts: list[str], origins: list[str], port: int) -> str | None:
        """Why a request is not answered, or None if it is.

        Args:
            path: of the request, with the word.
            hosts, origins: all values of these headers.
            port: that it came in by.
        """
        here = [f"{name}:{port}" for name in _NAMES]
        if len(hosts) != 1 or hosts[0].lower() not in here:
            return "not to this machine by its own name"
        # Browsers say where a page came from that opens a websocket; other programs have no origin.
        if origins and (len(origins) != 1 or origins[0].lower() != f"http://{hosts[0].lower()}"):
            return "from a page of another origin"
        said = path.partition("?")[0].split("/")[1:2]
        if not said or not hmac.compare_digest(said[0].encode(errors="replace"), self.word.encode()):
            return "without the word in the address"
        return None

    def before(self, answer: Callable) -> Callable:
        """`answer`, websockets' `process_request`, for requests that pass; it does not see the word."""

        def process(connection, request):
            port = connection.transport.get_extra_info("sockname")[1]
            hosts, origins = (request.headers.get_all(name) for name in ("Host", "Origin"))
            why = self.refusal(request.path, hosts, origins, port)
            if why is not None:
                return connection.respond(403, f"Refused: {why}. Open the address that scenetex view printed.\n")
            response = answer(connection, replace(request, path=request.path.removeprefix(f"/{self.word}") or "/"))
            if response is not None:
                response.headers.update(_HEADERS)
            return response

        return process


@contextmanager
def gated(gate: Gate) -> Iterator[None]:
    """A server of websockets that starts in the block, as viser's does, answers through the gate.

    Raises:
        InputError: none has started by the end of the block: this version of viser goes about it in another way.
    """
    from websockets.asyncio import server

    plain, started = server.serve, []

    def serve(*args, process_request: Callable, **options):
        started.append(True)
        return plain(*args, process_request=gate.before(process_request), **options)

    server.serve = serve
    try:
        yield
    finally:
        server.serve = plain
    if not started:
        raise InputError("this version of viser cannot be kept from strangers; pip install 'viser>=1.1,<1.2'")
