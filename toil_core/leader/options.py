"""What a run can be told, whatever its batch system and job store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from toil_core.errors import BadOption
from toil_core.options import option
from toil_core.sizes import parse_cores, parse_count, parse_duration, parse_factor, parse_size, parse_time_limit, parse_waiting_time

Level = Literal["OFF", "CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"]
LEVELS: dict[str, str] = {f"--log{name}": name.upper() for name in ("Off", "Critical", "Error", "Warning", "Info", "Debug")}


def parse_variable(text: str) -> str:
    """`NAME=VALUE`, or `NAME` for its value where the leader runs.

    Raises:
        BadOption: The name is none, or is one that secrets have.
    """
    from toil_core.secrets import refuse_secret

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(=[^\0]*)?", text, re.DOTALL):
        name, equals, _ = text.partition("=")
        raise BadOption(f"{name + equals!r} sets no variable; write NAME=VALUE, or NAME to pass its present value on")
    refuse_secret(text.partition("=")[0])
    return text


RETRIED = ("failed", "out of memory", "over time", "out of disk", "killed")
"""Reasons with retries of their own; the text of each `Reason`."""


def parse_retries(text: str) -> str:
    """`REASON=COUNT`, with the reason as the engine writes it (`over time`) or with hyphens (`over-time`).

    Raises:
        BadOption: There is no such reason, or this is no count.
    """
    name, equals, count = text.partition("=")
    reason = re.sub(r"[-_\s]+", " ", name.strip().lower())
    if not equals or reason not in RETRIED:
        known = ", ".join(reason.replace(" ", "-") for reason in RETRIED)
        raise BadOption(f"{text!r} is not REASON=COUNT; the reasons are {known}")
    return f"{reason}={parse_count(count)}"


def parse_level(text: str) -> str:
    """A level of logging; `WARN` is `WARNING`.

    Raises:
        BadOption: There is no such level.
    """
    level = "WARNING" if text.upper() == "WARN" else text.upper()
    if level not in LEVELS.values():
        raise BadOption(f"{text!r} is not a level of logging; write one of {', '.join(LEVELS.values())}")
    return level


@dataclass(frozen=True)
class EngineOptions:
    """Options of every run."""

    batch_system: str = option("single_machine", "What runs the jobs; `toil plugins` lists the names.")
    restart: bool = option(False, "Go on with the workflow that the job store holds.", env="", saved=False)
    take_over: bool = option(
        False, "Become the leader although another one may be alive elsewhere; it will stop.", env="", saved=False
    )
    clean: Literal["always", "onError", "never", "onSuccess"] = option("onSuccess", "When to remove the job store at the end.")
    durability: Literal["process", "power"] = option("process", "What finished work survives: the death of any process, or loss of power too.")
    work_dir: str | None = option(None, "Folder for temporary files of jobs; the system's own if not given.", env="TOIL_WORKDIR")
    caching: bool = option(
        True, "Share files that jobs read among the jobs of a node, where the job store has no paths.", shortcuts={"--disableCaching": ("false", "true")}
    )
    cache_size: int | None = option(
        None, "How much a node's cache of files may hold; a fifth of the free disk if not given.", parse=parse_size
    )
    retry_count: int = option(1, "How often a failed job is tried again.", parse=parse_count)
    retry_count_for: tuple[str, ...] = option(
        (), "How often a job is tried again after it failed for that reason, where --retry-count is not right: over-time=3.", parse=parse_retries
    )
    retry_backoff_seconds: float = option(2.0, "Wait before the first retry.", parse=parse_duration)
    retry_backoff_factor: float = option(3.0, "Each further wait is this many times longer.", parse=parse_factor)
    max_node_losses: int = option(20, "How often a job may lose its node, or be preempted, before it fails.", parse=parse_count)
    out_of_memory_factor: float = option(
        2.0, "A job that ran out of memory is tried again with this many times more.", parse=parse_factor, shortcuts={"--doubleMem": ("2", "1")}
    )
    over_time_factor: float = option(
        2.0, "A job that did not end in its time is tried again with this many times more.", parse=parse_factor, shortcuts={"--doubleTime": ("2", "1")}
    )
    default_cores: float = option(1.0, "Cores of a job that does not say.", parse=parse_cores)
    default_memory: int = option(2 << 30, "Memory of a job that does not say.", parse=parse_size)
    default_disk: int = option(2 << 30, "Temporary disk of a job that does not say.", parse=parse_size)
    default_preemptible: bool = option(False, "Whether a job that does not say may run where it can be preempted.")
    default_wall_time: float | None = option(
        None, "Time limit of a job that does not say; 0 is refused, and there is no limit if not given.", flags=("--default-walltime", "--defaultWalltime"), parse=parse_time_limit
    )
    max_cores: float | None = option(None, "A job may not ask for more cores than this.", parse=parse_cores)
    estimate_from: str | None = option(
        None, "Give jobs what an earlier run measured: LOCATOR of its job store, or FILE of --save-profile.", saved=False
    )
    estimate_all: bool = option(False, "With --estimate-from, also for jobs that say what they need.")
    estimate_margin: float = option(0.2, "Share that is added to what was measured.", parse=parse_factor)
    save_profile: str | None = option(None, "At the end, write what each kind of job was measured to use to this file.")
    max_memory: int | None = option(None, "A job may not ask for more memory than this.", parse=parse_size)
    max_disk: int | None = option(None, "A job may not ask for more disk than this.", parse=parse_size)
    max_wall_time: float | None = option(
        None, "A job may not ask for more time than this; 0 is refused.", flags=("--max-walltime", "--maxWalltime"), parse=parse_time_limit
    )
    memory_tolerance: float = option(0.2, "Fraction over its memory that a job may use before it is ended.", parse=parse_factor)
    deferred_time: float = option(60.0, "Time limit of each function that a job defers.", parse=parse_waiting_time)
    real_time_logging: bool = option(False, "Show what jobs say through the logging module, from --log-level up, while they run.")
    max_log_file_size: int = option(100 << 20, "How much of a job's log is kept, from its end; 0 for all.", parse=parse_size)
    write_logs: str | None = option(None, "Folder for a copy of the log of each failed job.")
    reference_imports: bool = option(
        False, "Copy no file that is imported at the start: jobs read it where it is, and it must stay there unchanged.",
        flags=("--symlinkImports",),
    )  # fmt: skip
    write_logs_from_all_jobs: bool = option(False, "Keep the logs of jobs that succeed too.")
    set_env: tuple[str, ...] = option((), "Set a variable for every job: NAME=VALUE, or NAME alone.", flags=("-e",), parse=parse_variable)
    disable_hot_deployment: bool = option(
        False,
        "Send no code to workers: they have the script, its modules and its packages themselves.",
        flags=("--disable-auto-deployment", "--disableAutoDeployment"),
    )
    max_deployment: int = option(50 << 20, "The most bytes that the code sent to workers may have.", parse=parse_size)
    python_requirements: str | None = option(
        None, "A pip requirements file; workers install what they lack of it.", flags=("--pythonRequirements",)
    )
    max_service_jobs: int | None = option(
        None, "How many services may run at the same time, but for those where they can be preempted.", parse=parse_count
    )
    max_preemptible_service_jobs: int | None = option(
        None, "How many services may run at the same time where they can be preempted.", parse=parse_count
    )
    service_check_interval: float = option(5.0, "How often a service checks itself.", parse=parse_waiting_time)
    service_grace: float = option(30.0, "How long a service may take to stop.", parse=parse_duration)
    deadlock_wait: float = option(
        60.0, "How long only services may run, and none of the jobs that they are for, before this counts as a deadlock.", parse=parse_duration
    )
    max_local_jobs: int | None = option(
        None, "How many local jobs may run at the same time beside the leader; as many as it has cores if not given.", parse=parse_count
    )
    run_local_jobs_on_workers: bool = option(False, "Send local jobs to the batch system as all others.")
    disable_chaining: bool = option(False, "Send every job to the batch system, even one that could run where its predecessor just ended.")
    disable_progress: bool = option(False, "Show plain lines instead of progress bars.")
    stop_on_first_failure: bool = option(False, "End the run as soon as one job fails for good.")
    log_level: Level = option("INFO", "How much the leader says.", parse=parse_level, shortcuts=LEVELS)
    log_file: str | None = option(None, "Write the leader's log to this file as well.")
