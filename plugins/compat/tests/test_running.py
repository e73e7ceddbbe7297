"""Scripts in the style of Toil's tutorials: services, checkpoints, what goes wrong, restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.scripts import run_script


def test_a_service(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import os
        from toil.common import Toil
        from toil.job import Job

        class DemoService(Job.Service):
            def __init__(self, folder):
                Job.Service.__init__(self, memory="100M", cores=0.1)
                self.folder = folder

            def start(self, fileStore):
                assert os.path.isdir(fileStore.tempDir) and fileStore.fileStore.getLocalTempDir()
                open(os.path.join(self.folder, "up"), "w").close()
                return {"login": "user", "folder": self.folder}

            def check(self):
                return True

            def stop(self, fileStore):
                os.remove(os.path.join(self.folder, "up"))
                open(os.path.join(self.folder, "stopped"), "w").close()

        class Child(Job.Service):
            def __init__(self, parent):
                super().__init__(memory="100M", cores=0.1)
                self.parent = parent

            def start(self, job):
                return self.parent["login"] + "!"

            def stop(self, job):
                pass

        def accessing(job, login, second):
            return login, second, os.path.exists(os.path.join(folder, "up")), job.cores

        def check(found):
            login, second, up, cores = found
            assert login["login"] == "user" and second == "user!" and up and cores == 0.1

        folder = os.path.dirname(os.path.abspath(__file__))

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            with Toil(options) as toil:
                job = Job(cores=0.1)
                service = DemoService(folder)
                credentials = job.addService(service)
                second = job.addService(Child(credentials), parentService=service)
                assert job.hasService(service)
                user = job.addChildJobFn(accessing, credentials, second, cores=0.1)
                top = Job(cores=0.1)
                top.addChild(job)
                top.addFollowOnFn(check, user.rv(), cores=0.1)
                toil.start(top)
        """,
        "./store",
        "--servicePollingInterval",
        "1",
        "--maxServiceJobs",
        "4",
    )
    assert (tmp_path / "stopped").exists()
    assert not (tmp_path / "up").exists()
    assert "--servicePollingInterval has no effect" in done.stderr


def test_a_running_job_adds_a_service(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job

        class Server(Job.Service):
            def __init__(self, name):
                Job.Service.__init__(self, cores=0.1, memory="64M")
                self.name = name

            def start(self, job):
                file = job.fileStore.getLocalTempFile()
                with open(file, "w") as stream:
                    stream.write(self.name)
                return file

            def stop(self, job):
                pass

        def top(job, name):
            path = job.addService(Server(name))
            return job.addChildFn(read, path, cores=0.1, memory="64M").rv()

        def read(path):
            with open(path) as stream:
                return stream.read()

        if __name__ == "__main__":
            with Toil(Job.Runner.getDefaultOptions("./store")) as toil:
                print(toil.start(Job.wrapJobFn(top, "the service")))
        """,
    )
    assert done.stdout == "the service\n"


def test_a_checkpoint_runs_again(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import os
        from toil.common import Toil
        from toil.job import Job

        class CheckpointedJob(Job):
            def __init__(self, path):
                Job.__init__(self, memory="100M", cores=0.5, checkpoint=True)
                self.path = path

            def run(self, fileStore):
                with open(self.path, "a") as stream:
                    stream.write("checkpoint\\n")
                return self.addChildFn(fragile, self.path).rv()

        def fragile(path):
            with open(path, "a") as stream:
                stream.write("child\\n")
            with open(path) as stream:
                if stream.read().count("child") < 3:
                    raise RuntimeError("not this time")
            return "done"

        if __name__ == "__main__":
            options = Job.Runner.getDefaultOptions("./store")
            options.retryCount = 1
            options.retry_backoff_seconds = 0
            with Toil(options) as toil:
                root = CheckpointedJob(os.path.abspath("log.txt"))
                assert root.checkpoint
                print(toil.start(root))
        """,
    )
    assert done.stdout == "done\n"
    assert (tmp_path / "log.txt").read_text().split() == ["checkpoint", "child", "child", "checkpoint", "child"]


def test_follow_ons_that_depend_on_what_came_before(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job

        def search(job, low, high, wanted):
            middle = (low + high) // 2
            probe = job.addChildFn(compare, middle, wanted)
            return job.addFollowOnJobFn(decide, probe.rv(), low, middle, high, wanted).rv()

        def compare(middle, wanted):
            return (middle > wanted) - (middle < wanted)

        def decide(job, answer, low, middle, high, wanted):
            if answer == 0:
                return middle
            return job.addChildJobFn(search, *((low, middle) if answer > 0 else (middle, high)), wanted).rv()

        if __name__ == "__main__":
            with Toil(Job.Runner.getDefaultOptions("./store")) as toil:
                print(toil.start(Job.wrapJobFn(search, 0, 16, 11)))
        """,
    )
    assert done.stdout == "11\n"


def test_encapsulation(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
        import os
        from toil.common import Toil
        from toil.job import Job

        def say(path, word):
            with open(path, "a") as stream:
                stream.write(word + " ")
            return word

        if __name__ == "__main__":
            path = os.path.abspath("log.txt")
            with Toil(Job.Runner.getDefaultOptions("./store")) as toil:
                a = Job.wrapFn(say, path, "a")
                a.addChildFn(say, path, "child")
                a.addFollowOnFn(say, path, "follow-on")
                all_of_a = a.encapsulate()
                after = all_of_a.addChildFn(say, path, all_of_a.rv())
                all_of_a.addFollowOnFn(say, path, "last")
                root = Job()
                root.addChild(all_of_a)
                assert [job for job in root.getTopologicalOrderingOfJobs() if job in (a, after)] == [a, after]
                toil.start(root)
        """,
    )
    assert (tmp_path / "log.txt").read_text() == "a child follow-on a last "


def test_promised_requirements_and_strings_of_resources(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job, PromisedRequirement

        def parent(job):
            size = job.addChildFn(lambda: 2 ** 27, memory="64Mi", disk="1M", cores="0.25")
            grown = job.addFollowOnJobFn(needs, memory=PromisedRequirement(lambda n: 2 * n, size.rv()), disk=size.rv(), cores=0.5)
            return size.rv(), grown.rv()

        def needs(job):
            return job.memory, job.disk, job.cores, job.preemptable, job.addChildJobFn(shown, memory="1Gi", walltime="10m").rv()

        def shown(job, cores=0.5, disk="2K", preemptible=False):
            return job.memory, job.disk, job.cores, job.walltime

        if __name__ == "__main__":
            with Toil(Job.Runner.getDefaultOptions("./store")) as toil:
                print(toil.start(Job.wrapJobFn(parent)))
        """,
    )
    assert done.stdout == f"({2**27}, ({2**28}, {2**27}, 0.5, False, ({2**30}, 2000, 0.5, 600.0)))\n"


FRAGILE = """
    import os, sys
    from toil.common import Toil, ToilRestartException, ToilContextManagerException
    from toil.job import Job
    from toil.leader import FailedJobsException
    from toil.jobStores.abstractJobStore import JobStoreExistsException, NoSuchJobStoreException

    def parent(job, folder):
        with open(os.path.join(folder, "parents"), "a") as stream:
            stream.write("x")
        return job.addChildFn(child, folder).rv()

    def child(folder):
        if not os.path.exists(os.path.join(folder, "fixed")):
            raise RuntimeError("this is broken")
        return "it works"

    if __name__ == "__main__":
        options = Job.Runner.getDefaultArgumentParser().parse_args()
        try:
            with Toil(options) as toil:
                if not toil.options.restart:
                    try:
                        toil.restart()
                    except ToilRestartException as error:
                        print("refused")
                    print(toil.start(Job.wrapJobFn(parent, os.getcwd())))
                else:
                    print(toil.restart())
        except FailedJobsException as error:
            print("failed:", error.numberOfFailedJobs, error.jobStoreLocator.startswith("file:"), error.exit_code)
            sys.exit(3)
        except JobStoreExistsException as error:
            print("exists:", error.locator)
            sys.exit(4)
        except NoSuchJobStoreException as error:
            print("none:", error.locator)
            sys.exit(5)
        try:
            toil.start(Job())
        except ToilContextManagerException:
            print("over")
"""


def test_a_restart_after_a_failure(tmp_path: Path) -> None:
    assert run_script(tmp_path, FRAGILE, "./store", "--restart", code=5).stdout == "none: ./store\n"
    first = run_script(tmp_path, FRAGILE, "./store", "--retryCount=0", code=3)
    assert first.stdout == "refused\nfailed: 1 True 1\n"
    assert "this is broken" in first.stderr
    assert run_script(tmp_path, FRAGILE, "./store", code=4).stdout == "exists: ./store\n"
    assert run_script(tmp_path, FRAGILE, "./store", "--restart", "--logError", code=3).stdout == "failed: 1 True 1\n"
    (tmp_path / "fixed").touch()
    assert run_script(tmp_path, FRAGILE, "./store", "--restart").stdout == "it works\nover\n"
    assert (tmp_path / "parents").read_text() == "x"
    assert not (tmp_path / "store").exists()


def test_an_interrupted_script_is_gone_on_with(tmp_path: Path) -> None:
    source = """
        import os, signal
        from toil.common import Toil
        from toil.job import Job

        def waits(job, folder):
            if not os.path.exists(os.path.join(folder, "again")):
                with open(os.path.join(folder, "pipe"), "w"):
                    signal.pause()
            return "done"

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            print(Job.Runner.startToil(Job.wrapJobFn(waits, os.getcwd()), options))
        """
    (tmp_path / "script.py").write_text(dedent(source))
    os.mkfifo(tmp_path / "pipe")
    script = [sys.executable, "script.py", "./store"]
    leader = subprocess.Popen(script, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    with leader, (tmp_path / "pipe").open():  # waits for the job
        leader.send_signal(signal.SIGINT)
        errors = leader.communicate(timeout=200)[1]
    assert leader.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors and "--restart" in errors
    (tmp_path / "again").touch()
    assert run_script(tmp_path, source, "./store", "--restart").stdout == "done\n"


def test_what_a_script_does_not_catch_ends_it_with_1(tmp_path: Path) -> None:
    source = """
        from toil.common import Toil
        from toil.job import Job

        def fails():
            raise ValueError("no")

        if __name__ == "__main__":
            Job.Runner.startToil(Job.wrapFn(fails), Job.Runner.getDefaultArgumentParser().parse_args())
        """
    done = run_script(tmp_path, source, "./store", "--retryCount", "0", code=1)
    assert "toil.exceptions.FailedJobsException" in done.stderr
    assert "ValueError: no" in done.stderr
    wrong = run_script(tmp_path, source, "./other", "--retryCount", "many", code=2)
    assert "usage: script.py" in wrong.stderr
    assert "'many' is not a whole number" in wrong.stderr
    assert "did you mean" not in run_script(tmp_path, source, "./other", "--nonsense", code=2).stdout


def test_deferred_functions_and_realtime_messages(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import os, signal
        from toil.common import Toil
        from toil.job import Job
        from toil.realtimeLogger import RealtimeLogger

        def killed(job, path):
            RealtimeLogger.info("step %d of %d", 1, 2)
            RealtimeLogger.debug("too much")
            if not os.path.exists(path):
                job.defer(note, path, word="deferred")
                os.kill(os.getpid(), signal.SIGKILL)
            with open(path) as stream:
                return stream.read()

        def note(path, word):
            with open(path, "w") as stream:
                stream.write(word)

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            options.retry_backoff_seconds = 0
            with Toil(options) as toil:
                print(toil.start(Job.wrapJobFn(killed, os.path.abspath("note.txt"))))
        """,
        "./store",
        "--realTimeLogging",
        "True",
    )
    assert done.stdout == "deferred\n"
    assert "step 1 of 2" in done.stderr
    assert "too much" not in done.stderr


def test_stats_are_kept(tmp_path: Path) -> None:
    source = """
        import subprocess, sys
        from toil.common import Toil
        from toil.job import Job
        from toil.lib.bioio import setLoggingFromOptions, system

        def work(job):
            system("exit 0")
            system(["true"])

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            setLoggingFromOptions(options)
            with Toil(options) as toil:
                toil.start(Job.wrapJobFn(work, displayName="hard work"))
            stats = "from toil_core.cli import main; main(['stats', 'store', '--raw'])"
            subprocess.run([sys.executable, "-c", stats], check=True)
            store = Toil.getJobStore("store")
            store.destroy()
            store.destroy()
        """
    done = run_script(tmp_path, source, "--stats", "store", "--logLevel", "WARN")
    assert "hard work" in json.dumps(json.loads(done.stdout))
    assert not (tmp_path / "store").exists()


def test_a_local_job_and_one_that_needs_too_much(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job, JobGraphDeadlockException, JobException, JobPromiseConstraintError

        def wrongs():
            yield Job(memory="2Gi")
            two = Job(memory="64M")
            Job(unitName="second").addChild(two.addChild(Job(unitName="below")))
            yield two
            circle = Job(unitName="circle")
            child = circle.addChild(Job(unitName="child"))
            child.addFollowOn(circle)
            yield circle
            lonely = Job.wrapFn(print, Job(unitName="nowhere").rv())
            yield lonely
            yield "no job"

        if __name__ == "__main__":
            options = Job.Runner.getDefaultOptions("./store")
            options.maxMemory = "1Gi"
            with Toil(options) as toil:
                for wrong in wrongs():
                    try:
                        toil.start(wrong)
                    except JobGraphDeadlockException as error:
                        print("deadlock:", error)
                    except JobPromiseConstraintError as error:
                        print("promise:", error)
                    except Exception as error:
                        print(type(error).__name__, error)
                print(toil.start(Job.wrapFn(abs, -3, local=True, memory="64M")))
        """,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "GraphError job 'Job' asks for 2 GiB of memory; --max-memory allows 1 GiB"
    assert lines[1] == "deadlock: 'below' comes after 'second' too, which is not part of this graph: a graph has one root"
    assert lines[2] == "deadlock: these jobs wait for one another: 'circle' → 'child' → 'circle'"
    assert lines[3].startswith("promise: the value of 'nowhere' is used")
    assert lines[4] == "JobException a workflow starts with a Job, not with 'no job'"
    assert lines[5:] == ["3"]
