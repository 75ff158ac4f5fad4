"""Groups of commands that name the command that was probably meant."""

from __future__ import annotations

import difflib

import click

# Names of commands in other programs, and their names here.
_OTHER_NAMES = {
    "upload": "add --upload",
    "register": "add",
    "delete": "rm",
    "remove": "rm",
    "ls": "list",
    "new": "create",
    "cut": "create",
    "get": "show",
    "edit": "update",
    "rename": "update",
    "search": "list --search",
}


class Commands(click.Group):
    """A group whose error for an unknown command suggests another."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            meant = self._meant(ctx, args[0])
            if meant is None:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean '{meant}'?", ctx) from None

    def _meant(self, ctx: click.Context, name: str) -> str | None:
        commands = self.list_commands(ctx)
        other = _OTHER_NAMES.get(name, "")
        if other.partition(" ")[0] in commands:
            return f"{ctx.info_name} {other}"
        return next(iter(difflib.get_close_matches(name, commands, n=1)), None)
