"""The inside of a worker process: takes scenes from a pipe, says what it is doing, and ends with its parent."""

import os
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from ..job.options import TextureOptions
from ..job.stages import Done
from ..process.console import debugging
from ..process.interrupt import interruptible
from ..process.memory import spare_address_space
from ..process.signals import terminable
from .one_scene import attempt

_OFTEN = 0.1  # seconds between two messages about steps
_PATIENCE = 5.0  # seconds to tidy up in when the parent is gone


def work(connection: Connection, options: TextureOptions, lane: int, debug: bool = False) -> None:
    """Works on the scenes that come through the pipe until it closes; `debug`: says on stderr all that is logged.

    Sends ("ready",), ("begin", stage, steps), ("steps", stage, count), ("end", stage) and ("outcome", Outcome).
    """
    # Ctrl-C reaches the whole group of processes: the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow_parent, daemon=True).start()
    lock = threading.Lock()

    def send(*message) -> None:
        with lock:
            connection.send(message)

    @contextmanager
    def watch(stage: str, steps: int | None) -> Iterator[Done]:
        told, count = time.monotonic(), 0

        def done() -> None:
            nonlocal told, count
            count += 1
            if time.monotonic() - told > _OFTEN:
                send("steps", stage, count)
                told, count = time.monotonic(), 0

        send("begin", stage, steps)
        try:
            yield done
        finally:
            send("end", stage)

    with terminable(), interruptible(own=True), debugging(debug):
        try:
            _prepare(options, lane)
            send("ready")
            while True:
                send("outcome", attempt(connection.recv(), options, watch))
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            pass


def _prepare(options: TextureOptions, lane: int) -> None:
    """Limits OpenCV to as many threads as everything else, and takes the worker's GPU."""
    spare_address_space()
    if options.workers:
        import cv2

        cv2.setNumThreads(options.threads or 1)
    if options.generation() is not None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(lane % torch.cuda.device_count())


def follow_parent() -> None:
    """Ends this process when its parent has died: it would go on unseen and keep its scene locked."""
    wait([parent_process().sentinel])
    if sys.platform == "win32":  # where os.kill ends it without a word
        interrupt_main(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)
