"""`toil debug-job`: run one job here, where it can be looked at."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toil_core.cli.as_json import add_json, print_json
from toil_core.errors import BadOption, ToilError, UsageError
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.monitor.debug import JobInfo, Outcome


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store; nothing in it is changed.")
    parser.add_argument("job", metavar="JOB", help="A job that has not succeeded: its id, or its name.")
    parser.add_argument("--pdb", action="store_true", help="Run it in Python's debugger, from its first line; and look at what it raises.")
    parser.add_argument(
        "--directory", "--retrieve-task-directory", "--retrieveTaskDirectory", metavar="DIR", help="A new folder to run it in. [one in TMPDIR]"
    )
    parser.add_argument("--print-job-info", "--printJobInfo", action="store_true", help="Tell what is known of the job, and do not run it.")
    add_json(parser, "Print JSON instead of text; what the job prints goes to standard error then.")
    parser.epilog = "exit codes: 0 when the job succeeded, 1 when it failed, 2 when it cannot be run."


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Run the job in this process.

    Returns:
        0, or 1 when the job failed.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: The job cannot be run.
        ToilError: The debugger was left before the job had ended.
    """
    from toil_core.monitor.debug import Rerun
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    if arguments.pdb and arguments.json:
        raise BadOption("--pdb talks on standard output, so it does not go with --json")
    with open_job_store(arguments.locator, config) as store:
        job = Rerun(watched(store), arguments.locator, arguments.job)
        if arguments.print_job_info:
            _tell(job.info, info_text(job.info), json=arguments.json)
            return 0
        job.task()
        setup, folder = job.setup, _folder(arguments.directory)
        debugger = _Debugger() if arguments.pdb else None
        try:
            with _printing_to(sys.stderr if arguments.json else sys.stdout):
                outcome = job.run(folder, debugger)
        except (ImportError, FileNotFoundError) as error:
            from toil_core.worker.modules import explain

            raise UsageError(f"the workflow's modules cannot be loaded here: {explain(error, setup)}") from error
    if debugger is not None and debugger.left:
        raise ToilError(f"the debugger was left before {job.info.name} {job.info.job} had ended; its folder: {folder}")
    _tell(outcome, text(job.info, outcome), json=arguments.json)
    return int(outcome.failure is not None)


def info_text(info: JobInfo) -> str:
    """What is known of the job, as people read it."""
    from toil_core.monitor.progress import reason_text
    from toil_core.monitor.text import about
    from toil_core.sizes import cores

    needed = info.requirement
    lines = [f"{info.name} {info.job}: {cores(needed.cores)}, {about(needed.memory)} of memory, {about(needed.disk)} of disk"]
    if info.above:
        lines.append(f"  its predecessors: {', '.join(info.above)}")
    if info.needs:
        lines.append(f"  it is given the values of: {', '.join(info.needs)}")
    if info.services:
        lines.append(f"  services that run for it: {', '.join(info.services)}")
    if info.failure:
        lines.append(f"  its last attempt: {reason_text(info.failure.reason.value, info.failure.message)}")
    return "\n".join(lines)


def text(info: JobInfo, outcome: Outcome) -> str:
    """What came of it, as people read it."""
    from toil_core.monitor.progress import reason_text
    from toil_core.sizes import count

    failure = outcome.failure
    lines = [f"{info.name} {info.job} {reason_text(failure.reason.value, failure.message) if failure else 'succeeded'}"]
    if outcome.value:
        lines.append(f"  its value: {outcome.value[:500]}")
    if outcome.added:
        lines.append(f"  it added {count(len(outcome.added), 'job')}: {', '.join(dict.fromkeys(outcome.added))}")
    if failure and info.services:
        lines.append(f"  services that it may need do not run here, and it was given what they last started with: {', '.join(info.services)}")
    lines += [f"  it said: {message}" for message in outcome.messages]
    lines.append(f"  its folder: {outcome.folder} (tmp: where it ran; store: what it wrote to the job store, which was left alone)")
    return "\n".join(lines)


class _Debugger:
    """Calls a function in Python's debugger.

    Attributes:
        left: Whether it was left before the function had ended, of which the debugger itself says nothing.
    """

    def __init__(self) -> None:
        self.left = False

    def __call__(self, call: Callable[[], Any]) -> Any:
        import pdb  # noqa: T100  it is what the user asked for

        def whole() -> Any:
            value = call()
            self.left = False
            return value

        self.left = True
        try:
            return pdb.Pdb(skip=["toil_core.*"]).runcall(whole)
        except Exception:
            self.left = False
            pdb.post_mortem()
            raise


def _folder(chosen: str | None) -> Path:
    if chosen is None:
        from tempfile import mkdtemp

        return Path(mkdtemp(prefix="toil-debug-"))
    folder = Path(chosen).absolute()
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise BadOption(f"--directory {chosen} exists already; name a new one") from None
    except OSError as error:
        raise BadOption(f"--directory {chosen} cannot be made: {error.strerror}") from None
    return folder


def _printing_to(stream: Any) -> Any:
    from contextlib import redirect_stdout

    return redirect_stdout(stream)


def _tell(record: JobInfo | Outcome, shown: str, *, json: bool) -> None:
    if json:
        from msgspec.structs import asdict

        print_json({**asdict(record), "failure": asdict(record.failure) if record.failure else None})
    else:
        print(shown)
