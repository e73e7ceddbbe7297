"""Scripts in the style of Toil's tutorials: first steps, graphs, promises, files."""

from __future__ import annotations

from pathlib import Path

from tests.scripts import run_script


def test_hello_world_as_a_class(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.job import Job

        class HelloWorld(Job):
            def __init__(self, message):
                Job.__init__(self, memory="1G", cores=1, disk="2M")
                self.message = message

            def run(self, fileStore):
                fileStore.logToMaster("now greeting")
                return "Hello, world!, here's a message: %s" % self.message

        if __name__ == "__main__":
            options = Job.Runner.getDefaultOptions("./toilWorkflowRun")
            options.logLevel = "INFO"
            options.clean = "always"
            print(Job.Runner.startToil(HelloWorld("woot"), options))
        """,
    )
    assert done.stdout == "Hello, world!, here's a message: woot\n"
    assert "now greeting" in done.stderr
    assert not (tmp_path / "toilWorkflowRun").exists()


def test_hello_world_as_a_function_and_as_a_job_function(tmp_path: Path) -> None:
    source = """
        import os
        from toil.common import Toil
        from toil.job import Job

        def helloWorld(message, memory="1G", cores=1, disk="1G"):
            return f"Hello, {message} {cores}"

        def write(path, *values):
            with open(path, "w") as stream:
                print(*values, file=stream)

        def helloJob(job, message, memory="100M"):
            job.log("hello from a job")
            job.fileStore.log_to_leader("and from its file store")
            return [message, job.memory, job.cores]

        if __name__ == "__main__":
            parser = Job.Runner.getDefaultArgumentParser()
            options = parser.parse_args()
            with Toil(options) as toil:
                root = Job.wrapFn(helloWorld, "you", cores=0.5)
                job = root.addChildJobFn(helloJob, root.rv(), cores=2, memory="64M")
                assert root.hasChild(job) and job.hasPredecessor(root)
                end = root.addFollowOnFn(list, "the end")
                assert root.hasFollowOn(end) and not root.hasChild(end)
                top = Job()
                top.addChild(root)
                top.addFollowOnFn(write, os.path.abspath("out.txt"), root.rv(), job.rv())
                print(toil.start(top))
        """
    done = run_script(tmp_path, source, "./store", "--logInfo", "--scale", "0.5")
    assert done.stdout == "None\n"
    assert "hello from a job" in done.stderr
    assert "and from its file store" in done.stderr
    assert (tmp_path / "out.txt").read_text() == "Hello, you 1 ['Hello, you 1', 64000000, 2]\n"


SORT = '''
    """Merge sort of the lines of a file."""
    import argparse, os, random, shutil
    from toil.common import Toil
    from toil.job import Job

    def setup(job, inputFile, N, downCheckpoints, options):
        job.fileStore.logToMaster("Starting the merge sort")
        return job.addChildJobFn(down, inputFile, N, "root", options, memory="128M").rv()

    def down(job, inputFileStoreID, N, path, options, memory="64M"):
        length = os.path.getsize(job.fileStore.readGlobalFile(inputFileStoreID))
        if length > N:
            midPoint = getMidPoint(job.fileStore.readGlobalFile(inputFileStoreID), 0, length)
            t1 = job.fileStore.getLocalTempFile()
            with open(t1, "w") as fH:
                fH.write(copySubRangeOfFile(job.fileStore.readGlobalFile(inputFileStoreID), 0, midPoint + 1))
            t2 = job.fileStore.getLocalTempFile()
            with open(t2, "w") as fH:
                fH.write(copySubRangeOfFile(job.fileStore.readGlobalFile(inputFileStoreID), midPoint + 1, length))
            first = job.addChildJobFn(down, job.fileStore.writeGlobalFile(t1), N, path + "/0", options).rv()
            second = job.addChildJobFn(down, job.fileStore.writeGlobalFile(t2), N, path + "/1", options).rv()
            return job.addFollowOnJobFn(up, first, second, path, options).rv()
        else:
            fH = job.fileStore.readGlobalFile(inputFileStoreID, mutable=True)
            sortFile(fH)
            return job.fileStore.writeGlobalFile(fH)

    def up(job, inputFileID1, inputFileID2, path, options, memory="64M"):
        with job.fileStore.writeGlobalFileStream() as (fileHandle, outputFileStoreID):
            with job.fileStore.readGlobalFileStream(inputFileID1) as in1, job.fileStore.readGlobalFileStream(inputFileID2) as in2:
                merge(in1, in2, fileHandle)
        job.fileStore.deleteGlobalFile(inputFileID1)
        job.fileStore.deleteGlobalFile(inputFileID2)
        return outputFileStoreID

    def sortFile(path):
        with open(path) as stream:
            lines = sorted(stream)
        with open(path, "w") as stream:
            stream.writelines(lines)

    def merge(in1, in2, out):
        import heapq
        for line in heapq.merge(in1, in2):
            out.write(line)

    def copySubRangeOfFile(path, start, end):
        with open(path) as stream:
            stream.seek(start)
            return stream.read(end - start)

    def getMidPoint(path, start, end):
        with open(path) as stream:
            midPoint = (start + end) // 2
            stream.seek(midPoint)
            line = stream.readline()
            return midPoint + len(line) - 1

    def main():
        parser = argparse.ArgumentParser()
        Job.Runner.addToilOptions(parser)
        parser.add_argument("--numLines", default=200, type=int)
        parser.add_argument("--fileToSort", default="in.txt")
        parser.add_argument("--N", type=int, default=600)
        options = parser.parse_args()
        random.seed(1)
        with open(options.fileToSort, "w") as stream:
            for _ in range(options.numLines):
                stream.write("%06d\\n" % random.randrange(10**6))
        with Toil(options) as workflow:
            if not workflow.options.restart:
                fileID = workflow.importFile("file://" + os.path.abspath(options.fileToSort))
                assert fileID.size == os.path.getsize(options.fileToSort)
                sortedFileID = workflow.start(Job.wrapJobFn(setup, fileID, options.N, False, options=options, memory="128M"))
            else:
                sortedFileID = workflow.restart()
            workflow.exportFile(sortedFileID, "file://" + os.path.abspath("out.txt"))

    if __name__ == "__main__":
        main()
'''


def test_sorting_a_file(tmp_path: Path) -> None:
    run_script(tmp_path, SORT, "file:store", "--defaultMemory=100M", "--numLines", "300")
    lines = (tmp_path / "in.txt").read_text().splitlines()
    assert (tmp_path / "out.txt").read_text().splitlines() == sorted(lines)
    assert len(lines) == 300


def test_a_dynamic_graph(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job

        def binaryStringFn(job, depth, message=""):
            if depth > 0:
                job.addChildJobFn(binaryStringFn, depth - 1, message + "0", cores=0.2, memory="64M")
                job.addChildJobFn(binaryStringFn, depth - 1, message + "1", cores=0.2, memory="64M")
            else:
                job.fileStore.logToMaster("Binary string: %s" % message)

        if __name__ == "__main__":
            options = Job.Runner.getDefaultOptions("./store")
            options.disableProgress = True
            with Toil(options) as toil:
                toil.start(Job.wrapJobFn(binaryStringFn, depth=3))
        """,
    )
    assert all(f"Binary string: {number:03b}" in done.stderr for number in range(8))


def test_promises(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job, unwrap, unwrap_all

        def fn(i):
            return i + 1

        def pair(job, n):
            return {"n": n, "later": [job.addChildFn(fn, n).rv(), (n,)]}

        def total(job, values, nested, known):
            assert unwrap(known) == 6 and unwrap_all([known]) == [6]
            return sum(values), nested["a"][0], known

        def collect(job, n):
            return [job.addChildFn(fn, i).rv() for i in range(n)]

        class Strings(Job):
            def __init__(self, promise):
                super().__init__(cores=0.1, memory="64M")
                self.promise = promise

            def run(self, fileStore):
                later = self.addChildFn(str, self.promise)
                return self.addFollowOnFn(str.join, "-", [later.rv(), later.rv()]).rv()

        def root(job):
            j1 = job.addChildFn(fn, 1, cores=0.1)
            j2 = j1.addChildFn(fn, j1.rv(), cores=0.1)
            j3 = j1.addFollowOnJobFn(pair, j2.rv())
            j4 = j3.addFollowOnJobFn(total, [j1.rv(), j2.rv(), j3.rv("n")], {"a": (j3.rv("later", 0),)}, 6)
            j5 = j4.addFollowOn(Strings(j4.rv(1)))
            lambdas = job.addFollowOnFn(lambda value: value * 2, 21)
            return j4.rv(), j5.rv(), j1.addFollowOnJobFn(collect, 4).rv(), lambdas.rv()

        if __name__ == "__main__":
            with Toil(Job.Runner.getDefaultOptions("./store")) as toil:
                print(toil.start(Job.wrapJobFn(root)))
        """,
    )
    assert done.stdout == "((8, 4, 6), '4-4', [1, 2, 3, 4], 42)\n"


def test_a_running_job_adds_all_kinds_of_jobs(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import os
        from toil.common import Toil
        from toil.job import Job
        from toil.lib.io import mkdtemp

        def say(path, word):
            with open(path, "a") as stream:
                stream.write(str(word) + " ")
            return word

        class Nested(Job):
            def __init__(self, inner, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.inner = inner

            def run(self, fileStore):
                child = self.addChild(self.inner)
                return child.rv(), child.memory

        class Old(Job):
            def __init__(self):
                Job.__init__(self, "100M", 1, "1M")

            def run(self, fileStore):
                return "old %s" % self.memory

        def top(job, path):
            small = dict(cores=0.1, memory="32M")
            first = Job.wrapFn(say, path, "first", **small)
            first.addChildFn(say, path, "below-first", **small)
            all_of_it = job.addChild(first.encapsulate())
            all_of_it.addChildFn(say, path, all_of_it.rv(), **small)
            size = job.addFollowOnFn(lambda: 2 ** 26, cores=0.1)
            sized = size.addChildJobFn(lambda job: job.memory, memory=size.rv(), cores=0.1)
            sized.addChildFn(say, path, "below-sized", **small)
            nested = job.addFollowOn(Nested(Job.wrapFn(abs, -5, memory="77M", cores=0.1)))
            shared = Job.wrapFn(lambda *values: values, sized.rv(), nested.rv(), cores=0.1)
            size.addFollowOn(shared)
            nested.addFollowOn(shared)
            shared.addFollowOnFn(say, path, job.rv(0), **small)
            deep = job.addChildJobFn(outer, memory="64M")
            return "mine", shared.rv(), deep.addChild(Old()).rv(), deep.rv()

        def outer(job):
            return {"key": job.addChildJobFn(inner).rv("value")}

        def inner(job):
            return {"value": [job.addFollowOnFn(int, "7").rv()]}

        if __name__ == "__main__":
            store = mkdtemp("tutorial")
            os.rmdir(store)
            with Toil(Job.Runner.getDefaultOptions(store)) as toil:
                print(toil.start(Job.wrapJobFn(top, os.path.abspath("log.txt"))))
        """,
    )
    assert done.stdout == "('mine', (67108864, (5, 77000000)), 'old 100000000', {'key': [7]})\n"
    assert (tmp_path / "log.txt").read_text() == "first below-first first below-sized mine "


def test_files(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n")
    done = run_script(
        tmp_path,
        """
        import os, stat
        from toil.common import Toil
        from toil.fileStores import FileID
        from toil.job import Job
        from toil.jobStores.abstractJobStore import NoSuchFileException

        def write(job, imported):
            store = job.fileStore
            scratch = store.getLocalTempDir()
            assert os.path.isdir(scratch) and os.getcwd() == store.localTempDir
            assert os.listdir(job.tempDir) == [] and job.tempDir == job.tempDir
            path = store.getLocalTempFileName(suffix=".txt", prefix="pre")
            assert not os.path.exists(path) and path.endswith(".txt") and os.path.basename(path).startswith("pre")
            with open(path, "w") as stream:
                stream.write("from a path")
            first = store.writeGlobalFile(path)
            with store.writeGlobalFileStream(basename="streamed.bin") as (stream, second):
                stream.write(b"from a stream")
            with store.writeGlobalFileStream(encoding="utf-8") as (stream, third):
                stream.write("é")
            temporary = store.writeGlobalFile(path, cleanup=True)
            assert (first.size, second.size, third.size) == (11, 13, 2)
            assert store.getGlobalFileSize(str(second)) == 13
            with store.readGlobalFileStream(imported) as stream:
                assert stream.read() == b"hello\\n"
            with store.readGlobalFileStream(imported, encoding="utf-8") as stream:
                assert stream.read() == "hello\\n"
            job.addChildJobFn(read, first, str(second), third, temporary)
            return {"first": first, "second": str(second)}

        out = os.path.dirname(os.path.abspath(__file__))

        def read(job, first, second, third, temporary):
            store = job.fileStore
            assert isinstance(first, FileID) and not isinstance(second, FileID)
            shared = store.readGlobalFile(first)
            with open(shared) as stream:
                assert stream.read() == "from a path"
            own = store.readGlobalFile(first, mutable=True)
            with open(own, "a") as stream:
                stream.write(" changed")
            assert shared != own and open(shared).read() == "from a path"
            named = store.readGlobalFile(second, userPath=os.path.join(store.getLocalTempDir(), "named"))
            assert open(named).read() == "from a stream" and not os.path.islink(named)
            linked = store.readGlobalFile(second, userPath="linked", symlink=True)
            assert os.path.islink("linked") and open(linked).read() == "from a stream"
            try:
                store.readGlobalFile(second, userPath="linked")
            except FileExistsError:
                pass
            else:
                raise AssertionError("overwritten")
            store.deleteLocalFile(second)
            assert not os.path.lexists("linked") and not os.path.exists(named)
            try:
                store.deleteLocalFile(second)
            except OSError:
                pass
            else:
                raise AssertionError("deleted twice")
            assert open(store.readGlobalFile(second)).read() == "from a stream"
            store.deleteGlobalFile(third)
            store.exportFile(first, "file://%s" % os.path.abspath("exported"))
            assert open("exported").read() == "from a path"
            beside = store.readGlobalFile(first, userPath=os.path.join(out, "beside"))
            with open(beside, "a") as stream:
                stream.write(" and changed")
            assert open(store.readGlobalFile(first)).read() == "from a path"
            again = store.importFile("file://%s" % os.path.abspath("exported"))
            assert again.size == 11 and open(store.readGlobalFile(again)).read() == "from a path"
            assert store.get_disk_usage() > 0
            job.addFollowOnJobFn(gone, third)

        def gone(job, third):
            try:
                job.fileStore.readGlobalFile(third)
            except NoSuchFileException:
                pass
            else:
                raise AssertionError("still there")

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            with Toil(options) as toil:
                assert not toil.url_exists("file:///nowhere/at/all") and toil.url_exists("in.txt")
                assert toil.import_file("nowhere", check_existence=False) is None
                imported = toil.import_file("file:" + os.path.abspath("in.txt"))
                files = toil.start(Job.wrapJobFn(write, imported))
                toil.export_file(files["first"], "file://" + os.path.abspath("one.txt"))
                toil.exportFile(files["second"], os.path.abspath("two.txt"))
                store = Toil.resumeJobStore(options.jobStore)
                assert store.file_exists(files["first"]) and store.get_file_size(files["second"]) == 13
                with store.read_file_stream(files["second"]) as stream:
                    assert stream.read() == b"from a stream"
                store.read_file(files["first"], "three.txt")
        """,
        "store",
    )
    assert done.stdout == ""
    assert (tmp_path / "one.txt").read_text() == (tmp_path / "three.txt").read_text() == "from a path"
    assert (tmp_path / "two.txt").read_text() == "from a stream"


def test_a_running_job_may_change_what_it_reads_if_the_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello")
    done = run_script(
        tmp_path,
        """
        from toil.common import Toil
        from toil.job import Job

        def change(job, file):
            path = job.fileStore.readGlobalFile(file)
            with open(path, "a") as stream:
                stream.write(" world")
            with job.fileStore.readGlobalFileStream(file) as stream:
                return open(path).read(), stream.read()

        if __name__ == "__main__":
            options = Job.Runner.getDefaultArgumentParser().parse_args()
            with Toil(options) as toil:
                print(*toil.start(Job.wrapJobFn(change, toil.importFile("in.txt"))))
        """,
        "store",
        "--readGlobalFileMutableByDefault",
    )
    assert done.stdout == "hello world b'hello'\n"
