"""`toil run SCRIPT`: run a workflow script as `python SCRIPT` would, or `python -m MODULE`, with errors that are easier to read."""

from __future__ import annotations

import argparse
import importlib.util
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from types import CodeType, ModuleType, TracebackType

from toil_core.cli import guarded
from toil_core.cli.as_json import add_json, print_json, stdout_on_stderr
from toil_core.errors import ToilError, UsageError, WorkflowFailed
from toil_core.option_parser import CONFIG_DEST, CONFIG_VARIABLE
from toil_core.options import Config, OptionParser

USES_CONFIG = False
"""The script reads it itself, with its own arguments."""
_ENGINE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_json(parser, "Print JSON: exit code, error, and each workflow's value and counts; what the script prints goes to standard error then. Stands before SCRIPT.")
    help = "A Python script, and what it takes: the job store's LOCATOR, its own arguments, any option of the engine (`toil run SCRIPT --help`)."
    add_module(parser)
    parser.add_argument("script", nargs=argparse.PARSER, metavar="SCRIPT", help=help)
    parser.epilog = (
        "exit codes: 0 when the workflow succeeded, 1 when it failed, 2 when something must be changed "
        "before it can run, 130 after Ctrl-C, 143 after SIGTERM, both ready for --restart."
    )


def add_module(parser: OptionParser) -> None:
    """Add the option that says that a script is named as a module."""
    parser.add_argument("-m", "--module", action="store_true", help="SCRIPT is the name of a module or a package, to be run as `python -m` would. Stands before it.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Run the script as the main program.

    Returns:
        0, or 1 when the script raised an error, which is then shown.

    Raises:
        UsageError: There is no such script, or it is not Python.
        SystemExit: The script left that way.
    """
    script, *rest = arguments.script[1:] if arguments.script[0] == "--" else arguments.script
    chosen = getattr(arguments, CONFIG_DEST, None)
    if chosen:
        os.environ[CONFIG_VARIABLE] = chosen
    program = _of_module(script) if arguments.module else _of_script(script)
    sys.argv = [script, *rest]
    return _told(program) if arguments.json else _ended(program)


def _of_script(script: str) -> Callable[[], None]:
    code = compiled(script)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=os.path.abspath(script), __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = main
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(script))

    def program() -> None:
        exec(code, main.__dict__)  # noqa: S102  it is the user's own program

    return program


def _of_module(name: str) -> Callable[[], None]:
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()

    def program() -> None:
        if not _can_be_run(name):
            raise UsageError(f"there is no module {name!r} that can be run, here or among what is installed; a package needs a __main__.py for that")
        runpy.run_module(name, run_name="__main__", alter_sys=True)

    return program


def _can_be_run(name: str) -> bool:
    """Whether there is such a module; a package has to have its own main module."""
    if name.startswith("."):
        return False
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            return False
        raise  # what it imports itself
    except ValueError:
        return False
    return found is not None and (found.submodule_search_locations is None or importlib.util.find_spec(f"{name}.__main__") is not None)


def _ended(program: Callable[[], None]) -> int:
    """Run it; an error of its own is shown, those of the engine are raised as they are."""
    try:
        program()
    except WorkflowFailed as error:
        raise WorkflowFailed(str(error), error.jobs) from error  # exit code 1, as `main` has it; 2 would mean something else
    except (ToilError, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001  whatever a user's program may raise
        show(error)
        return 1
    return 0


def _told(program: Callable[[], None]) -> int:
    """Run it, and print what came of it as JSON in place of what it prints."""
    from toil_core.workflow.tally import collecting

    error: str | None = None

    def watched() -> None:
        nonlocal error
        try:
            program()
        except SystemExit as ended:
            error = _reason(ended)
            raise
        except BaseException as raised:
            error = str(raised) if isinstance(raised, ToilError) else "".join(traceback.format_exception_only(raised)).strip()
            raise

    def ended() -> int:
        try:
            return _ended(watched)
        except SystemExit as left:
            return _exit_code(left)

    with stdout_on_stderr(), collecting() as runs:
        code = guarded(ended)
    print_json({"exit_code": code, "error": error, "runs": runs})
    return code


def _reason(ended: SystemExit) -> str | None:
    """Why a program left: what it says itself, or the engine's error that `main` has told already."""
    if isinstance(ended.code, str):
        return ended.code
    return str(ended.__context__) if ended.code and isinstance(ended.__context__, ToilError) else None


def _exit_code(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1


def compiled(script: str) -> CodeType:
    """The script's code.

    Raises:
        UsageError: There is no such file, it cannot be read, or it is not Python.
    """
    try:
        with open(script, "rb") as file:
            source = file.read()
    except FileNotFoundError:
        raise UsageError(f"there is no script {script}") from None
    except IsADirectoryError:
        raise UsageError(f"{script} is a folder, not a Python script; name the file in it that starts the workflow") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"script {script!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return compile(source, os.path.abspath(script), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f" (line {error.lineno})" if error.lineno else ""
        raise UsageError(f"{script} is not Python: {error.msg}{line}") from None
    except ValueError as error:
        raise UsageError(f"{script} is not Python: {error}") from None


def show(error: BaseException) -> None:
    """Print the traceback of a script's own error, without the engine's frames unless the error is the engine's."""
    _trim(error, set())
    traceback.print_exception(error)


def _trim(error: BaseException | None, seen: set[int]) -> None:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = _own(error.__traceback__)
    _trim(error.__cause__, seen)
    _trim(error.__context__, seen)


def _own(trace: TracebackType | None) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    users = [frame for frame in frames if not _is_engine(frame)]
    if not users:
        return frames[0] if frames else None
    if _is_engine(frames[-1]):  # raised by the engine: how it came there is part of the story
        users = frames[frames.index(users[0]) :]
    kept: TracebackType | None = None
    for frame in reversed(users):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


def _is_engine(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    return name.startswith(_ENGINE) or name == "<frozen runpy>"
