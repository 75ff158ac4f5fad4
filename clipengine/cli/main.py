"""The command `clipengine`: which commands there are, and how every one of them fails.

A failure is one line `error: … (code)` and a line that says what to do, on standard error. Exit codes: 0 done,
1 failed, 2 the arguments or the values in them are wrong, 130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

import click

from clipengine import __version__
from clipengine.cli import output
from clipengine.cli.examples import with_examples
from clipengine.errors import ClipEngineError, RequestError, by_code

# Named here and imported when asked for: `keys create` need not wait for what `cut` imports.
_COMMANDS = {
    "init": "clipengine.cli.init:init",
    "serve": "clipengine.cli.serve:serve",
    "worker": "clipengine.cli.worker:worker",
    "cut": "clipengine.cli.cut:cut",
    "recordings": "clipengine.cli.recordings:recordings",
    "clips": "clipengine.cli.clips:clips",
    "keys": "clipengine.cli.keys:keys",
    "webhooks": "clipengine.cli.webhooks:webhooks",
    "config": "clipengine.cli.config:config",
    "doctor": "clipengine.cli.doctor:doctor",
    "backup": "clipengine.cli.backup:backup",
    "restore": "clipengine.cli.backup:restore",
    "reset-secrets": "clipengine.cli.reset_secrets:reset_secrets",
    "completion": "clipengine.cli.completion:completion",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        return with_examples(getattr(importlib.import_module(module), name), cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="clipengine", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Where something unexpected happens, show the whole traceback.")
def cli(traceback: bool) -> None:
    """Slice completed recordings into exact clips, on your own machine.

    Commands that need a server find it by CLIPENGINE_URL (default http://127.0.0.1:8377) and
    CLIPENGINE_API_KEY.

    \b
    The first clip:
      clipengine serve                                  # prints an API key the first time
      export CLIPENGINE_API_KEY=relay_live_…
      clipengine recordings add --upload meeting.mp4 --wait
      clipengine clips create REC_ID key-moment --start 1:02.5 --end 1:10 --wait --download

    \b
    Exit codes: 0 done, 1 failed, 2 the arguments or the values in them are wrong, 130 interrupted.
    """


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    logging.getLogger().addHandler(logging.NullHandler())  # what goes wrong is said once, by the error line
    try:
        code = cli.main(list(arguments) or ["--help"], prog_name="clipengine", standalone_mode=False)
    except click.exceptions.Abort:
        output.say("interrupted")
        return 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "clipengine"
        output.fail(error.format_message(), "bad_arguments", f"`{path} --help` shows what it takes.")
        return 2
    except ClipEngineError as error:
        output.fail(error.message, error.code, error.hint)
        return 2 if isinstance(error, RequestError) else 1
    except Exception as error:
        if (code := _failed_at_the_server(error)) is not None:
            return code
        if "--traceback" in arguments:
            raise
        reason = f"{type(error).__name__}: {error}"
        output.fail(reason, "internal", "Run it again with `clipengine --traceback …` and report what it shows.")
        return 1
    return code if isinstance(code, int) else 0


def _failed_at_the_server(error: Exception) -> int | None:
    """Say what the server, or the way to it, refused; the exit code. None where it is another error."""
    # Imported where something has failed: `cut` need not wait for an HTTP client that it does not use.
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
