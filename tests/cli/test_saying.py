from __future__ import annotations

import logging

import pytest

from toil_core import cli
from toil_core.builtin import toil_commands
from toil_core.cli.saying import said
from toil_core.cluster.arguments import tell
from toil_core.errors import BadOption, UsageError
from toil_core.leader.options import EngineOptions
from toil_core.option_parser import OptionParser, config_from
from toil_core.options import Command, Config
from toil_core.telling import Trouble
from toil_core.telling_options import TellingOptions
from toil_core.workflow.initial import config_of

COMMANDS = [command for command in toil_commands() if command.name not in ("run", "config", "plugins", "completion")]
"""Those with options of their own; of a run its script has them."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize(("flag", "level"), [("--quiet", "WARNING"), ("-q", "WARNING"), ("--logDebug", "DEBUG"), ("--logLevel=off", "OFF")])
def test_how_much_is_said_is_asked_for_in_the_same_way_of_every_command(command: Command, flag: str, level: str) -> None:
    parser = OptionParser(command.name)
    cli.configure(parser, command)
    action = parser._option_string_actions[flag.partition("=")[0]]
    found = parser.parse_args([flag, *words(parser)])
    assert action.dest == "telling.log_level"
    assert config_from(found)[TellingOptions].log_level == level


def words(parser: OptionParser) -> list[str]:
    """What the parser cannot do without."""
    given = ["1" if action.option_strings else (list(action.choices) if action.choices else ["x"])[0] for action in parser._actions if action.required]
    flags = [action.option_strings[:1] for action in parser._actions if action.required]
    return [word for flag, value in zip(flags, given, strict=True) for word in (*flag, value)]


@pytest.mark.parametrize(
    ("level", "shown"), [("DEBUG", "a b c d"), ("INFO", "b c d"), ("WARNING", "c d"), ("ERROR", "d"), ("OFF", "")]
)
def test_progress_and_warnings_are_shown_from_the_level_on(level: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with said(Config([TellingOptions(level)])):  # type: ignore[arg-type]
        logging.getLogger("toil.cloud").debug("%s", "a")
        tell("b")
        tell(Trouble("c"))
        logging.getLogger("toil.cloud").error("d")
    assert capsys.readouterr().err.split() == [word for each in shown.split() for word in ("toil:", each)]


def test_a_level_that_is_none_is_an_error() -> None:
    parser = OptionParser("status")
    cli.configure(parser, next(command for command in COMMANDS if command.name == "status"))
    with pytest.raises(UsageError, match="'loud' is not a level of logging"):
        config_from(parser.parse_args(["--log-level", "loud", "x"]))


def test_a_workflow_s_own_level_is_no_command_s() -> None:
    """Both options are called `log_level`, as users type them alike."""
    found = config_of({"log_level": "DEBUG"})
    assert (found[EngineOptions].log_level, found[TellingOptions].log_level) == ("DEBUG", "INFO")
    with pytest.raises(BadOption, match="there is no option least_workers"):
        config_of({"least_workers": "1"})
