"""Runs one Pulumi program in a process of its own: connects the SDK to the Pulumi engine, and logs what it raises.

Started by path with the program's interpreter, which need not have this project installed: it imports only the SDK.
Arguments: the SDK's settings as a JSON object, the program's path, the program's own arguments.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import pulumi
import pulumi.runtime

LOGGED = 32  # program_runs.LOGGED
THREADS_PER_OPERATION = 4


def main(settings: pulumi.runtime.Settings, program: str, *arguments: str) -> int:
    """Run the program and return the exit code: 0, 1 after its RunError, LOGGED after any other exception."""
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(settings)
    sys.argv = [program, *arguments]
    # A program that failed leaves futures that nothing awaits: asyncio would log each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    threads = ThreadPoolExecutor(max_workers=max(settings.parallel or 0, 1) * THREADS_PER_OPERATION)
    loop.set_default_executor(threads)
    try:
        code = _run(loop, program)
        threads.shutdown(wait=True)
        loop.close()
    except KeyboardInterrupt:
        # The Pulumi engine has interrupted it and reports why; threads that wait for an answer get none any more.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(LOGGED)
    return code


def _run(loop: asyncio.AbstractEventLoop, program: str) -> int:
    def body() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(body))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception as error:
        text = traceback_from(error, os.path.abspath(program))
        pulumi.log.error(f"Program failed with an unhandled exception:\n{text}")
        return LOGGED
    return 0


def traceback_from(error: BaseException, program: str) -> str:
    """Return the traceback from the program's own first frame on; the whole one when it has no such frame."""
    main_file = program if program.endswith(".py") else os.path.join(program, "__main__.py")
    frames = traceback.extract_tb(error.__traceback__)
    own = next((index for index, frame in enumerate(frames) if os.path.abspath(frame.filename) == main_file), 0)
    return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=own - len(frames)))


if __name__ == "__main__":
    sys.exit(main(pulumi.runtime.Settings(**json.loads(sys.argv[1])), *sys.argv[2:]))
