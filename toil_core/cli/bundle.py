"""`toil bundle`: pack all that nodes of clusters need into one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import tell
from toil_core.install_hints import DEFAULTS
from toil_core.options import Config, OptionParser


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="The file to write, for `toil launch-cluster --bundle`.")
    engine = DEFAULTS["engine"]
    parser.add_argument("--engine", metavar="NAME", default=engine, help=f"What runs the jobs on the nodes. [{engine}]")
    parser.add_argument(
        "--python-requirements", "--pythonRequirements", metavar="FILE",
        help="A pip requirements file of what workflows need; what is not installed here is fetched now, by pip.",
    )  # fmt: skip
    parser.add_argument("--python", metavar="VERSION", default="", help="The version of Python on nodes, 3.12 for example. [this one's]")
    parser.add_argument("--platform", metavar="TAG", default="", help="The platform of nodes as pip names it, manylinux_2_28_aarch64 for example. [this machine's]")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Make the bundle.

    Raises:
        UsageError: Something cannot be had, or the file cannot be written.
    """
    from msgspec.structs import asdict

    from toil_core.cluster.offline import Wanted, check_target, make
    from toil_core.plugins import open_engine
    from toil_core.sizes import count

    path = Path(arguments.file).expanduser()
    check_target(path)
    requirements = Path(arguments.python_requirements).expanduser() if arguments.python_requirements else None
    needed = open_engine(arguments.engine, config).requirements()
    made = make(Wanted(arguments.engine, needed, requirements, arguments.python, arguments.platform), path, tell)
    if arguments.json:
        print_json({"file": str(path), **asdict(made)})
        return 0
    print(f"{path}: {count(len(made.distributions), 'distribution')} in {path.stat().st_size / (1 << 20):.1f} MiB, for Python {made.python} on {made.machine}")
    return 0
