"""`Toil`: a workflow's run, as scripts start it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import toil_core
from toil_core.errors import BadLocator, GraphError, Interrupted, JobStoreExists, NoSuchJobStore, NoSuchKey, UsageError, WorkflowFailed
from toil_core.locators import canonical_locator, parse_locator

from toil import _graph
from toil.exceptions import (
    FailedJobsException,
    JobException,
    JobStoreExistsException,
    NoSuchFileException,
    NoSuchJobStoreException,
    ToilContextManagerException,
    ToilRestartException,
)
from toil.fileStores import FileID
from toil.fileStores.abstractFileStore import bad_url, refuse_shared
from toil.job import Job
from toil.jobStores.abstractJobStore import AbstractJobStore

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["FileID", "Toil", "ToilContextManagerException", "ToilRestartException", "addOptions", "parser_with_common_options"]

class Toil:
    """A workflow's run, as a context manager.

    Args:
        options: What a parser of `Job.Runner` found, or `Job.Runner.getDefaultOptions` gave; attributes may be changed before.
        workflow_name: Not used.
        trs_spec: Not used.

    Raises:
        JobStoreExistsException: When the block is entered: the store holds a workflow, and no restart was asked for.
        NoSuchJobStoreException: When the block is entered: a restart was asked for, and there is no workflow.
    """

    def __init__(self, options: Namespace, workflow_name: str | None = None, trs_spec: str | None = None) -> None:
        self.options = self.config = options
        self._run: toil_core.Toil | None = None

    def __enter__(self) -> Self:
        from toil._options import engine_options, without_effect

        for line in without_effect(self.options):
            _warn(line)
        locator = getattr(self.options, "jobStore", None)
        if locator is None:
            raise UsageError("which job store? Set options.jobStore, or call Job.Runner.getDefaultOptions('./store')")
        with _told(locator):
            run = toil_core.Toil(engine_options(self.options), os.fspath(locator))
            run.__enter__()
        self._run = run
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        run, self._run = self._entered(), None
        run.__exit__(kind, error, trace)

    def start(self, rootJob: Job) -> Any:
        """Run a new workflow to its end; what its root job returns.

        Raises:
            JobGraphDeadlockException: The jobs form no graph that can be run.
            FailedJobsException: Jobs failed for good.
            ToilRestartException: The options ask for a restart.
        """
        run = self._entered()
        if run.restarting:
            raise ToilRestartException("--restart was given; call toil.restart() instead of toil.start(…)")
        if not isinstance(rootJob, Job):
            raise JobException(f"a workflow starts with a Job, not with {rootJob!r}")
        with _told(run.locator, rootJob):
            return run.start(_graph.connect(rootJob))

    def restart(self) -> Any:
        """Go on with the workflow that the job store holds; what its root job returns.

        Raises:
            FailedJobsException: Jobs failed for good.
            ToilRestartException: The options do not ask for it.
        """
        run = self._entered()
        if not run.restarting:
            raise ToilRestartException("toil.restart() needs the option --restart; toil.start(…) begins a new workflow")
        with _told(run.locator):
            return run.restart()

    def import_file(
        self, src_uri: Any, shared_file_name: str | None = None, symlink: bool = True, check_existence: bool = True
    ) -> FileID | None:
        """Put the content of a URL, or of a path, into the job store; give the id to jobs.

        Args:
            src_uri: `file:`, `https:` or another scheme that is installed; or a path.
            shared_file_name: Must not be given.
            symlink: Not used.
            check_existence: If not, what does not exist gives None.

        Raises:
            InvalidImportExportUrlException: Nothing is there, or nothing installed opens it.
        """
        return self._import(src_uri, shared_file_name, check_existence)

    def importFile(self, srcUrl: Any, sharedFileName: str | None = None, symlink: bool = True) -> FileID | None:
        """The same as `import_file`."""
        return self._import(srcUrl, sharedFileName, check_existence=True)

    def export_file(self, file_id: str, dst_uri: Any) -> None:
        """Write a file to a URL, or to a path.

        Raises:
            InvalidImportExportUrlException: Nothing installed writes there.
            NoSuchFileException: It is not in the job store.
        """
        run = self._entered()
        file = file_id.file() if isinstance(file_id, FileID) else None
        if file is None:
            size = AbstractJobStore(run.locator, run.config).get_file_size(file_id)
            file = toil_core.File(str(file_id), size, file_id.rpartition("/")[2])
        try:
            with bad_url():
                run.export_file(file, os.fspath(dst_uri))
        except NoSuchKey:
            raise NoSuchFileException(file_id) from None

    def exportFile(self, jobStoreFileID: str, dstUrl: Any) -> None:
        """The same as `export_file`."""
        self.export_file(jobStoreFileID, dstUrl)

    def url_exists(self, src_uri: str) -> bool:
        """Whether something can be read from a URL, or a path."""
        from toil_core.plugins import open_url

        try:
            with open_url(self.normalize_uri(src_uri), "rb", self._entered().config):
                return True
        except (BadLocator, OSError):
            return False

    @staticmethod
    def getJobStore(locator: str) -> AbstractJobStore:
        """A job store, to be looked into or removed; it need not exist."""
        return AbstractJobStore(locator)

    @staticmethod
    def resumeJobStore(locator: str) -> AbstractJobStore:
        """A job store that exists.

        Raises:
            NoSuchJobStoreException: It does not.
        """
        store = AbstractJobStore(locator)
        store.resume()
        return store

    @staticmethod
    def parseLocator(locator: str) -> tuple[str, str]:
        """The driver's name, and what follows it."""
        return parse_locator(locator)

    @staticmethod
    def buildLocator(name: str, rest: str) -> str:
        """The locator that `parseLocator` takes apart."""
        return f"{name}:{rest}"

    @staticmethod
    def canonical_locator(locator: str) -> str:
        """The locator with its driver's name, the same from any folder."""
        return canonical_locator(locator)

    @staticmethod
    def normalize_uri(uri: str, check_existence: bool = False, dir_path: str | None = None) -> str:
        """A URL as it is; a path as a `file:` URL.

        Raises:
            FileNotFoundError: There should be something at the path, and is not.
        """
        from pathlib import Path
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(uri)
        if parts.scheme not in ("", "file"):
            return uri
        path = Path(dir_path or "", unquote(parts.path) if parts.scheme else uri).absolute()
        if check_existence and not path.exists():
            raise FileNotFoundError(f"there is nothing at {path}")
        return path.as_uri()

    @staticmethod
    def getToilWorkDir(configWorkDir: str | None = None) -> str:
        """The folder for temporary files.

        Raises:
            FileNotFoundError: It does not exist.
        """
        import tempfile

        path = os.path.abspath(configWorkDir or os.environ.get("TOIL_WORKDIR") or tempfile.gettempdir())
        if not os.path.isdir(path):
            raise FileNotFoundError(f"the folder for temporary files, {path}, does not exist")
        return path

    get_job_store = getJobStore
    resume_job_store = resumeJobStore
    parse_locator = parseLocator
    build_locator = buildLocator

    def _import(self, url: Any, shared: str | None, check_existence: bool) -> FileID | None:
        refuse_shared(shared)
        run = self._entered()
        if not check_existence and not self.url_exists(os.fspath(url)):
            return None
        with bad_url():
            return FileID.of(run.import_file(os.fspath(url)))

    def _entered(self) -> toil_core.Toil:
        if self._run is None:
            raise ToilContextManagerException()
        return self._run


def addOptions(parser: ArgumentParser, jobstore_as_flag: bool = False) -> None:
    """Add the job store and every option to a parser; see `Job.Runner.addToilOptions`."""
    Job.Runner.addToilOptions(parser, jobstore_as_flag)


def parser_with_common_options(
    provisioner_options: bool = False, jobstore_option: bool = True, prog: str | None = None, default_log_level: int | None = None
) -> ArgumentParser:
    """A parser with the job store and every option; see `Job.Runner.getDefaultArgumentParser`."""
    from toil._options import default_parser

    parser = default_parser(jobstore_as_flag=not jobstore_option)
    parser.prog = prog or parser.prog
    return parser


def _warn(line: str) -> None:
    import logging

    logging.getLogger("toil.compat").warning("%s", line)


@contextmanager
def _told(locator: Any, root: Job | None = None) -> Iterator[None]:
    """Raise what scripts catch."""
    try:
        yield
    except JobStoreExists as error:
        raise JobStoreExistsException(str(locator), message=str(error)) from None
    except NoSuchJobStore as error:
        raise NoSuchJobStoreException(str(locator), message=str(error)) from None
    except WorkflowFailed as error:
        raise FailedJobsException(locator, error.jobs, exit_code=error.exit_code, message=str(error)) from None
    except Interrupted as error:
        if error.exit_code != 130:
            _warn(str(error))
            raise SystemExit(error.exit_code) from None
        raise KeyboardInterrupt(str(error)) from None
    except JobException:
        raise
    except GraphError:
        if root is not None:
            root.checkJobGraphForDeadlocks()  # says so when it is that
        raise
