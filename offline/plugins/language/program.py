"""Runs one Pulumi program in its own process: connects the SDK to the engine, runs it, and words what it raises.

Started by path with the program's own interpreter, which may have nothing of this project: it imports only the SDK.
"""

import argparse
import asyncio
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

SHOWN = 32  # running.SHOWN
THREADS_PER_OPERATION = 4
OPTIONS = ("monitor", "engine", "project", "root_directory", "stack", "pwd", "dry_run", "parallel", "tracing")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the runner's options, the program's path and its own arguments."""
    parser = argparse.ArgumentParser(prog="pulumi-language-python-exec", description=__doc__)
    for name in (*OPTIONS, "organization"):
        parser.add_argument(f"--{name}")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return the exit code: 0; 1 when it fails with a message; SHOWN when more need not be said."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        import pulumi  # noqa: F401, PLC0415 - may be missing, which is worth a sentence
    except ImportError:
        print(
            f"{traceback.format_exc()}\nThe Pulumi SDK is not installed for {sys.executable}."
            " Install what requirements.txt names: pulumi install",
            file=sys.stderr,
        )
        return 1
    parallel = int(options.parallel or 0)
    _connect(options, parallel)
    sys.argv = [options.program, *options.arguments]
    if options.pwd:
        os.chdir(options.pwd)
    # Of a program that failed, futures stay that nobody waits for any more: asyncio would tell the person of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    threads = ThreadPoolExecutor(max_workers=max(parallel, 1) * THREADS_PER_OPERATION)
    loop.set_default_executor(threads)
    try:
        code = _run(loop, options.program)
        threads.shutdown(wait=True)
        loop.close()
    except KeyboardInterrupt:
        # The engine has ended it, and says why; threads that still wait for an answer get none any more.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(SHOWN)
    return code


def _connect(options: argparse.Namespace, parallel: int) -> None:
    import pulumi.runtime  # noqa: PLC0415 - only after it is known to be there

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=options.project,
            root_directory=options.root_directory,
            stack=options.stack,
            parallel=parallel,
            dry_run=options.dry_run == "true",
            monitor=options.monitor,
            engine=options.engine,
            organization=options.organization,
        )
    )


def _run(loop: asyncio.AbstractEventLoop, program: str) -> int:
    import pulumi  # noqa: PLC0415

    path = os.path.abspath(program)
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "__main__.py")):
        pulumi.log.error(f"unable to find main python program `__main__.py` in `{path}`")
        return SHOWN

    def body() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(body))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception as error:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{own_traceback(error, path)}")
        return SHOWN
    return 0


def own_traceback(error: BaseException, program: str) -> str:
    """Return the traceback from the program's own first frame on; whole when it has none."""
    main_file = program if program.endswith(".py") else os.path.join(program, "__main__.py")
    frames = traceback.extract_tb(error.__traceback__)
    for index, frame in enumerate(frames):
        if os.path.abspath(frame.filename) == main_file:
            limit = index - len(frames)
            return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=limit))
    return "".join(traceback.format_exception(error))


if __name__ == "__main__":
    sys.exit(main())
