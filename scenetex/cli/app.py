"""``scenetex app``: a page in the browser to try it on, served on this machine."""

import os
import socket
import time
import webbrowser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..errors import InputError, extra, shown
from ..limits import DEVICE, THREADS, Between, PathOrName
from ..process.console import say
from ..process.environment import environment
from .guarded import guarded
from .parsing import parse

_HERE = ("127.0.0.1", "localhost", "::1")
_PORTS = 100  # that are tried, from the first on
_MOST_DROPPED = "8gb"
# What gradio looks up in its environment, each time anew or as it is imported. It would tell its makers of every start.
_ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class AppOptions:
    """Serves a page: choose or drop a scan, type a sentence, turn the result in the browser."""

    root: Path | None = None
    """Folder of scans that the page offers beside the sample room; nothing outside of it is read."""
    model: Annotated[str, PathOrName] = "mini"
    """Model that generates: a folder in diffusers layout or a Hub id."""
    controlnet: Annotated[str | None, PathOrName] = None
    """Depth ControlNet, folder or Hub id, for models that do not take depth."""
    device: Annotated[str, DEVICE] = "auto"
    """Where to generate: auto, cpu, cuda, or cuda:N for one of several GPUs."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    host: str = "127.0.0.1"
    """Where the page is served: this machine only, or 0.0.0.0 for whoever reaches it; there is no password."""
    port: Annotated[int, Between(1, 65535)] = 7860
    """Port of the page; the next free one if it is taken."""
    share: bool = False
    """Let gradio's makers pass the page on, under an address of theirs, to whoever knows that."""
    open: bool = True
    """Open it in the browser."""


def main(arguments: list[str] | None = None, program: str = "scenetex app") -> int:
    """Runs the command until Ctrl-C; the exit code: 0, or 2 after bad input."""

    def work() -> int:
        options = parse(AppOptions, program, arguments)
        _require_gradio()
        with TemporaryDirectory(prefix="scenetex-app-", ignore_cleanup_errors=True) as home:
            return _serve(options, Path(os.path.realpath(home)))

    return guarded(program, work)


def _require_gradio() -> None:
    if find_spec("gradio") is None:
        raise InputError(f"scenetex app needs gradio, which is not installed; {extra('app')}")


def _serve(options: AppOptions, home: Path) -> int:
    from ..app.offered import Offered
    from ..app.wish import Setup

    offered = Offered(options.root, home)
    offered.names()  # a folder that cannot be read is said now
    with environment(_told_to_gradio(home)):
        from ..app.webpage import Desk, build, theme

        desk = Desk(home / "visits", offered, Setup(options.model, options.controlnet, options.device))
        page = build(desk)
        try:
            address = _launch(page, theme(), options)
            say(f"{address} (Ctrl-C ends it)")
            if options.open:
                webbrowser.open(address)
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            return 0
        finally:
            page.close(verbose=False)
            desk.close()


def _launch(page, theme, options: AppOptions) -> str:
    """Starts the server; the address of the page. Raises InputError where it cannot be served."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # A name that somebody points at this machine (DNS rebinding) is none of its own.
    named = [Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])]
    own = options.host in _HERE and not options.share
    try:
        page.launch(
            server_name=options.host,
            server_port=_free_port(options.host, options.port),
            share=options.share,
            theme=theme,
            max_file_size=_MOST_DROPPED,
            app_kwargs={"middleware": named} if own else {},
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            pwa=False,
            prevent_thread_lock=True,
            quiet=True,
            inbrowser=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"--host {options.host}: the page cannot be served ({error}); choose another, or check the proxy settings"
        ) from None
    if options.share and not page.share_url:
        raise InputError("--share: gradio's makers could not be reached; leave it out, or see above")
    return page.share_url or page.local_url


def _free_port(host: str, first: int) -> int:
    """The first free port from that on."""
    for port in range(first, min(first + _PORTS, 1 << 16)):
        try:
            kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(kind[0], kind[1]) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(kind[4])
            return port
        except (socket.gaierror, UnicodeError, OverflowError) as error:
            raise InputError(f"--host {shown(host, 60)}: is no address ({error}); give 127.0.0.1, say") from None
        except PermissionError:
            raise InputError(f"--port {port}: may not be used by you; choose one from 1024 on") from None
        except OSError as error:
            last = error
    raise InputError(f"--host {host}: no port from {first} on can be used ({last}); choose others")


def _told_to_gradio(home: Path) -> dict[str, str]:
    """Variables by which gradio keeps its files in `home`, and what it does to itself."""
    return _ENVIRONMENT | {"GRADIO_TEMP_DIR": str(home / "gradio")}
