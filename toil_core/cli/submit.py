"""`toil submit`: run a workflow on a cluster, whether this machine stays or not."""

from __future__ import annotations

import argparse
from pathlib import Path

from toil_core.cli.as_json import add_json, print_json
from toil_core.cli.run import add_module, compiled
from toil_core.cluster.arguments import add_name, add_rest, tell
from toil_core.errors import BadOption
from toil_core.options import Config, OptionParser
from toil_core.secrets import refuse_secret_words
from toil_core.telling import Trouble


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    add_json(parser)
    add_module(parser)
    add_rest(parser, "script", "A script here, and what it takes. The folder that it is in goes along, as `toil run` would send it to workers.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Submit it, and print the name of the run.

    Raises:
        UsageError: There is no such cluster or script, the script is not Python, or the cluster runs another version.
    """
    from toil_core.cluster import runs
    from toil_core.cluster.access import open_cluster, words
    from toil_core.cluster.launch import BUNDLE
    from toil_core.cluster.told import Submitted

    given = words(arguments.script)
    if not given or not given[0]:
        raise BadOption(f"which script? toil submit {arguments.name} SCRIPT ARGUMENTS…")
    refuse_secret_words(given[1:])
    with open_cluster(arguments.name, arguments, config) as cluster:
        cluster.check_fit()
        leader = cluster.node()
        program = runs.Program.of_module(given[0], Path.cwd()) if arguments.module else runs.Program.of_script(Path(given[0]).expanduser())
        if not (cluster.state.folder / BUNDLE).exists():  # with a bundle nodes may have a newer Python, which knows more
            compiled(str(program.file))
        id = program.new_id()
        left_out = runs.submit(cluster.transport, leader, program, given[1:], id)
    if arguments.json:
        print_json(Submitted(arguments.name, id, left_out))
        return 0
    for path in left_out:
        tell(Trouble(f"{path} is too large to be copied as code; `toil rsync-cluster {arguments.name} {path} :` copies data"))
    print(id)
    return 0
