"""The command line: its verbs, and how errors end it."""

import sys
from collections.abc import Callable, Sequence

import typer

from cli.deployed import REPORTED
from cli.errors import NOT_RUN, CommandError
from cli.verbs.analytics import analytics
from cli.verbs.backup import backup
from cli.verbs.backups import backups
from cli.verbs.logs import logs
from cli.verbs.move_files import move_files
from cli.verbs.open import open_browser
from cli.verbs.psql import psql
from cli.verbs.reset import reset
from cli.verbs.restart import restart
from cli.verbs.restore import restore
from cli.verbs.shell import shell
from cli.verbs.start import start
from cli.verbs.status import status
from cli.verbs.stop import stop

NAME = "dhis2-cluster"
VERBS: dict[str, Callable[..., None]] = {
    "status": status,
    "logs": logs,
    "psql": psql,
    "shell": shell,
    "backup": backup,
    "backups": backups,
    "restore": restore,
    "reset": reset,
    "move-files": move_files,
    "analytics": analytics,
    "restart": restart,
    "stop": stop,
    "start": start,
    "open": open_browser,
}

app = typer.Typer(
    name=NAME,
    help="What Pulumi has no verb for: see and operate a deployed stack. To deploy and change it: pulumi up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, verb in VERBS.items():
    app.command(name)(verb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name=NAME)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except REPORTED as error:
        print(f"error: Docker Engine reports: {error}", file=sys.stderr)
        return NOT_RUN
    return 0
