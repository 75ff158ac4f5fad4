"""The command `clipengine`: list of commands and error reporting.

An error is reported on standard error as a line `error: … (code)` and a line with a hint. Exit codes: 0 success,
1 failure, 2 invalid arguments or values, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import click

from clipengine import __version__
from clipengine.cli import output
from clipengine.cli.examples import with_examples
from clipengine.cli.groups import Commands
from clipengine.cli.lasting_imports import import_lasting
from clipengine.errors import ClipEngineError, RequestError, by_code

# Imported on use, because some commands import slow modules.
_COMMANDS = {
    "init": "clipengine.cli.operator.init:init",
    "serve": "clipengine.cli.operator.serve:serve",
    "worker": "clipengine.cli.operator.worker:worker",
    "cut": "clipengine.cli.local.cut:cut",
    "transcribe": "clipengine.cli.local.transcribe:transcribe",
    "verify": "clipengine.cli.local.verify:verify",
    "recordings": "clipengine.cli.remote.recordings:recordings",
    "clips": "clipengine.cli.remote.clips:clips",
    "transcripts": "clipengine.cli.remote.transcripts:transcripts",
    "mcp": "clipengine.cli.remote.mcp:mcp",
    "keys": "clipengine.cli.operator.keys:keys",
    "webhooks": "clipengine.cli.remote.webhooks:webhooks",
    "rules": "clipengine.cli.remote.rules:rules",
    "config": "clipengine.cli.operator.config:config",
    "status": "clipengine.cli.remote.status:status",
    "doctor": "clipengine.cli.operator.doctor:doctor",
    "backup": "clipengine.cli.operator.backup:backup",
    "restore": "clipengine.cli.operator.backup:restore",
    "ledger": "clipengine.cli.operator.ledger:ledger",
    "audit": "clipengine.cli.operator.audit:audit",
    "reset-secrets": "clipengine.cli.operator.reset_secrets:reset_secrets",
    "completion": "clipengine.cli.operator.completion:completion",
}
# Headings of the help.
_GROUPS = {
    "With a server": ("recordings", "clips", "transcripts", "webhooks", "rules", "status", "mcp"),
    "Without a server": ("cut", "transcribe", "verify"),
    "Run a server": ("init", "serve", "worker", "config", "keys", "doctor"),
    "Keep its data": ("backup", "restore", "ledger", "audit", "reset-secrets"),
    "Shell": ("completion",),
}


class _Commands(Commands):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        room = formatter.width - 6 - width
        for title, names in _GROUPS.items():
            commands = [(name.ljust(width), self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, each.get_short_help_str(room)) for name, each in commands if each])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        return with_examples(getattr(import_lasting(module), name), cmd_name)


_HELP = """\
Cut exact clips from completed recordings, on your own machine.

Commands that need a server use CLIPENGINE_URL (default http://127.0.0.1:8377) and
CLIPENGINE_API_KEY.

\b
To cut a clip:
  clipengine serve                                  # prints an API key at the first start
  export CLIPENGINE_API_KEY=relay_live_…
  clipengine recordings add --upload meeting.mp4 --wait
  clipengine clips create REC_ID key-moment --start 1:02.5 --end 1:10 --wait --download

\b
Exit codes: 0 success, 1 failure, 2 invalid arguments or values, 130 interrupted.
"""


@click.group(
    cls=_Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="clipengine", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Show the traceback of an unexpected error.")
def cli(traceback: bool) -> None:
    """Dispatch to a command."""


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    logging.getLogger().addHandler(logging.NullHandler())  # errors are printed once, by `output.fail`
    try:
        code = cli.main(list(arguments) or ["--help"], prog_name="clipengine", standalone_mode=False)
    except click.exceptions.Abort:
        output.say("interrupted")
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "clipengine"
        output.fail(error.format_message(), "bad_arguments", f"`{path} --help` shows the arguments.")
        return 2
    except ClipEngineError as error:
        general = error.hint == RequestError.default_hint
        output.fail(error.message, error.code, "Correct the arguments and run it again." if general else error.hint)
        return 2 if isinstance(error, RequestError) else 1
    except Exception as error:
        if (code := _report_client_error(error)) is not None:
            return code
        if "--traceback" in arguments:
            raise
        reason = f"{type(error).__name__}: {error}"
        output.fail(reason, "internal", "Run the command again with `clipengine --traceback …` and report its output.")
        return 1
    return code if isinstance(code, int) else 0


def _report_client_error(error: Exception) -> int | None:
    """Report an error of the HTTP client and return the exit code, or None for any other error."""
    # Imported here, because not all commands need the HTTP client.
    from clipengine.client import ApiError, ClientError

    if isinstance(error, ApiError):
        output.fail(error.detail, error.code, error.hint or by_code(error.code).default_hint)
        return 2 if error.status in (400, 422) else 1
    if isinstance(error, ClientError):
        output.fail(str(error), error.code, error.hint)
        return 1
    return None


if __name__ == "__main__":
    main()
