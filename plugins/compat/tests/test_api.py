"""The names of the package toil, used without running anything."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from toil_core.errors import JobStoreExists, NoSuchJobStore, ToilError, WorkflowFailed

from toil.common import Toil
from toil.exceptions import FailedJobsException
from toil.fileStores import FileID
from toil.job import (
    ConflictingPredecessorError,
    EncapsulatedJob,
    FunctionWrappingJob,
    Job,
    JobException,
    JobFunctionWrappingJob,
    JobGraphDeadlockException,
    Promise,
    PromisedRequirement,
    PromisedRequirementJobFunctionWrappingJob,
    unwrap,
)
from toil.jobStores.abstractJobStore import AbstractJobStore, JobStoreExistsException, NoSuchFileException, NoSuchJobStoreException
from toil.lib import bioio, conversions, humanize
from toil.statsAndLogging import set_log_level

NAMES = {
    "toil": "subprocess __version__",
    "toil.batchSystems": "DeadlockException",
    "toil.batchSystems.abstractBatchSystem": "DeadlockException",
    "toil.common": "Toil ToilRestartException ToilContextManagerException addOptions parser_with_common_options",
    "toil.exceptions": "FailedJobsException",
    "toil.fileStore": "FileStore FileID",
    "toil.fileStores": "FileID",
    "toil.fileStores.abstractFileStore": "AbstractFileStore",
    "toil.job": "Job JobException JobGraphDeadlockException JobPromiseConstraintError FunctionWrappingJob JobFunctionWrappingJob Promise Promised "
    "PromisedRequirement PromisedRequirementFunctionWrappingJob EncapsulatedJob ServiceHostJob ConflictingPredecessorError unwrap unwrap_all",
    "toil.jobStores.abstractJobStore": "AbstractJobStore JobStoreExistsException NoSuchJobStoreException NoSuchFileException NoSuchJobException "
    "InvalidImportExportUrlException LocatorException",
    "toil.leader": "FailedJobsException DeadlockException",
    "toil.lib.bioio": "system getTempFile setLoggingFromOptions logger getTotalCpuTime absSymPath",
    "toil.lib.conversions": "human2bytes bytes2human convert_units",
    "toil.lib.docker": "apiDockerCall dockerCall dockerCheckOutput dockerKill dockerStop containerIsRunning getContainerName FORGO STOP RM",
    "toil.lib.humanize": "human2bytes bytes2human",
    "toil.lib.io": "mkdtemp mkstemp",
    "toil.lib.memoize": "memoize sync_memoize",
    "toil.lib.misc": "mkdir_p robust_rmtree atomic_copy get_public_ip get_user_name",
    "toil.lib.retry": "retry",
    "toil.lib.threading": "cpu_count",
    "toil.realtimeLogger": "RealtimeLogger",
    "toil.statsAndLogging": "set_logging_from_options set_log_level configure_root_logger",
    "toil.version": "version baseVersion distVersion",
}


@pytest.mark.parametrize("module", NAMES)
def test_what_scripts_import_is_there(module: str) -> None:
    found = import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_workers_carry_little_more_than_without() -> None:
    code = "import toil.common, toil.job, sys; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout.split())
    assert "toil.fileStores.abstractFileStore" in loaded
    assert not loaded & {"argparse", "logging", "pluggy", "random", "shutil", "subprocess", "tempfile", "threading", "toil._options"}


def test_every_exception_is_the_cores_own_too() -> None:
    assert issubclass(FailedJobsException, WorkflowFailed)
    assert issubclass(JobStoreExistsException, JobStoreExists)
    assert issubclass(NoSuchJobStoreException, NoSuchJobStore)
    assert issubclass(JobGraphDeadlockException, JobException) and issubclass(JobException, ToilError)
    error = FailedJobsException("file:/x", ["1", "2"], exit_code=4)
    assert (error.numberOfFailedJobs, error.jobStoreLocator, error.exit_code) == (2, "file:/x", 4)
    assert str(error) == "2 jobs of file:/x failed: 1, 2"


def test_names_in_snake_case() -> None:
    root = Job()
    child = root.add_child_fn(abs, 1)
    assert root.has_child(child) and root.add_follow_on(Job()) in root._toil_links.follow_ons
    with pytest.raises(AttributeError, match="has no attribute 'add_nothing'"):
        root.add_nothing  # noqa: B018 - the access is the test
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        root.nothing  # noqa: B018 - the access is the test
    assert Toil.parse_locator("aws:us-west-2:name") == ("aws", "us-west-2:name")


def test_wrapping_functions() -> None:
    def work(job: Job, n: int, memory: str = "2Gi", cores: float = 0.5) -> int:
        return n

    job = Job.wrapJobFn(work, 3, cores=2, name="named")
    assert type(job) is JobFunctionWrappingJob and isinstance(job, FunctionWrappingJob)
    assert (job.memory, job.cores, job.disk, job.jobName) == (2 << 30, 2, None, "named")
    assert job._kwargs == {} and job._args == (3,)
    assert Job.wrapJobFn(work, 1).jobName == "work"
    later = Job.wrapJobFn(work, 3, memory=job.rv())
    assert type(later) is PromisedRequirementJobFunctionWrappingJob and isinstance(later.memory, Promise)
    assert Job.wrapFn(abs, -1, preemptable=True).preemptible is True
    assert PromisedRequirement(lambda a, b: a + b, 1, 2).getValue() == 3
    assert PromisedRequirement(4).getValue() == 4
    with pytest.raises(ValueError, match="no function"):
        PromisedRequirement(4, 5)


def test_requirements_can_be_read_and_set() -> None:
    job = Job(memory="1Ki", cores="1.5", disk=10.0, accelerators={"count": 2, "kind": "gpu", "brand": "nvidia"}, preemptible="True", walltime="2m")
    assert (job.memory, job.cores, job.disk, job.walltime, job.preemptable) == (1024, 1.5, 10, 120, True)
    job.memory, job.cores, job.disk, job.walltime, job.preemptable, job.checkpoint = "2Ki", 3, "1M", 0, False, True
    assert (job.memory, job.cores, job.disk, job.preemptible, job.checkpoint) == (2048, 3, 1_000_000, False, True)
    needs = job._toil_core_needs()
    assert needs["accelerators"].brand == "nvidia" and needs["checkpoint"] and "wall_time" not in needs
    assert [device.count for device in Job(accelerators=[{"count": 3}, "amd:1"])._toil_core_needs()["accelerators"][:1]] == [3]


def test_jobs_that_forget_to_call_init_and_those_that_use_names_of_ours() -> None:
    class Forgetful(Job):
        def __init__(self) -> None:
            self.tempDir = "mine"
            self.jobName = "mine too"

    job = Forgetful()
    assert job.addChild(Job()).hasPredecessor(job)
    assert (job.tempDir, job._toil_core_needs()["name"]) == ("mine", "mine too")
    with pytest.raises(AttributeError):
        job.fileStore  # noqa: B018 - the access is the test


def test_a_job_that_is_sent_or_copied_takes_its_attributes_along_and_not_the_graph() -> None:
    job = Job(memory="1G", unitName="sent")
    job.addChild(Job())
    for other in (copy.copy(job), pickle.loads(pickle.dumps(job))):
        assert (other.memory, other.jobName) == (10**9, "sent")
        assert not other._toil_links.children


def test_graphs() -> None:
    root, child, end = Job(unitName="root"), Job(unitName="child"), Job(unitName="end")
    assert root.addChild(child) is child and root.addFollowOn(end) is end
    grandchild = child.addFollowOn(Job(unitName="grandchild"))
    assert grandchild.getRootJobs() == {root}
    assert child.getTopologicalOrderingOfJobs() == [root, child, grandchild, end]
    root.checkJobGraphForDeadlocks()
    with pytest.raises(ConflictingPredecessorError):
        root.addFollowOn(child)
    with pytest.raises(JobException, match="is no job"):
        root.addChild(len)  # type: ignore[type-var]
    other = Job(unitName="other")
    other.addChild(grandchild)
    with pytest.raises(JobGraphDeadlockException, match="one root, this one has 2: 'other', 'root'"):
        root.checkJobGraphConnected()


def test_circles() -> None:
    root, a, b = Job(unitName="root"), Job(unitName="a"), Job(unitName="b")
    root.addFollowOn(a)
    root.addChild(b)
    a.addChild(b)  # b is below a child of root, so a waits for it
    with pytest.raises(JobGraphDeadlockException, match="wait for one another: "):
        root.checkJobGraphAcylic()
    first, second = Job(unitName="first"), Job(unitName="second")
    first.addChild(second).addChild(first)
    with pytest.raises(JobGraphDeadlockException, match="wait for one another: 'first' → 'second' → 'first'|'second' → 'first' → 'second'"):
        first.checkJobGraphForDeadlocks()


def test_checkpoint_jobs_have_no_successors_yet() -> None:
    root = Job()
    point = root.addChild(Job(checkpoint=True))
    root.checkNewCheckpointsAreLeafVertices()
    point.addChild(Job())
    with pytest.raises(JobGraphDeadlockException, match="checkpoint"):
        root.checkJobGraphForDeadlocks()


def test_encapsulating() -> None:
    inner = Job()
    outer = inner.encapsulate(name="outer")
    assert isinstance(outer, EncapsulatedJob) and outer.getRootJobs() == {outer}
    with pytest.raises(JobException, match="encapsulate it first"):
        Job().addChild(Job()).encapsulate()


def test_services_of_a_job() -> None:
    class Server(Job.Service):
        pass

    job, service = Job(), Server(memory="1G", cores=1)
    assert service.memory == 10**9 and service.check()
    promise = job.addService(service)
    assert isinstance(promise, Promise) and job.hasService(service)
    with pytest.raises(JobException, match="already"):
        job.addService(service)
    with pytest.raises(JobException, match="is no service of"):
        job.addService(Server(), parentService=Server())
    with pytest.raises(JobException, match=r"is no Job\.Service"):
        job.addService(Job())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no value yet"):
        unwrap(promise)


def test_ids_of_files() -> None:
    file = FileID("files/1/0/name.txt", 12, executable=True)
    assert file == "files/1/0/name.txt" and (file.size, file.executable) == (12, True)
    again = pickle.loads(pickle.dumps(file))
    assert again == file and (again.size, again.executable) == (12, True)
    packed = FileID.unpack(file.pack())
    assert packed == file and (packed.size, packed.executable) == (12, True)
    assert FileID(file).size == 12 and FileID("files/x").size is None
    found = file.file()
    assert found is not None and (found.name, found.size, found.key) == ("name.txt", 12, str(file))
    assert FileID.unpack(FileID("a:b").pack()) == "a:b"


def test_a_job_store_from_outside(tmp_path: Path) -> None:
    with pytest.raises(NoSuchJobStoreException):
        Toil.resumeJobStore(str(tmp_path / "none"))
    store = Toil.getJobStore(str(tmp_path / "none"))
    assert isinstance(store, AbstractJobStore) and store.locator == f"file:{tmp_path}/none"
    store.destroy()
    assert Toil.buildLocator(*Toil.parseLocator(store.locator)) == Toil.canonical_locator(store.locator)


def test_files_that_are_not_in_a_job_store(tmp_path: Path) -> None:
    with Toil(Job.Runner.getDefaultOptions(tmp_path / "store")) as toil:
        (tmp_path / "a b.txt").write_text("text")
        file = toil.importFile((tmp_path / "a b.txt").as_uri())
        assert file is not None and file.size == 4
        toil.exportFile(str(file), tmp_path / "out.txt")
        store = Toil.resumeJobStore(str(tmp_path / "store"))
        assert store.fileExists(file)
        store.deleteFile(file)
        for wrong in (file, str(file)):
            with pytest.raises(NoSuchFileException):
                toil.exportFile(wrong, tmp_path / "other.txt")
        with pytest.raises(FileNotFoundError, match="nowhere"):
            toil.importFile(str(tmp_path / "nowhere"))
        with pytest.raises(ToilError, match="fixed names"):
            toil.importFile(str(tmp_path / "a b.txt"), sharedFileName="name")
        assert toil.normalize_uri("a b", dir_path="/c") == "file:///c/a%20b" and toil.normalize_uri("https://host/x") == "https://host/x"
        with pytest.raises(FileNotFoundError):
            toil.normalize_uri("nowhere", check_existence=True, dir_path=str(tmp_path))
    assert (tmp_path / "out.txt").read_text() == "text"


def test_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOIL_WORKDIR", str(tmp_path))
    assert Toil.getToilWorkDir() == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        Toil.getToilWorkDir(str(tmp_path / "none"))


@pytest.mark.parametrize(("text", "size"), [("2G", 2 * 10**9), ("2Gi", 2 << 30), ("1.5 KiB", 1536), ("100", 100)])
def test_sizes(text: str, size: int) -> None:
    assert humanize.human2bytes(text) == conversions.human2bytes(text) == size


def test_sizes_for_people() -> None:
    assert [humanize.bytes2human(n) for n in (0, 1023, 1536, 3 << 40)] == ["0.0 ", "1023.0 ", "1.5 Ki", "3.0 Ti"]
    assert conversions.convert_units(2, "GiB", "MiB") == 2048
    with pytest.raises(ValueError, match="no number of bytes"):
        humanize.bytes2human(-1)


def test_helpers(tmp_path: Path) -> None:
    path = Path(bioio.getTempFile(".txt", str(tmp_path)))
    assert path.parent == tmp_path and path.suffix == ".txt" and path.read_bytes() == b""
    bioio.system(f"echo hi > {path}")
    assert path.read_text() == "hi\n"
    with pytest.raises(Exception, match="exit status 3"):
        bioio.system("exit 3")
    assert bioio.absSymPath("a/../b") == str(Path.cwd() / "b")
    assert len(bioio.getRandomAlphaNumericString(7)) == 7 and bioio.getRandomAlphaNumericString(7).isalnum()
    assert bioio.getTotalCpuTime() > 0
    logger = logging.getLogger("toil-compat-test")
    for level, shown in (("debug", "DEBUG"), ("WARN", "WARNING"), (logging.ERROR, "ERROR"), ("TRACE", "DEBUG")):
        set_log_level(level, logger)
        assert bioio.getLogLevelString(logger) == shown
    set_log_level("OFF", logger)
    assert not logger.isEnabledFor(logging.CRITICAL)
