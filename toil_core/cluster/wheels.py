"""Wheels made of what is installed here, so that nodes get exactly what the user runs, without a package registry."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import marshal
import os
import re
import struct
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from toil_core.errors import UsageError

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


@dataclass(frozen=True)
class Content:
    """What goes into a distribution's wheel.

    Args:
        name: The distribution's name, in its normal form.
        version: Its version.
        files: By path in the wheel, the file here.
        digest: Tells it from any other content.
    """

    name: str
    version: str
    files: Mapping[str, Path]
    digest: str


def closure(roots: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The installed distributions that are named, and all that they need, in the order of their names.

    Args:
        roots: Requirements as pip takes them; extras count.

    Raises:
        UsageError: One is not installed here, or not in the version that is asked for.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(root, "") for root in roots]
    while waiting:
        text, wanted_by = waiting.pop()
        requirement = Requirement(text)
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            who = f", which {wanted_by} needs," if wanted_by else ""
            raise UsageError(f"{requirement.name}{who} is not installed here, so nodes cannot be given it; pip install '{requirement}'") from None
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            raise UsageError(f"{requirement.name} {distribution.version} is installed here, but {wanted_by or 'the cluster'} needs {requirement}")
        found[name] = distribution
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                needed.marker = None
                waiting.append((str(needed), distribution.name))
    return [found[name] for name in sorted(found)]


def made_for(name: str) -> list[str]:
    """The installed distributions that need the one of this name.

    Args:
        name: Its name.
    """
    wanted = re.compile(rf"{re.escape(name)}(?![\w.-])", re.IGNORECASE)
    found = {each.name for each in importlib.metadata.distributions() if any(wanted.match(line) for line in each.requires or ())}
    return sorted(found - {name})


def met_here(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Lines of a requirements file that what is installed here meets, and those that are left for pip.

    Args:
        lines: The lines.
    """
    here: list[str] = []
    left: list[str] = []
    for line in lines:
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if text:
            (here if _is_met(text) else left).append(text)
    return here, left


def content(distribution: importlib.metadata.Distribution) -> Content:
    """What a wheel of an installed distribution holds, also of one that is installed in place.

    Raises:
        UsageError: Its files cannot be found.
    """
    name, version = canonicalize_name(distribution.name), distribution.version
    project = _project(distribution)
    files = dict(_in_place(distribution, project) if project else _recorded(distribution))
    if not any(not path.split("/", 1)[0].endswith((".dist-info", ".data")) for path in files) and project:
        raise UsageError(f"the files of {distribution.name}, which is installed in place from {project}, cannot be found; pip install {project}")
    return Content(name, version, files, _digest(distribution, files, hashed=bool(project)))


def write_wheel(content: Content, folder: Path, *, compiled: bool = True) -> Path:
    """Write the wheel into a folder; the same content gives the same bytes.

    Args:
        content: The content.
        folder: The folder.
        compiled: Whether modules are in it compiled as well, for this version of Python.

    Returns:
        Its path.
    """
    tag = _tag(content)
    stem = f"{content.name.replace('-', '_')}-{content.version}"
    path = folder / f"{stem}-{tag}.whl"
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for name, source in sorted(content.files.items()):
            data = source.read_bytes()
            rows.writerow((name, f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()}", len(data)))
            _add(wheel, name, data, executable=os.access(source, os.X_OK))
            if compiled and name.endswith(".py") and ".data/" not in name:
                above, _, module = name.rpartition("/")
                code = _compiled(source, data)
                if code:
                    _add(wheel, f"{above}{'/' if above else ''}__pycache__/{module[:-3]}.{sys.implementation.cache_tag}.pyc", code)
        rows.writerow((f"{_dist_info(content)}/RECORD", "", ""))
        _add(wheel, f"{_dist_info(content)}/RECORD", record.getvalue().encode())
    return path


def _add(wheel: zipfile.ZipFile, name: str, data: bytes, *, executable: bool = False) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    wheel.writestr(info, data)


def _compiled(source: Path, data: bytes) -> bytes:
    """A module as Python keeps it compiled, in the form that no look at the source is needed for; empty when it cannot be compiled.

    Nodes have the same version of Python, and spend most of a first start on compiling.
    """
    head = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(data)
    try:
        kept = Path(importlib.util.cache_from_source(str(source))).read_bytes()
        info = source.stat()
        fresh = struct.pack("<4sIII", importlib.util.MAGIC_NUMBER, 0, int(info.st_mtime) & 0xFFFFFFFF, info.st_size & 0xFFFFFFFF)
        if kept[:16] == fresh:
            return head + kept[16:]
    except OSError:
        pass
    try:
        return head + marshal.dumps(compile(data, source.name, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return b""


def _is_met(text: str) -> bool:
    try:
        requirement = Requirement(text)
        if requirement.url or (requirement.marker and not requirement.marker.evaluate()):
            return False
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True) and bool(closure([text]))
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError, UsageError):
        return False


def _recorded(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    listed = distribution.files
    if listed is None:
        raise UsageError(f"nothing tells which files {distribution.name} has: it was not installed by pip or uv; install it so")
    scripts = {entry.name for entry in distribution.entry_points if entry.group in ("console_scripts", "gui_scripts")}
    info = f"{distribution.name}-{distribution.version}.data"
    for file in listed:
        path = Path(str(distribution.locate_file(file)))
        if file.parts[0] == "..":
            if path.parent.name == "bin" and path.name not in scripts and path.is_file():
                yield f"{info}/scripts/{path.name}", path
        elif "__pycache__" not in file.parts and file.name not in _SKIPPED and path.is_file():
            yield file.as_posix(), path


def _in_place(distribution: importlib.metadata.Distribution, project: Path) -> Iterator[tuple[str, Path]]:
    tops = _top_names(distribution, project)
    for root in _roots(distribution, project):
        for top in tops:
            place = root / top
            if place.is_dir():
                yield from ((path.relative_to(root).as_posix(), path) for path in sorted(place.rglob("*")) if _is_code(path))
            elif place.with_suffix(".py").is_file():
                yield f"{top}.py", place.with_suffix(".py")
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        if file.parent.name.endswith(".dist-info") and file.name not in _SKIPPED and path.is_file():
            yield file.as_posix(), path


def _top_names(distribution: importlib.metadata.Distribution, project: Path) -> list[str]:
    """The top-level packages and modules of a project: what its build says, its entry points name, or has its own name."""
    names = {entry.module.partition(".")[0] for entry in distribution.entry_points}
    names |= set((distribution.read_text("top_level.txt") or "").split()) | {canonicalize_name(distribution.name).replace("-", "_")}
    try:
        tool = tomllib.loads((project / "pyproject.toml").read_text()).get("tool", {})
        names |= {Path(path).name for path in tool["hatch"]["build"]["targets"]["wheel"]["packages"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return sorted(names)


def _roots(distribution: importlib.metadata.Distribution, project: Path) -> list[Path]:
    """The folders that an installation in place imports from."""
    lines = []
    for file in distribution.files or ():
        if file.suffix == ".pth":
            lines += Path(str(distribution.locate_file(file))).read_text().splitlines()
    roots = [Path(line) for line in lines if line and not line.startswith(("import ", "import\t", "#")) and Path(line).is_dir()]
    return roots or [folder for folder in (project / "src", project) if folder.is_dir()]


def _project(distribution: importlib.metadata.Distribution) -> Path | None:
    """The folder that a distribution is installed in place from; None for others."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "")
        return Path(unquote(urlsplit(origin["url"]).path)) if origin["dir_info"]["editable"] else None
    except (ValueError, KeyError, TypeError):
        return None


def _is_code(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".pyo") and not path.name.startswith(".")


def _digest(distribution: importlib.metadata.Distribution, files: Mapping[str, Path], *, hashed: bool) -> str:
    """Of what was installed by a tool its RECORD tells; of what lies in place, the files themselves."""
    digest = hashlib.sha256(f"{distribution.name} {distribution.version}\n".encode())
    record = None if hashed else distribution.read_text("RECORD")
    if record is not None:
        digest.update("\n".join(sorted(line for line in record.splitlines() if "__pycache__" not in line)).encode())
        return digest.hexdigest()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _dist_info(content: Content) -> str:
    return next((name.split("/", 1)[0] for name in content.files if ".dist-info/" in name), f"{content.name.replace('-', '_')}-{content.version}.dist-info")


def _tag(content: Content) -> str:
    """The wheel's tag, which stands for all that its metadata names, so that nodes where it cannot work are told from others."""
    path = content.files.get(f"{_dist_info(content)}/WHEEL")
    tags = re.findall(r"^Tag: (\S+)$", path.read_text(), re.MULTILINE) if path else []
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(dict.fromkeys(each)) for each in parts) or f"py{sys.version_info[0]}-none-any"
