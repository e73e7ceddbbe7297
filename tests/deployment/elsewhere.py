"""A batch system for tests: its workers are commands in an empty folder, with another environment, as on another machine.

It stands for every engine that can only run a command. The variable `ELSEWHERE` says which Python
to run and where; the work travels through the job store.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from toil_core.batch_system import BatchSystem, Reason, Request, State, Update
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.wire.work import decode_work


class Elsewhere(BatchSystem):
    """Starts `python -m toil_core.worker` for each request.

    Args:
        config: The options.
    """

    needs_lease = True

    def __init__(self, config: Config) -> None:
        place = json.loads(os.environ["ELSEWHERE"])
        self._python, self._folder, self._variables = place["python"], Path(place["folder"]), place["environment"]
        self._config = config
        self._news: SimpleQueue[Update | None] = SimpleQueue()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def submit(self, requests: Sequence[Request]) -> None:
        for request in requests:
            if request.id not in self._processes:
                self._start(request)

    def updates(self, seconds: float | None = None) -> list[Update]:
        found: list[Update] = []
        try:
            first = self._news.get(timeout=seconds)
            found += [first] if first is not None else []
            while (update := self._news.get_nowait()) is not None:
                found.append(update)
        except Empty:
            pass
        return found

    def cancel(self, ids: Iterable[str]) -> None:
        for id in ids:
            if id in self._processes:
                self._processes[id].terminate()

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for thread in self._threads:
            thread.join(30)
        self._news.put(None)

    def _start(self, request: Request) -> None:
        work, key = decode_work(request.work), f"work/{request.id}"
        with open_job_store(work.store, self._config) as store:
            store.create(key, request.work)
        process = subprocess.Popen(
            [self._python, "-m", "toil_core.worker", work.store, key],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes[request.id] = process
        thread = threading.Thread(target=self._wait, args=(request.id, process))
        self._threads.append(thread)
        thread.start()

    def _wait(self, id: str, process: subprocess.Popen[str]) -> None:
        self._news.put(Update(id, State.RUNNING))
        printed, _ = process.communicate()
        reason = Reason.FAILED if process.returncode else None
        self._news.put(Update(id, State.ENDED, reason, process.returncode, " ".join(printed.split())))
