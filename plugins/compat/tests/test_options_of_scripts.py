"""Options as attributes: what is typed can be read, what is set counts."""

from __future__ import annotations

import argparse
import copy
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toil_core.leader.options import EngineOptions
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config, config_from

from toil._options import engine_options, without_effect
from toil.job import Job


@pytest.fixture(autouse=True)
def _no_config_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TOIL_WORKDIR", raising=False)
    yield


def told(options: argparse.Namespace, saved: Config | None = None) -> EngineOptions:
    """What a run with these options is told."""
    return config_from(engine_options(options), saved=saved)[EngineOptions]


def parse(*words: str) -> Any:
    return Job.Runner.getDefaultArgumentParser().parse_args(words)


def test_defaults_can_be_read() -> None:
    options = Job.Runner.getDefaultOptions("./store")
    assert (options.jobStore, options.logLevel, options.clean, options.restart, options.stats) == ("./store", "INFO", "onSuccess", False, False)
    assert (options.defaultMemory, options.defaultCores, options.maxCores, options.maxMemory) == (2 << 30, 1, sys.maxsize, sys.maxsize)
    assert (options.workDir, options.disableCaching, options.caching, options.setEnv) == (None, False, True, [])
    assert (options.retryCount, options.retry_count, options.batchSystem) == (1, 1, "single_machine")
    assert (options.cleanWorkDir, options.rescueJobsFrequency, options.sseKey) == ("always", 60, None)
    assert told(options) == EngineOptions()
    assert list(without_effect(options)) == []


def test_what_is_typed_can_be_read() -> None:
    options = parse(
        "--batchSystem", "singleMachine", "--defaultMemory=3G", "--maxCores", "4", "--logDebug", "--disableCaching", "--retryCount", "0",
        "--setEnv", "A=1", "-e", "B=2", "--stats", "./store", "--disableAutoDeployment", "--clean", "never",
    )  # fmt: skip
    assert (options.jobStore, options.defaultMemory, options.maxCores, options.logLevel) == ("./store", 3 * 10**9, 4, "DEBUG")
    assert (options.disableCaching, options.retryCount, options.setEnv, options.stats) == (True, 0, ["A=1", "B=2"], True)
    assert options.disableHotDeployment and options.disableAutoDeployment
    found = told(options)
    assert (found.default_memory, found.max_cores, found.caching, found.set_env, found.clean) == (3 * 10**9, 4, False, ("A=1", "B=2"), "never")


def test_what_is_set_counts() -> None:
    options = Job.Runner.getDefaultOptions("./store")
    options.defaultMemory, options.logLevel, options.clean, options.maxCores = "4G", "WARN", "always", sys.maxsize
    options.retry_backoff_seconds, options.disableCaching, options.setEnv, options.stats = 0.5, True, ["A=1"], True
    options.maxServiceJobs, options.workDir, options.badWorker, options.batchSystem = sys.maxsize, "/tmp", 0.5, "singleMachine"
    found = told(options)
    assert (found.default_memory, found.log_level, found.clean, found.max_cores) == (4 * 10**9, "WARNING", "always", None)
    assert (found.retry_backoff_seconds, found.caching, found.set_env, found.max_service_jobs) == (0.5, False, ("A=1",), None)
    assert found.work_dir == "/tmp"
    assert config_from(engine_options(options))[WatchOptions].stats
    assert list(without_effect(options)) == ["--badWorker has no effect"]


@pytest.mark.parametrize("name", ["clean", "logLevel", "retryCount"])
def test_nothing_is_the_default(name: str) -> None:
    options = Job.Runner.getDefaultOptions("./store")
    setattr(options, name, None)
    assert told(options) == EngineOptions()


def test_what_is_set_wins_over_what_is_typed() -> None:
    options = parse("./store", "--retryCount", "5", "--defaultDisk", "1G")
    options.retryCount = 2
    assert (told(options).retry_count, told(options).default_disk) == (2, 10**9)
    for other in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        assert told(other) == told(options)


def test_a_restart_inherits_what_is_not_said() -> None:
    saved = Config([EngineOptions(retry_count=7, default_memory=10**9)])
    assert told(parse("./store", "--restart"), saved).retry_count == 7
    again = parse("./store", "--restart", "--retryCount", "1")
    assert (told(again, saved).retry_count, told(again, saved).default_memory) == (1, 10**9)


def test_a_namespace_made_by_hand() -> None:
    found = told(argparse.Namespace(jobStore="./store", logLevel="DEBUG", retryCount=3, unknown=1))
    assert (found.log_level, found.retry_count) == ("DEBUG", 3)


def test_a_parser_of_the_scripts_own() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clean", default="mine")
    parser.add_argument("--words", nargs="+")
    Job.Runner.addToilOptions(parser)
    parser.add_argument("--later", type=int)
    options = parser.parse_args(["./store", "--clean", "it", "--words", "a", "b", "--realTimeLogging", "--later", "3"])
    assert (options.clean, options.words, options.later, options.realTimeLogging) == ("it", ["a", "b"], 3, True)
    assert told(options).clean == "onSuccess"
    options, rest = parser.parse_known_args(["./store", "--realTimeLogging", "false", "--else"])
    assert (options.realTimeLogging, rest) == (False, ["--else"])


def test_the_job_store_as_a_flag() -> None:
    parser = Job.Runner.getDefaultArgumentParser(jobstore_as_flag=True)
    assert parser.parse_args(["--jobStore", "./x"]).jobStore == "./x"
    assert parser.parse_args([]).jobStore is None


def test_options_of_toil_that_mean_nothing_here_are_accepted() -> None:
    options = parse(
        "./store", "--rescueJobsFrequency", "60", "--badWorker", "0.5", "--cleanWorkDir=never", "--metrics", "--clusterStats", "--nodeTypes", "a,b",
        "--logTrace", "--writeLogs",
    )  # fmt: skip
    assert (options.badWorker, options.metrics, options.clusterStats, options.logLevel, options.writeLogs) == ("0.5", True, True, "DEBUG", ".")
    lines = list(without_effect(options))
    assert "--cleanWorkDir has no effect: folders of jobs are always removed" in lines
    assert len(lines) == 6
    assert told(parse("./store", "--maxJobDuration", "100")).default_wall_time == 100
    assert told(parse("./store", "--readGlobalFileMutableByDefault", "-e", "A=1")).set_env == ("A=1", "TOIL_COMPAT_MUTABLE=true")


def test_wrong_options_end_the_program_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("./store", "--defaultMemory", "much"), ("./store", "--nonsense"), ()):
        with pytest.raises(SystemExit) as ended:
            parse(*words)
        assert ended.value.code == 2
    told_by = capsys.readouterr().err
    assert "--defaultMemory: 'much' is not a size in bytes" in told_by
    assert told_by.count("usage:") == 3


def test_help_shows_the_scripts_own_arguments_in_its_first_line() -> None:
    parser = Job.Runner.getDefaultArgumentParser()
    parser.add_argument("--words")
    text = parser.format_help()
    assert text.splitlines()[0].endswith("[-h] [--words WORDS] jobStore")
    assert "--retry-count" in text and "--parasolCommand" not in text


def test_other_parsers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"takes an argparse\.ArgumentParser, not int"):
        Job.Runner.addToilOptions(3)
