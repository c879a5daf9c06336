"""What all stand-ins share: a gRPC server on a free port, its number on standard output, an end with the engine's."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures

from offline.plugins.rpc import Server, server

# As the engine's own: uploaded files travel in these messages.
MESSAGE_BYTES = 400 * 1024 * 1024
OPTIONS = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
# A create may wait minutes for a health check, so there must be more threads than resources created at once.
THREADS = 256
LOOK_SECONDS = 1.0


def serve(add: Callable[[Server], None]) -> int:
    """Serve what `add` puts on the server until the engine ends this process or ends itself."""
    serving = server(futures.ThreadPoolExecutor(max_workers=THREADS), OPTIONS)
    add(serving)
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_end_with, args=(os.getppid(), stopping), daemon=True).start()
    print(port, flush=True)  # how the engine learns where to call
    stopping.wait()
    serving.stop(grace=None)
    sys.stdout.flush()
    os._exit(0)  # threads that still wait for a container have nobody left to tell


def _end_with(parent: int, stopping: threading.Event) -> None:
    """End when the engine was killed: a plugin without one would stay for ever."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    stopping.set()
