"""The settings of the command table as flags of a command line."""

import argparse
from collections.abc import Iterable

from daemon.interface import commands
from daemon.interface.config import Settings


def add_setting_flags(parser: argparse.ArgumentParser, names: Iterable[str] | None = None) -> None:
    """Declare a flag for each setting, or for those in `names`; none has a value by default."""
    for command in commands.settings():
        if names is None or command.name in names:
            (parameter,) = command.parameters
            parser.add_argument(
                f"--{command.name.replace('_', '-')}",
                metavar=parameter.range_text.replace(" to ", ".."),
                help=f"{command.help} (default {command.default})",
            )


def settings_of(
    args: argparse.Namespace, settings: Settings, names: Iterable[str] | None = None
) -> Settings:
    """Return `settings` with the flags that were given. Raises CommandError."""
    for command in commands.settings():
        if names is None or command.name in names:
            value = getattr(args, command.name)
            if value is not None:
                settings = settings.changed(command.name, value)
    return settings
