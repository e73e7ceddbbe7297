"""Starting a workflow: from a script (`main`, `Toil`) or from a notebook (`run`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from toil_core.drivers.urls import local_path
from toil_core.errors import (
    BadOption,
    CannotDeploy,
    CorruptBlob,
    Interrupted,
    JobStoreExists,
    LeaderReplaced,
    LeaderRunning,
    NoSuchDriver,
    NoSuchJobStore,
    NoSuchKey,
    StoreFull,
    StoreReadOnly,
    ToilError,
    UsageError,
)
from toil_core.locators import canonical_locator, quoted
from toil_core.wire import keys
from toil_core.workflow import main_module, pickling
from toil_core.workflow.files import Directory, File, Files
from toil_core.workflow.job import Job, JobFunction
from toil_core.workflow.urls import with_scheme

if TYPE_CHECKING:
    import argparse
    from tempfile import TemporaryDirectory

    from toil_core.job_store import JobStore
    from toil_core.leader import Outcome
    from toil_core.leader.options import EngineOptions
    from toil_core.options import Config, OptionParser
    from toil_core.wire.work import Estimate, Setup

T = TypeVar("T")


class Toil:
    """A workflow's run, as a context manager.

    ```
    with Toil(options) as toil:
        if toil.restarting:
            count = toil.restart()
        else:
            count = toil.start(words(toil.import_file("reads.txt")))
    ```

    The job store is opened when the block is entered, and removed when it is left if the option
    `clean` says so. A store in which nothing was started is removed too, unless it held something.

    An error of the engine that a script does not catch ends it with one line on standard error, and the exit codes that
    `main` has.

    Args:
        options: What a parser made by `Toil.parser` found; or options by their names in Python, such as
            `{"default_memory": "1 GiB"}`; or a config.
        job_store: The job store's locator; None for the `locator` among the options.

    Raises:
        JobStoreExists: The store holds a workflow, and `--restart` was not given.
        NoSuchJobStore: `--restart` was given, and there is no workflow.
        BadOption: An option cannot be used.
        BadLocator: The locator cannot be used.
        NoSuchDriver: Nothing installed opens such a store.
    """

    def __init__(self, options: argparse.Namespace | Mapping[str, Any] | Config, job_store: str | None = None) -> None:
        from toil_core.workflow.ending import tell_uncaught
        from toil_core.workflow.initial import config_of

        main_module.refuse_while_loading()
        tell_uncaught()
        self._given = options
        self.config = config_of(options)
        """Every option's value; ask for a group by its type: `toil.config[EngineOptions]`."""
        locator = job_store if job_store is not None else getattr(options, "locator", None)
        if locator is None:
            raise UsageError("which job store? Give its locator: Toil(options, job_store='file:FOLDER')")
        self.locator = canonical_locator(locator)
        """The job store, wherever the working directory is."""
        self._store: JobStore | None = None
        self._files: Files | None = None
        self._tmp: TemporaryDirectory[str] | None = None
        self._fresh = False
        self._state = "new"
        self._learnt: dict[str, Estimate] | None = None
        self._modules: tuple[str, ...] = ()

    @staticmethod
    def parser(description: str | None = None) -> OptionParser:
        """A parser with the positional argument `locator` and every option of the engine and the plugins."""
        from toil_core.options import OptionParser, add_engine_options
        from toil_core.workflow.ending import tell_uncaught

        tell_uncaught()
        parser = OptionParser(description=description)
        parser.add_argument("locator", metavar="LOCATOR", help="The job store: a folder, or DRIVER:REST.")
        add_engine_options(parser)
        return parser

    def __enter__(self) -> Self:
        from toil_core.leader.epoch import begun
        from toil_core.plugins import open_job_store

        store = open_job_store(self.locator, self.config)
        try:
            if self._options.restart:
                self._inherit(store)
            else:
                store.prepare()
                self._fresh = next(iter(store.list("")), None) is None
                if not self._fresh and begun(store):
                    raise JobStoreExists(
                        f"{self.locator} holds a workflow already; add --restart to go on with it, or remove it with `toil clean {quoted(self.locator)}`"
                    )
        except BaseException:
            store.close()
            raise
        self._store = store
        main_module.announce()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        store, self._store = self._open(), None
        try:
            if self._clean_now(failed=kind is not None):
                self._remove(store, quietly=self._state == "succeeded" or kind is not None)
        finally:
            store.close()
            if self._tmp is not None:
                self._tmp.cleanup()

    def _remove(self, store: JobStore, *, quietly: bool) -> None:
        """Remove the job store; what came of the workflow matters more than a store that cannot be removed."""
        try:
            store.destroy()
        except ToilError as error:
            if not quietly:
                raise
            import logging

            logging.getLogger(__name__).warning("the job store %s could not be removed: %s", self.locator, error)

    def start(self, root: Job[T]) -> T:
        """Run a new workflow to its end, and give what its root job returns.

        Args:
            root: The job that all others come after.

        Raises:
            GraphError: The jobs form no graph that can be run; nothing has run then.
            NotPicklable: Something that a job needs cannot be sent to a worker; nothing has run then.
            UsageError: The options ask for a restart.
            WorkflowFailed: Jobs failed for good.
            Interrupted: The run was asked to stop.
        """
        from toil_core import leader
        from toil_core.workflow.initial import initial_commit

        store = self._open()
        if self._options.restart:
            raise UsageError("--restart was given; call toil.restart() instead of toil.start(…)")
        if self._state != "new":
            raise UsageError("a Toil block runs one workflow; open another one, with another job store, for the next")
        commit, modules = initial_commit(root, self.config, self._estimates())
        self._modules = main_module.others(modules)
        leader.begin(store, self.locator, commit, self.config, _workflow_name(root), self._modules)
        return self._lead(store, restart=False)  # type: ignore[no-any-return]

    def restart(self) -> Any:
        """Go on with the workflow that the job store holds, and give what its root job returns.

        Raises:
            UsageError: The options do not ask for it.
            WorkflowFailed: Jobs failed for good.
            Interrupted: The run was asked to stop.
            LeaderRunning: Another leader is at work on it.
        """
        store = self._open()
        if not self._options.restart:
            raise UsageError("toil.restart() needs the option --restart; toil.start(…) begins a new workflow")
        return self._lead(store, restart=True)

    def import_file(self, url: str | os.PathLike[str], name: str = "", *, reference: bool | None = None) -> File:
        """Put the content of a URL, or of a path, into the job store; give the result to jobs.

        Args:
            url: `file:`, `https:` or another scheme that is installed; or a path.
            name: What the file is called; the last part of the URL if not given.
            reference: Copy nothing: the file is read where it is, and must stay there unchanged; as --reference-imports says if not given.

        Raises:
            BadLocator: Nothing installed opens it, or nothing is there.
        """
        reference = self._options.reference_imports if reference is None else reference
        return self._with_files().import_url(os.fspath(url), name, reference=reference)

    def import_directory(self, path: str | os.PathLike[str], name: str = "", *, follow_symlinks: bool = False) -> Directory:
        """Put a folder with everything in it into the job store; see `Files.write_directory` and `Files.import_directory`.

        Args:
            path: The folder, or a URL under which files lie.
            name: What the directory is called; the path's own name if not given.
            follow_symlinks: Keep what symbolic links lead to in the place of every one.

        Raises:
            UsageError: It is no folder, or something in it cannot be kept.
        """
        text = os.fspath(path)
        if local_path(with_scheme(text)) is None or self._options.reference_imports:
            return self._with_files().import_directory(text, name, reference=self._options.reference_imports)
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise UsageError(f"there is no folder {path} to import")
        return self._with_files().write_directory(folder, name, follow_symlinks=follow_symlinks)

    def export_file(self, file: File | Directory, url: str | os.PathLike[str]) -> None:
        """Write a file that a job returned to a URL, or to a path; a directory to a path that does not exist.

        Raises:
            BadLocator: Nothing installed writes there.
        """
        self._with_files().export_url(file, os.fspath(url))

    @property
    def restarting(self) -> bool:
        """Whether the options ask to go on with the workflow that the job store holds."""
        return self._options.restart

    @property
    def _options(self) -> EngineOptions:
        from toil_core.leader.options import EngineOptions  # not above: workers import this module, and each of their pages is copied

        return self.config[EngineOptions]

    def _open(self) -> JobStore:
        if self._store is None:
            raise UsageError("use Toil as a context manager: `with Toil(options) as toil:`")
        return self._store

    def _inherit(self, store: JobStore) -> None:
        from toil_core.leader.epoch import begun
        from toil_core.options import Config
        from toil_core.wire.run import decode_workflow
        from toil_core.workflow.initial import config_of

        try:
            if not begun(store):
                raise NoSuchJobStore(self.locator)
            with store.read(keys.WORKFLOW) as stream:
                info = decode_workflow(stream.read())
        except NoSuchJobStore:
            raise NoSuchJobStore(f"there is no workflow at {self.locator} to go on with; leave --restart out to begin one") from None
        except NoSuchKey:
            raise CorruptBlob(keys.WORKFLOW, "the record of the workflow has been removed") from None
        store.prepare()
        self.config = config_of(self._given, Config.from_dict(info.options))
        self._modules = info.modules

    def _with_files(self) -> Files:
        if self._files is None:
            from tempfile import TemporaryDirectory  # it imports `random`, which every process forked from workers would seed anew

            self._tmp = TemporaryDirectory(prefix="toil-")
            prefix = keys.attempt_files(keys.ROOT, os.urandom(6).hex())
            self._files = Files(self._open(), prefix, Path(self._tmp.name), self.config)
        return self._files

    def _lead(self, store: JobStore, *, restart: bool) -> Any:
        from toil_core import leader
        from toil_core.monitor.events_file import recorded
        from toil_core.monitor.progress import watching
        from toil_core.workflow import tally

        self._state = "failed"
        try:
            with tally.tallied(self.locator, restarted=restart) as told, watching(self.config) as listener, recorded(self.config) as recorders:
                deploy = None if self._options.disable_hot_deployment else self._deploy
                outcome: Outcome = leader.lead(
                    store, self.locator, self._setup(), self.config, restart=restart, listeners=[listener, told, *recorders], deploy=deploy
                )
            self._state, told.total, told.done = "succeeded", outcome.jobs, outcome.jobs
        except (BadOption, CannotDeploy, NoSuchDriver):
            self._state = "new"  # nothing ran, so what was stored must not be in the way of another try
            raise
        except (LeaderRunning, LeaderReplaced):
            self._state = "another's"
            raise
        except Interrupted:
            self._state = "interrupted"
            raise
        except (StoreFull, StoreReadOnly) as error:
            cure = "free some space there" if isinstance(error, StoreFull) else "make it writable"
            error.add_note(f"{cure}, then go on with --restart on {self.locator}")
            raise
        finally:
            told.state = self._state if self._state in ("succeeded", "failed", "interrupted") else "refused"
        value = pickling.load(outcome.value, outcome.values)
        tally.returned(value)
        return value

    def _estimates(self) -> dict[str, Estimate]:
        """What earlier runs teach; read once."""
        if self._learnt is None:
            from toil_core.leader.learned import estimates

            self._learnt = dict(estimates(self.config))
        return self._learnt

    def _setup(self) -> Setup:
        from toil_core.wire.work import Setup
        from toil_core.workflow.initial import environment
        from toil_core.workflow.python_requirements import collect

        script, module = main_module.describe()
        return Setup(
            script=script,
            module=module,
            modules=self._modules,
            path=main_module.import_path(),
            environment=environment(self._options.set_env),
            options=self.config.as_dict(),
            estimates=self._estimates(),
            log_level=self._options.log_level if self._options.real_time_logging and self._options.log_level != "OFF" else "",
            python_requirements=() if self._options.disable_hot_deployment else collect(script, self._options.python_requirements),
        )

    def _deploy(self, store: JobStore, setup: Setup) -> Setup:
        from toil_core.workflow.deployment import deploy

        options = self._options
        written = [path for path in (options.log_file, options.write_logs, options.work_dir) if path]
        return deploy(store, setup, options.max_deployment, written)

    def _clean_now(self, *, failed: bool) -> bool:
        from toil_core.leader.watch_options import WatchOptions

        if self._state == "new":
            return self._fresh
        if self._state == "another's":
            return False
        if self._state == "interrupted":  # it can be gone on with
            return self._options.clean == "always" and not self.config[WatchOptions].stats
        if self.config[WatchOptions].stats:
            return False
        succeeded = self._state == "succeeded" and not failed
        return {"always": True, "never": False, "onSuccess": succeeded, "onError": not succeeded}[self._options.clean]


def _workflow_name(root: Job[Any]) -> str:
    script, module = main_module.describe()
    return module or Path(script).stem or root.name


def run(root: Job[T], *, job_store: str, **options: Any) -> T:
    """Run a workflow to its end, and give what its root job returns. For notebooks and programs.

    ```
    run(words(text), job_store="file:store", default_memory="1 GiB")
    ```

    Args:
        root: The job that all others come after.
        job_store: The job store's locator.
        options: Any option of the engine or of a plugin, by its name in Python. With `restart=True` the
            workflow that the store holds is gone on with, whatever the root.

    Raises:
        BadOption: There is no such option, or its value cannot be used.
        ToilError: See `Toil`, `Toil.start` and `Toil.restart`.
    """
    with Toil(options, job_store) as toil:
        if toil.restarting:
            return toil.restart()  # type: ignore[no-any-return]
        return toil.start(root)


def main(function: Callable[..., Any] | JobFunction[..., Any], arguments: Sequence[str] | None = None) -> None:
    """Make a command line of one function, and run it as a workflow.

    ```
    if __name__ == "__main__":
        main(words)     # python words.py LOCATOR --text reads.txt --parts 8 [any engine option]
    ```

    Each parameter becomes an option `--name`, typed by its annotation: `str`, `int`, `float`, `bool`
    (`--name`, `--no-name`), `Path`, `File` (a path or URL, imported before the run), an `Enum`,
    `Literal`, `list` of one of these (several words), or one of these `| None`. Parameters without
    a default must be given, except with `--restart`. Help comes from the docstring: its `Args:`
    section describes the parameters.

    What the function returns is printed: text as it is, else JSON, else its `repr`; None is not.
    Files in it, also inside lists, tuples and dicts, are written to the folder `--output-dir`, and
    shown by their paths.

    Leaves the program with exit code 2 when the user must change something, 1 when the workflow
    failed, 130 (SIGINT) or 143 (SIGTERM) when it was interrupted; each with a message on standard error.

    Args:
        function: A function, decorated by `job` or not.
        arguments: The command line; None for the program's own.

    Raises:
        SystemExit: The program ends without success.
    """
    main_module.refuse_while_loading()
    from toil_core.hiding import leave_if_hidden
    from toil_core.workflow.ending import leave

    try:
        _run_main(function, arguments)
    except KeyboardInterrupt:  # before the run began, or for the second time
        leave(Interrupted("interrupted"))
    except ToilError as error:
        leave(error)
    except Exception as error:
        leave_if_hidden(error)
        raise


def _print(text: str) -> None:
    """Print what the workflow returned, while the job store still has it.

    Raises:
        ToilError: It cannot be written; a pipe that is closed at its other end is no error, for whoever read it had enough.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
    except OSError as error:
        raise ToilError(f"the workflow succeeded, but what it returned cannot be written to standard output: {error.strerror}") from None


def _run_main(function: Callable[..., Any] | JobFunction[..., Any], arguments: Sequence[str] | None) -> None:
    from toil_core.workflow import tally
    from toil_core.workflow.command_line import CommandLine

    line = CommandLine(function)
    found = line.parse(arguments)
    with Toil(found) as toil:
        value = toil.restart() if toil.restarting else toil.start(line.root(found, toil.import_file, toil.import_directory))
        value = line.exported(value, found, toil.export_file)
        tally.returned(value)
        text = line.show(value)
        if text is not None:
            _print(text)
