"""The rules that keep the house in order; each is a sentence of docs/architecture.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import toil_core
from toil_core import install_hints

ROOT = Path(__file__).parent.parent
CORE = ROOT / "toil_core"
MODULES = sorted(CORE.rglob("*.py"))
PLUGIN_MODULES = sorted((ROOT / "plugins").glob("*/toil*/**/*.py"))

CONTRACTS = ("job_store", "batch_system", "provisioner", "provisioner_options", "sync_transport", "cluster_engine", "hookspecs", "events", "errors", "options")
"""The plugin surface; nothing of it may need the engine."""
ENGINE = ("workflow", "leader", "worker", "cluster", "monitor", "drivers", "cli", "wire", "testing")
PURE = ("leader/graph.py", "cluster/phases.py", "cluster/scaling.py", "cluster/wanted.py")

SDKS = {
    "boto3", "botocore", "aiobotocore", "s3fs", "azure", "msrest", "google", "gcsfs", "openstack", "swiftclient", "keystoneauth1",
    "distributed", "dask", "pymesos", "addict", "kubernetes", "paramiko", "asyncssh", "fabric", "libcloud", "cwltool", "docker",
}  # fmt: skip
WORDS = {
    "aws", "amazon", "s3", "ec2", "boto", "azure", "wasb", "gce", "gcs", "gcp", "google", "openstack", "swift", "nova", "dask", "mesos", "slurm",
    "kubernetes", "lsf", "torque", "gridengine",
}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path, *, at_run_time: bool = False) -> set[str]:
    """Dotted names that a module imports, also inside functions.

    Args:
        path: The module's file.
        at_run_time: Whether to leave out what only type checkers see.
    """
    skipped = {id(node) for block in ast.walk(tree(path)) if at_run_time and is_type_checking(block) for node in ast.walk(block)}
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: write the absolute name"
            found.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_core_imports_no_sdk(path: Path) -> None:
    assert {module.partition(".")[0] for module in imports(path)} & SDKS == set()


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "install_hints.py"], ids=name)
def test_the_core_names_no_cloud(path: Path) -> None:
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", path.read_text())  # so that words inside camelCase are found
    assert WORDS & set(re.findall(r"[a-z0-9]+", text.lower())) == set()


def test_the_one_table_that_names_clouds_is_only_a_table() -> None:
    assert {type(value) for key, value in vars(install_hints).items() if key.isupper()} == {dict}
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree(CORE / "install_hints.py")))


@pytest.mark.parametrize("contract", CONTRACTS)
def test_contracts_need_nothing_of_the_engine(contract: str) -> None:
    path = CORE / f"{contract}.py"
    engine = {module for module in imports(path) if module.startswith("toil_core.") and module.split(".")[1] in ENGINE}
    assert engine == set()


@pytest.mark.parametrize("pure", PURE)
def test_pure_modules_do_no_io(pure: str) -> None:
    assert impurities(CORE / pure, set()) == []


def impurities(path: Path, seen: set[Path]) -> list[str]:
    """What a module, or one of its package that it imports, could do beside computing."""
    if path in seen:
        return []
    seen.add(path)
    forbidden = {"os", "io", "time", "datetime", "threading", "socket", "subprocess", "random", "secrets", "queue", "multiprocessing", "pathlib"}
    forbidden |= {"asyncio", "concurrent", "select", "signal", "tempfile", "shutil", "urllib", "http", "logging", "uuid", "sys"}
    found = []
    for module in imports(path, at_run_time=True):
        if module.partition(".")[0] in forbidden:
            found.append(f"{name(path)} imports {module}")
        file = ROOT / (module.replace(".", "/") + ".py")
        if file.exists() and file.parent == path.parent:
            found += impurities(file, seen)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input", "exec", "eval"):
            found.append(f"{name(path)}:{node.lineno} calls {node.func.id}")
    return found


@pytest.mark.parametrize("path", [*MODULES, *PLUGIN_MODULES], ids=name)
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
    assert ast.get_docstring(tree(path)), "write a docstring"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_plugins_py_knows_how_plugins_are_found(path: Path) -> None:
    allowed = {"plugins.py": {"pluggy", "stevedore"}, "hookspecs.py": {"pluggy"}}.get(path.name if path.parent == CORE else "", set())
    assert {module.partition(".")[0] for module in imports(path)} & {"pluggy", "stevedore"} <= allowed


@pytest.mark.parametrize("path", PLUGIN_MODULES, ids=name)
def test_plugins_import_only_public_modules(path: Path) -> None:
    public = {"toil_core", "toil_core.testing"} | {f"toil_core.{file.stem}" for file in CORE.glob("*.py")}
    used = {module for module in imports(path) if module.partition(".")[0] == "toil_core"}
    private = {module for module in used if module not in public and module.rpartition(".")[0] not in public}
    assert {module for module in private if not module.startswith("toil_core.testing.")} == set()


def test_the_public_names() -> None:
    names = "Accelerator Directory File Job Promise Service Toil hookimpl job main promised run service"
    assert toil_core.__all__ == names.split()
    for public in toil_core.__all__:
        assert getattr(toil_core, public).__doc__ or public == "hookimpl"
        assert public in dir(toil_core)
    with pytest.raises(AttributeError, match="no attribute 'jobs'"):
        toil_core.jobs  # noqa: B018 - the access is the test


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(['', 'modules:', *sys.modules]))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.partition("\nmodules:\n")[2].split())


def test_help_is_light() -> None:
    modules = loaded_by("from toil_core.cli import main; main(['--help'])")
    assert len(modules) <= 200
    assert {module.partition(".")[0] for module in modules} & (SDKS | {"rich", "msgspec", "stevedore", "cloudpickle", "argcomplete"}) == set()


def test_importing_the_front_door_is_next_to_nothing() -> None:
    assert {module for module in loaded_by("import toil_core") if module.startswith("toil_core")} == {"toil_core"}


def test_nothing_outside_a_plugin_needs_it() -> None:
    """Deleting a plugin's folder deletes the feature and nothing else."""
    packages = {path.name for path in (ROOT / "plugins").glob("*/toil_*") if path.is_dir()}
    others = [path for folder in ("toil_core", "tools", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert packages
    assert {f"{name(path)}: {used}" for path in others for used in imports(path) if used.partition(".")[0] in packages} == set()
