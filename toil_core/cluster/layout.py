"""Where things are on a node of a cluster.

    HOME/.toil/                  the cluster's folder, mode 0700
        cluster.json             which cluster and node this is, and the version of the program that made it
        engine/                  the engine's own files, secrets among them
        engine.json engine.log   the program that the node runs, and what it says
        environment bashrc       what makes a shell know the cluster
        bin/                     toil and python, which know the cluster without being told
        images/NAME/             what is installed: a Python environment; a machine image may have it in /opt/toil/images
        runs/RUN/                what was submitted: code, log, exit code
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from toil_core.errors import ToilError
from toil_core.option_specs import specs
from toil_core.plugins import option_groups
from toil_core.secrets import looks_secret


class Layout:
    """The paths on one node.

    Args:
        home: The home of the node's user.
    """

    def __init__(self, home: PurePosixPath) -> None:
        self.home = home
        self.base = home / ".toil"
        self.engine = self.base / "engine"
        self.engine_log = self.base / "engine.log"
        self.images = self.base / "images"
        self.runs = self.base / "runs"
        self.tool = self.base / "on_node.py"

    def image(self, name: str) -> PurePosixPath:
        """The environment of an image."""
        return self.images / name

    @staticmethod
    def prepared_image(name: str) -> PurePosixPath:
        """Where a machine image has the environment of an image already."""
        return PurePosixPath("/opt/toil/images") / name

    def shell_files(self, image: str, cluster: str, options: Mapping[str, str]) -> dict[str, bytes]:
        """The files that make commands on the node know their cluster, by path in the cluster's folder.

        Args:
            image: The name of the image.
            cluster: The cluster's name.
            options: What workflow commands need to be told.
        """
        bin = self.image(image) / "bin"
        variables = {"TOIL_CLUSTER": cluster, **{variable(name): value for name, value in options.items()}}
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        path = f'export PATH={shlex.quote(f"{self.base}/bin:{bin}")}:"$PATH"'
        environment = "\n".join(["# What workflow commands on this cluster are told; read by the programs in bin.", *lines, path, ""])
        files = {"environment": environment, "bashrc": f"[ ! -r ~/.bashrc ] || . ~/.bashrc\n. {shlex.quote(str(self.base / 'environment'))}\n"}
        for name in ("toil", "python", "python3"):
            files[f"bin/{name}"] = f'#!/bin/sh\n. {shlex.quote(str(self.base / "environment"))}\nexec {shlex.quote(str(bin / name))} "$@"\n'
        return {name: content.encode() for name, content in files.items()}

    def start_script(self, python: PurePosixPath) -> str:
        """What starts the keeper of the engine's program, in the background, unless it runs with the same command."""
        base, tool = shlex.quote(str(self.base)), shlex.quote(str(self.tool))
        return f"""
cd {base} || exit
umask 077
if ! flock -n engine.lock true; then
    cmp -s engine.json engine.started && exit 0
    kill "$(cat engine.lock)"
    flock engine.lock true
fi
cp engine.json engine.started
setsid {shlex.quote(str(python))} {tool} keep {base} </dev/null >>engine.log 2>&1 &
"""


STOP = r"""
cd "$HOME/.toil" 2>/dev/null || exit 0
flock -n engine.lock true || kill "$(cat engine.lock)"
flock engine.lock true
"""
"""A shell script that ends the engine's program on a node, in good order, and returns when it has ended."""
BUSY = 'exec "$HOME/.toil/bin/python" "$HOME/.toil/on_node.py" busy'
"""A shell script that prints how many jobs run on a node."""
DRAIN = 'exec "$HOME/.toil/bin/python" "$HOME/.toil/on_node.py" drain "$HOME/.toil" "$1"'
"""A shell script that lets the jobs on a node end, for as many seconds as its first word says, and has no more started."""


def in_cluster(command: Sequence[str]) -> list[str]:
    """A command as it is run in a node's environment of the cluster; of no words, an interactive shell."""
    if not command:
        return ["sh", "-c", 'exec bash --rcfile "$HOME/.toil/bashrc" -i']
    return ["sh", "-c", '[ ! -r "$HOME/.toil/environment" ] || . "$HOME/.toil/environment"; exec "$@"', "sh", *command]


def as_of_a_shell(command: Sequence[str]) -> list[str]:
    """A command of one word with spaces in it as a line for a shell, as ssh takes it; others as they are."""
    return ["sh", "-c", command[0]] if len(command) == 1 and len(command[0].split()) > 1 else list(command)


def variable(name: str) -> str:
    """The environment variable of an option.

    Args:
        name: The name of its field, with its group's prefix before it.

    Raises:
        ToilError: There is none, or its name says that it is a secret.
    """
    for group in option_groups():
        for spec in specs(group):
            if name == (f"{group.prefix}_{spec.field}" if group.prefix else spec.field) and spec.variable and not looks_secret(spec.variable):
                return spec.variable
    raise ToilError(f"the engine sets the option {name!r}, which no environment variable stands for")
