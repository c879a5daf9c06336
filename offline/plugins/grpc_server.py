"""What all fake plugins share: a gRPC server on a free port that ends with the Pulumi CLI.

The one module that imports the grpc library, which has no types.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, NoReturn

import grpc  # type: ignore[import-untyped]

UNKNOWN_CODE: Any = grpc.StatusCode.UNKNOWN  # what Pulumi's plugins answer for everything that fails
UNIMPLEMENTED_CODE: Any = grpc.StatusCode.UNIMPLEMENTED
# As Pulumi's own limit: uploaded files travel in these messages.
MESSAGE_BYTES = 400 * 1024 * 1024
OPTIONS = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
# A create may take minutes, so there are more threads than resources are created at once.
THREADS = 256
POLL_SECONDS = 1.0
Context = Any  # grpc.ServicerContext


def serve(add_to: Callable[[Any, Any], None], servicer: object) -> int:
    """Serve until the Pulumi CLI ends this process or ends itself; `add_to` adds the servicer to a server."""
    # A method that a plugin leaves unimplemented is answered as such; its traceback would reach the person.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS), options=OPTIONS)
    add_to(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_stop_with_parent, args=(os.getppid(), stopping), daemon=True).start()
    print(port, flush=True)  # the Pulumi CLI reads where to call
    stopping.wait()
    server.stop(grace=None)
    sys.stdout.flush()
    os._exit(0)  # threads that still wait for Docker have no caller any more


def abort(context: Context, code: Any, message: str) -> NoReturn:  # noqa: ANN401 - grpc's own enumeration
    """End the call that `context` stands for with an error."""
    context.abort(code, message)
    raise AssertionError("grpc's abort raises")


def _stop_with_parent(parent: int, stopping: threading.Event) -> None:
    # A killed Pulumi CLI ends none of its plugins.
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    stopping.set()
