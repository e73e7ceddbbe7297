"""The node types that clusters on this machine can have: parts of it, with prices to try things out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toil_core.errors import BadOption
from toil_core.provisioner import NodeType
from toil_core.sizes import parse_cores, parse_size

_GIB = 1 << 30

BUILT_IN = (
    NodeType("local.small", 1, 2 * _GIB, 10 * _GIB, price=0.01, spot_price=0.003),
    NodeType("local.medium", 2, 4 * _GIB, 20 * _GIB, price=0.02, spot_price=0.006),
    NodeType("local.large", 4, 8 * _GIB, 40 * _GIB, price=0.04, spot_price=0.012),
    NodeType("local.xlarge", 8, 16 * _GIB, 80 * _GIB, price=0.08, spot_price=0.024),
)
"""They promise no more than a machine may have, and are not kept from having it at the same time."""
_KEYS = {"cores", "memory", "disk", "price", "spot-price"}


def node_types(file: str | None) -> Sequence[NodeType]:
    """The node types of a TOML file, or the built-in ones.

    A file has a table for each type: `["my.type"]`, with `cores`, `memory` and `disk`, and `price` and `spot-price` in dollars an hour
    where there are any.

    Args:
        file: Path of the file; None for the built-in types.

    Raises:
        BadOption: The file cannot be read or understood.
    """
    if file is None:
        return BUILT_IN
    path = Path(file).expanduser()
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadOption(f"the catalog {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadOption(f"the catalog {path} is not TOML: {error}") from None
    if not tables:
        raise BadOption(f"the catalog {path} has no node type; write a table for each, [my-type] with cores, memory and disk in it")
    return [_type(path, name, table) for name, table in tables.items()]


def _type(path: Path, name: str, table: Any) -> NodeType:
    where = f"the catalog {path}: [{name}]"
    if not isinstance(table, Mapping) or not {"cores", "memory", "disk"} <= set(table) <= _KEYS:
        raise BadOption(f'{where} must be a table of cores, memory and disk, and of price and spot-price where there are any; a name with dots is quoted: ["my.type"]')
    try:
        price, spot = (None if table.get(key) is None else float(table[key]) for key in ("price", "spot-price"))
        return NodeType(name, parse_cores(table["cores"]), parse_size(table["memory"]), parse_size(table["disk"]), price, spot)
    except (TypeError, ValueError):
        raise BadOption(f"{where}: a price must be a number") from None
    except BadOption as error:
        raise BadOption(f"{where}: {error}") from None
