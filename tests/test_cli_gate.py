"""Who may look at what `scenetex view` serves: the rules, and real viser behind them where it is installed."""

import http.client
import re
import socket

import numpy as np
import pytest
import trimesh

from scenetex import InputError
from scenetex.cli.gate import Gate, gated
from scenetex.cli.view import Exhibit, serve

GATE = Gate("word")
HERE = ("/word/", ["localhost:8080"], [])


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:8080"])
@pytest.mark.parametrize("path", ["/word/", "/word", "/word/?websocket=x"])
def test_own_pages_pass(host, path):
    assert GATE.refusal(path, [host], [], 8080) is None
    assert GATE.refusal(path, [host], [f"http://{host}"], 8080) is None


@pytest.mark.parametrize(
    ("path", "hosts", "origins", "says"),
    [
        ("/word/", ["evil.example:8080"], [], "own name"),
        ("/word/", ["localhost.evil.example:8080"], [], "own name"),
        ("/word/", ["localhost"], [], "own name"),
        ("/word/", ["localhost:9090"], [], "own name"),
        ("/word/", ["192.168.0.2:8080"], [], "own name"),
        ("/word/", [], [], "own name"),
        ("/word/", ["localhost:8080", "localhost:8080"], [], "own name"),
        ("/word/", ["localhost:8080"], ["http://evil.example"], "another origin"),
        ("/word/", ["localhost:8080"], ["null"], "another origin"),
        ("/word/", ["localhost:8080"], ["http://localhost:9090"], "another origin"),
        ("/word/", ["localhost:8080"], ["https://localhost:8080"], "another origin"),
        ("/word/", ["localhost:8080"], ["http://127.0.0.1:8080"], "another origin"),
        ("/word/", ["localhost:8080"], ["http://localhost:8080", "http://evil.example"], "another origin"),
        ("/", ["localhost:8080"], [], "without the word"),
        ("/wor", ["localhost:8080"], [], "without the word"),
        ("/words/", ["localhost:8080"], [], "without the word"),
        ("/?word", ["localhost:8080"], [], "without the word"),
        ("//word/", ["localhost:8080"], [], "without the word"),
        ("/\udce9", ["localhost:8080"], [], "without the word"),
        ("/\u00e4", ["localhost:8080"], [], "without the word"),
        ("", ["localhost:8080"], [], "without the word"),
    ],
)
def test_strangers_do_not(path, hosts, origins, says):
    assert says in GATE.refusal(path, hosts, origins, 8080)


def test_words_are_long_and_never_the_same():
    words = {Gate().word for _ in range(50)}
    assert len(words) == 50 and all(re.fullmatch(r"[\w-]{24}", word) for word in words)


def test_a_viser_that_goes_another_way_is_not_let_run():
    pytest.importorskip("websockets", reason="comes with viser, the extra view")
    with pytest.raises(InputError, match="pip install 'viser"), gated(GATE):
        pass


@pytest.fixture(scope="module")
def served():
    """A viewer of a box, and its gate."""
    pytest.importorskip("viser", reason="needs viser, the extra view")
    gate = Gate()
    glb = trimesh.Scene(trimesh.creation.box()).export(file_type="glb")
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    box, start = np.array([[-1.0, -1, -1], [1, 1, 1]]), (np.zeros(3), np.array([1.0, 0, 0]))
    server = serve(Exhibit(glb, box, start), port, gate)
    yield server, gate
    server.stop()


def get(port: int, path: str, **headers) -> tuple[int, bytes, dict]:
    connection = http.client.HTTPConnection("localhost", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


def test_pages(served):
    server, gate = served
    port = server.get_port()
    status, page, headers = get(port, f"/{gate.word}/")
    assert status == 200 and b"<html" in page
    assert headers["referrer-policy"] == "no-referrer" and headers["x-frame-options"] == "DENY"
    for path, more in (("/", {}), ("/index.html", {}), (f"/{gate.word}/", {"Host": "evil.example"})):
        status, page, _ = get(port, path, **more)
        assert status == 403 and b"<html" not in page and gate.word.encode() not in page
    assert get(port, f"/{gate.word}/", Origin="http://evil.example")[0] == 403
    assert get(port, f"/{gate.word}/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    ("origin", "host", "word", "passes"),
    [
        ("http://localhost:{port}", None, True, True),
        (None, None, True, True),
        ("http://evil.example", None, True, False),
        ("http://localhost:1", None, True, False),
        ("null", None, True, False),
        ("http://evil.example:{port}", "evil.example:{port}", True, False),
        ("http://localhost:{port}", None, False, False),
    ],
)
def test_websockets(served, origin, host, word, passes):
    """What viser's page does: it says which version it is, and gets the mesh."""
    import viser
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    server, gate = served
    port = server.get_port()
    path, name = f"/{gate.word}" if word else "/", (host or "localhost:{port}").format(port=port)
    protocol = [f"viser-v{viser.__version__}"]
    with socket.create_connection(("localhost", port)) as raw:
        options = {"origin": origin and origin.format(port=port), "subprotocols": protocol, "max_size": None}
        if not passes:
            with pytest.raises(InvalidStatus, match="403"):
                connect(f"ws://{name}{path}", sock=raw, compression=None, **options)
            return
        with connect(f"ws://{name}{path}", sock=raw, compression=None, **options) as client:
            assert len(client.recv(timeout=20)) > 0


def test_there_is_no_tunnel(served):
    server, _ = served
    assert server.request_share_url() is None
    assert server.gui._websock_interface is not None
    sent = [
        m for m in server._websock_server._broadcast_buffer.message_from_id.values() if hasattr(m, "show_share_button")
    ]
    assert sent and all(message.show_share_button is False for message in sent)


def test_only_this_machine_is_listened_to(served):
    """Every socket that listens on the port has a loopback address."""
    port, found = served[0].get_port(), []
    for table, size in (("tcp", 8), ("tcp6", 32)):
        for row in open(f"/proc/net/{table}").read().splitlines()[1:]:
            local, state = row.split()[1], row.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                found.append(local[:size])
    assert found and set(found) <= {"0100007F", "0" * 24 + "01000000"}
