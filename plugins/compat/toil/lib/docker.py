"""Containers: calls of the `docker` program."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from toil_core.errors import UsageError

FORGO, STOP, RM = 0, 1, 2
"""What becomes of a container when its job has ended: nothing, it is stopped, it is removed."""

Words = Sequence[str]


def apiDockerCall(
    job: Any, image: str, parameters: Words | Sequence[Words] | None = None, deferParam: int | None = None,
    volumes: Mapping[str, Mapping[str, str]] | None = None, working_dir: str | None = None, containerName: str | None = None,
    entrypoint: str | Words | None = None, detach: bool = False, log_config: Any = None, auto_remove: bool | None = None,
    remove: bool = False, user: str | None = None, environment: Mapping[str, str] | Words | None = None, stdout: bool | None = True,
    stderr: bool = False, stream: bool = False, demux: bool = False, streamfile: str | None = None, accelerators: Sequence[int] | None = None,
    timeout: float | None = None, **kwargs: Any,
) -> bytes | str:  # fmt: skip
    """Run a container and wait for its end.

    Args:
        job: The running job.
        image: The container's image.
        parameters: The program's words; or a list of lists of them, a pipe.
        deferParam: What becomes of the container when the job ends early: FORGO, STOP or RM.
        volumes: By folder of this machine, where it is in the container (`bind`) and how (`mode`); the working folder at `/data` if not given.
        working_dir: The program's working folder in the container; the job's own if not given.
        containerName: What the container is called.
        entrypoint: The program.
        detach: Do not wait; the container's id is given back.
        log_config: Not used.
        auto_remove: Remove the container when it has ended.
        remove: The same.
        user: Who the program runs as.
        environment: Variables.
        stdout: Whether what the program writes to standard output is given back.
        stderr: Whether what it writes to standard error is given back with it.
        stream: Not used.
        demux: Not used.
        streamfile: Write what would be given back to this file.
        accelerators: Numbers of the GPUs that the program sees.
        timeout: Seconds after which the container is killed.
        kwargs: Further options of `docker run`, by name.

    Returns:
        What the program wrote.

    Raises:
        UsageError: There is no `docker` here.
        CalledProcessError: The program failed.
        TimeoutExpired: It did not end in its time.
    """
    name = containerName or getContainerName(job)
    folder = working_dir or os.getcwd()
    options = ["--name", name, "--workdir", folder]
    for source, target in (volumes if volumes is not None else {folder: {"bind": "/data", "mode": "rw"}}).items():
        options += ["--volume", f"{source}:{target['bind']}:{target.get('mode', 'rw')}"]
    if auto_remove or remove:
        options.append("--rm")
    if detach:
        options.append("--detach")
    if user:
        options += ["--user", user]
    for variable in [f"{key}={value}" for key, value in environment.items()] if isinstance(environment, Mapping) else environment or ():
        options += ["--env", variable]
    if accelerators:
        options += ["--gpus", f'"device={",".join(map(str, accelerators))}"']
    for key, value in kwargs.items():
        options.append(f"--{key.replace('_', '-')}={value}")
    before, words = _program(entrypoint, parameters)
    _defer(job, name, deferParam)
    done = _docker("run", *options, *before, image, *words, stderr=stderr, timeout=timeout, name=name)
    if streamfile is not None:
        Path(streamfile).write_bytes(done)
        return streamfile
    return done if stdout is not False else b""


def dockerCall(
    job: Any, tool: str, parameters: Words | Sequence[Words] | None = None, workDir: str | None = None,
    dockerParameters: Words | None = None, outfile: IO[bytes] | None = None, defer: int | None = None,
) -> None:  # fmt: skip
    """Run a container and wait for its end; the working folder is `/data` in it.

    Args:
        job: The running job.
        tool: The container's image.
        parameters: The program's words; or a list of lists of them, a pipe.
        workDir: The working folder; the job's own if not given.
        dockerParameters: Options of `docker run`, in place of those that are usual.
        outfile: Where standard output goes.
        defer: What becomes of the container when the job ends early: FORGO, STOP or RM.

    Raises:
        UsageError: There is no `docker` here.
        CalledProcessError: The program failed.
    """
    output = dockerCheckOutput(job, tool, parameters, workDir, dockerParameters, defer)
    if outfile is not None:
        outfile.write(output)
        outfile.flush()
    else:
        print(output.decode(errors="replace"), end="", flush=True)


def dockerCheckOutput(
    job: Any, tool: str, parameters: Words | Sequence[Words] | None = None, workDir: str | None = None,
    dockerParameters: Words | None = None, defer: int | None = None,
) -> bytes:  # fmt: skip
    """Run a container; what it writes to standard output. See `dockerCall`."""
    name = getContainerName(job)
    folder = os.path.abspath(workDir or os.getcwd())
    options = list(dockerParameters) if dockerParameters is not None else ["--rm", "--log-driver", "none", "--volume", f"{folder}:/data"]
    if "--name" not in options:
        options += ["--name", name]
        _defer(job, name, RM if defer is None else defer)
    before, words = _program(None, parameters)
    return _docker("run", *options, *before, tool, *words)


subprocessDockerCall = dockerCall


def getContainerName(job: Any) -> str:
    """A name for a container that no other one has."""
    kind = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in str(getattr(job, "jobName", "job")))
    return f"toil-{kind}-{uuid.uuid4().hex}"


def dockerStop(container_name: str) -> None:
    """Stop a container; one that does not run is left alone."""
    if containerIsRunning(container_name):
        _docker("stop", container_name)


def dockerKill(container_name: str, gentleKill: bool = False, remove: bool = False, timeout: float | None = None) -> None:
    """End a container, and remove it if wanted.

    Args:
        container_name: Its name.
        gentleKill: Ask it to stop first.
        remove: Whether it is removed.
        timeout: Seconds that it may take to stop.
    """
    if containerIsRunning(container_name):
        _docker(*(["stop"] if gentleKill else ["kill"]), container_name, timeout=timeout)
    if remove and containerIsRunning(container_name) is not None:
        _docker("rm", "--force", container_name)


def containerIsRunning(container_name: str, timeout: float | None = None) -> bool | None:
    """Whether a container runs; None when there is none of that name."""
    try:
        state = _docker("inspect", "--format", "{{.State.Running}}", container_name, timeout=timeout)
    except subprocess.CalledProcessError:
        return None
    return state.strip() == b"true"


def end(name: str, action: int) -> None:
    """What a job defers: end its container.

    Args:
        name: The container's name.
        action: STOP or RM.
    """
    if action == STOP:
        dockerStop(name)
    else:
        dockerKill(name, remove=True)


def _defer(job: Any, name: str, action: int | None) -> None:
    if job is not None and action not in (None, FORGO):
        job.defer(end, name, action)


def _program(entrypoint: str | Words | None, parameters: Any) -> tuple[list[str], list[str]]:
    """Options before the image, and words after it."""
    words = list(parameters or ())
    if words and not isinstance(words[0], str):
        pipe = " | ".join(shlex.join(map(str, part)) for part in words)
        return ["--entrypoint", "/bin/bash"], ["-c", f"set -eo pipefail && {pipe}"]
    program = [entrypoint] if isinstance(entrypoint, str) else list(entrypoint or ())
    return (["--entrypoint", program[0]] if program else []), [*program[1:], *map(str, words)]


def _docker(*words: str, stderr: bool = False, timeout: float | None = None, name: str = "") -> bytes:
    try:
        done = subprocess.run(
            ["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT if stderr else None, check=True, timeout=timeout
        )
    except FileNotFoundError:
        raise UsageError("the program `docker` is not installed on this machine, so no container can be run") from None
    except subprocess.TimeoutExpired:
        if name:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        raise
    return done.stdout
