"""What a new run starts from: its options, its environment, and its first commit."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from toil_core.batch_system import Usage
from toil_core.errors import BadOption
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Result
from toil_core.wire.work import Estimate
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.job import Job
from toil_core.workflow.policy import Policy


def initial_commit(root: Job[Any], config: Config, estimates: Mapping[str, Estimate] | None = None) -> tuple[bytes, frozenset[str]]:
    """The commit that holds the user's graph, and the modules that define its jobs.

    Args:
        root: The job that all others come after.
        config: The run's options.
        estimates: What jobs should be given where they do not say, by name.

    Raises:
        GraphError: The jobs form no graph that can be run.
        NotPicklable: Something that a job needs cannot be sent to a worker.
    """
    flat, payload = flatten_root(root, keys.ROOT, Policy.of(config, estimates))
    result = Result(keys.ROOT, kinds=flat.kinds, jobs=flat.jobs, children=flat.children)
    return commits.encode(keys.ROOT, 0, [(msgspec.msgpack.encode(result), payload, Usage())]), flat.modules


def environment(settings: Iterable[str]) -> dict[str, str]:
    """The variables that `--set-env` sets for every job.

    Args:
        settings: `NAME=VALUE`, or `NAME` for its value here.

    Raises:
        BadOption: A name alone is given, and it has no value here.
    """
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals and name not in os.environ:
            raise BadOption(f"--set-env {name}: there is no such variable here to pass on; write {name}=VALUE")
        found[name] = value if equals else os.environ[name]
    return found


def config_of(options: argparse.Namespace | Mapping[str, Any] | Config, saved: Config | None = None) -> Config:
    """The config that these options make, over environment, config file and defaults.

    Args:
        options: What a parser found; or values by the options' names in Python, where text is understood as on
            the command line; or a config, which stays as it is.
        saved: The config of the run that is restarted, which stands in for environment, file and defaults.

    Raises:
        BadOption: There is no such option, or its value cannot be used.
    """
    from toil_core.options import config_from

    if isinstance(options, Config):
        return options
    if isinstance(options, argparse.Namespace):
        return config_from(options, saved=saved)
    return _with_values(config_from(None, saved=saved), options)


def _with_values(config: Config, options: Mapping[str, Any]) -> Config:
    from toil_core.option_specs import specs
    from toil_core.plugins import workflow_option_groups

    groups = workflow_option_groups()
    known = {(f"{group.prefix}_" if group.prefix else "") + spec.field: (group, spec) for group in groups for spec in specs(group)}
    for name, value in options.items():
        if name not in known:
            raise BadOption(f"there is no option {name}{_close(name, known)}")
        group, spec = known[name]
        try:
            meant = None if value is None and spec.optional else spec.value(value)
        except BadOption as error:
            raise BadOption(f"{name}: {error}") from None
        config = config.replacing(replace(config[group.type], **{spec.field: meant}))
    return config


def _close(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
