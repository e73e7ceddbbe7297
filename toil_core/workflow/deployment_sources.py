"""Which of the user's folders a worker needs: those of the main module and of what it imported.

What lies in Python's own folders, or was installed, is not among them: workers have their own.
Neither is this package. Code that is installed in place (editable) lies elsewhere, so it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from urllib.parse import unquote, urlsplit

_INSTALLED = {"site-packages", "dist-packages"}
_SUFFIXES = (".py", ".so")
_HERE = os.path.dirname(os.path.abspath(__file__))
_METADATA = ("METADATA", "entry_points.txt")


@dataclass(frozen=True)
class Tree:
    """A folder that modules are imported from, and what of it goes to workers.

    Args:
        root: Absolute path of the folder.
        names: Packages (folders) and modules (files) in it; None for everything.
        metadata: Folders with the metadata of distributions that are installed in place from below the root.
        elsewhere: Packages whose folders lie elsewhere or are called otherwise, as an import hook may have it: where each belongs below
            the root, and its folder.
    """

    root: str
    names: tuple[str, ...] | None
    metadata: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sources:
    """What goes to workers.

    Args:
        trees: The folders.
        script: Number of a tree, and the main script's path in it; None when there is no script.
        path: Where to import from, first to last: number of a tree, and a folder in it.
        namespaces: Top-level packages without `__init__.py` that were imported from the trees.
    """

    trees: tuple[Tree, ...]
    script: tuple[int, str] | None
    path: tuple[tuple[int, str], ...]
    namespaces: tuple[str, ...]


def find(script: str, module: str, path: Sequence[str], modules: Mapping[str, ModuleType]) -> Sources:
    """The folders that hold the user's main module and what it has imported.

    Args:
        script: Absolute path of the main script; empty when there is none.
        module: Dotted name of the main module when it was started with `-m`; else empty.
        path: Where this program imports from, as `sys.path`.
        modules: What it has imported, as `sys.modules`.
    """
    wanted: dict[str, set[str] | None] = {}
    namespaces: list[str] = []
    for name, found in sorted(modules.items()):
        if name.isidentifier() and not name.startswith("__"):
            places = [place for place in _places(name, found) if _is_own(place)]
            for place in places:
                _want(wanted, *os.path.split(place))
            if places and vars(found).get("__file__") is None:
                namespaces.append(name)
    homes = _homes(modules)
    for root in set(homes.values()):
        wanted.setdefault(root, set())
    main = os.path.realpath(script) if script else ""
    if script:
        _want(wanted, *_of_script(main))
    elif module and "." not in module:
        file = getattr(modules.get(module) or modules.get("__main__"), "__file__", None) or ""
        if file and _is_own(os.path.abspath(file)) and not hasattr(modules.get(module), "__path__"):
            _want(wanted, os.path.dirname(os.path.abspath(file)), None)
    folders = [os.path.abspath(folder) for folder in path]
    roots = sorted(wanted, key=lambda root: (folders.index(root) if root in folders else len(folders), root))
    metadata = _metadata(folders, roots)
    trees = tuple(
        Tree(root, _sorted(wanted[root]), tuple(metadata.get(root, ())), tuple(moved for moved, home in homes.items() if home == root)) for root in roots
    )
    return Sources(trees, _locate(trees, main) if main else None, _import_path(trees, folders), tuple(namespaces))


def _places(name: str, module: ModuleType) -> Iterator[str]:
    """The folders of a package, or the file of a module, as far as they are called like it."""
    try:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", None)
        paths = [file] if folders is None else list(folders)
    except Exception:  # noqa: BLE001 - modules put anything there
        return
    for place in paths:
        if not isinstance(place, str):
            continue
        base = os.path.basename(place)
        if (base == name and os.path.isdir(place)) if folders is not None else (base.partition(".")[0] == name and base.endswith(_SUFFIXES)):
            yield os.path.abspath(place)


def _homes(modules: Mapping[str, ModuleType]) -> dict[tuple[str, str], str]:
    """Packages that no folder of the import path holds under their names: where each belongs, its folder, and the root that it belongs below."""
    homes: dict[tuple[str, str], str] = {}
    roots: dict[str, str] = {}
    for name, module in sorted(modules.items()):
        folder = _package_folder(module)
        if not folder or not _is_own(folder) or not all(part.isidentifier() for part in name.split(".")):
            continue
        top, _, _ = name.partition(".")
        parent, _, last = name.rpartition(".")
        if not parent:
            roots[name] = os.path.dirname(folder)
        around = _folders(modules.get(parent)) if parent else (os.path.dirname(folder),)
        if top in roots and folder not in (os.path.join(place, last) for place in around):
            homes[name.replace(".", "/"), folder] = roots[top]
    return homes


def _package_folder(module: ModuleType) -> str:
    """The folder of a package that has an `__init__.py` and no other folder; empty for all else."""
    folders = _folders(module)
    return folders[0] if len(folders) == 1 and getattr(module, "__file__", None) == os.path.join(module.__path__[0], "__init__.py") else ""


def _folders(module: ModuleType | None) -> tuple[str, ...]:
    try:
        return tuple(os.path.abspath(folder) for folder in getattr(module, "__path__", ()))
    except Exception:  # noqa: BLE001 - modules put anything there
        return ()


def _is_own(place: str) -> bool:
    return not f"{place}{os.sep}".startswith(_standard()) and _INSTALLED.isdisjoint(place.split(os.sep))


@cache
def _standard() -> tuple[str, ...]:
    """Folders of Python itself, and this package's."""
    folders = [os.path.dirname(os.__file__), os.path.dirname(_HERE)]
    return tuple({os.path.join(form(folder), "") for folder in folders for form in (os.path.abspath, os.path.realpath)})


def _want(wanted: dict[str, set[str] | None], root: str, name: str | None) -> None:
    names = wanted.setdefault(root, set())
    if name is None:
        wanted[root] = None
    elif names is not None:
        names.add(name)


def _of_script(script: str) -> tuple[str, str | None]:
    """The script's folder as a whole; or when that is a package, the one that all of it lies in; or of what is installed, the script alone."""
    folder = os.path.dirname(script)
    if not _is_own(folder) or os.path.exists(os.path.join(folder, "python3")) or folder == os.path.expanduser("~/.local/bin"):
        return os.path.split(script)
    top = None
    while os.path.exists(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        folder, top = os.path.split(folder)
    return folder, top


def _sorted(names: set[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))


def _locate(trees: Sequence[Tree], path: str) -> tuple[int, str] | None:
    """The tree that the path lies in, and where."""
    for number, tree in enumerate(trees):
        inside = os.path.relpath(path, tree.root)
        if inside == os.curdir:
            return number, ""
        first = inside.split(os.sep)[0]
        if first != os.pardir and (tree.names is None or first in tree.names):
            return number, inside
    return None


def _import_path(trees: Sequence[Tree], folders: Iterable[str]) -> tuple[tuple[int, str], ...]:
    """Where the folders lie in the trees; and all trees, for some are known to import hooks alone."""
    roots = {tree.root: (number, "") for number, tree in enumerate(trees)}
    known = [roots.get(folder) or (_locate(trees, folder) if _is_own(folder) else None) for folder in folders]
    return tuple(dict.fromkeys([place for place in known if place is not None] + list(roots.values())))


def _metadata(folders: Iterable[str], roots: Sequence[str]) -> dict[str, list[str]]:
    """For each root, the metadata folders of distributions that are installed in place from a project around it."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        if os.path.basename(folder) not in _INSTALLED or not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            is_theirs = name.endswith(".dist-info") and not name.startswith("toil_core-")
            project = _project(os.path.join(folder, name, "direct_url.json")) if is_theirs else ""
            root = next((root for root in roots if project and (root == project or root.startswith(project + os.sep))), None)
            if root is not None:
                found.setdefault(root, []).append(os.path.join(folder, name))
    return found


def _project(direct_url: str) -> str:
    """The folder that a distribution is installed in place from; empty for others."""
    try:
        with open(direct_url, "rb") as file:
            origin = json.load(file)
        editable = origin["dir_info"]["editable"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return unquote(urlsplit(origin["url"]).path).rstrip("/") if editable else ""


def metadata_files(folder: str) -> Iterator[str]:
    """Those files of a distribution's metadata that are true wherever its modules lie."""
    for name in _METADATA:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            yield path
