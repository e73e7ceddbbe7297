"""What a job needs of a machine, as people write it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from toil_core.batch_system import Accelerator
from toil_core.errors import BadOption
from toil_core.workflow.promise import is_promised

Cores = float | str
Size = int | float | str
Duration = float | str
Accelerators = int | str | Accelerator | Iterable[str | Accelerator]

_BRANDS = {"nvidia": "cuda", "amd": "rocm"}
_APIS = {"cuda": "nvidia", "rocm": "amd"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job says about itself; None where the run's default holds.

    Args:
        cores: Processor cores.
        memory: Bytes of memory.
        disk: Bytes of temporary disk.
        preemptible: Whether a machine that may be taken away will do.
        accelerators: Devices, all of them at once.
        wall_time: Seconds after which an attempt is ended.
        isolated: False when it may share a process with other such jobs.
        tries: How many attempts it gets for its own errors; None for the run's default.
        name: What people call the job; None for the name of its function or class.
        promised: Which of these are known only when other jobs have run, and what gives them then.
        checkpoint: Whether it runs again when something below it fails for good.
        local: Whether it runs on the leader's machine.
        service: Whether it is a service.
    """

    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    preemptible: bool | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    wall_time: float | None = None
    isolated: bool = True
    tries: int | None = None
    name: str | None = None
    promised: tuple[tuple[str, Any], ...] = ()
    checkpoint: bool = False
    local: bool = False
    service: bool = False


PROMISABLE = ("cores", "memory", "disk", "accelerators", "wall_time")
"""What of a job's needs may be a promise."""


def wanted(
    *,
    cores: Cores | None = None,
    memory: Size | None = None,
    disk: Size | None = None,
    preemptible: bool | None = None,
    accelerators: Accelerators | None = None,
    wall_time: Duration | None = None,
    isolated: bool = True,
    tries: int | None = None,
    name: str | None = None,
    checkpoint: bool = False,
    local: bool = False,
    **unknown: object,
) -> Wanted:
    """What a job says about itself, from text and numbers as people write them.

    Args:
        cores: A number above 0, or text; fractions are allowed.
        memory: Bytes, or text such as `2G` or `1.5 GiB`.
        disk: Likewise.
        preemptible: Whether a machine that may be taken away will do.
        accelerators: A count of GPUs; or `KIND`, `MODEL`, `KIND:COUNT`, `MODEL:COUNT`, such as `gpu:2`,
            `cuda:1`, `nvidia-tesla-k80:1`; several with `,` between them, or as a list.
        wall_time: Seconds, or text such as `90s`, `10m`, `2h`.
        isolated: False when it may share a process with other such jobs.
        tries: How many attempts it gets for its own errors, from 1.
        name: What people call the job.
        checkpoint: Whether all below it is dropped, and it runs again with one try less, when something below it
            fails for good. It may have no successors and no services before it runs.
        local: Whether it runs on the leader's machine.

    Cores, memory, disk, accelerators and wall_time may also be a job, a promise, or what `promised` makes
    of them: then they are known when those jobs have run.

    Raises:
        BadOption: One of them cannot be used; says which.
    """
    if unknown:
        raise BadOption(f"{next(iter(unknown))!r} is nothing that a job can ask for; that is: {', '.join(wanted.__kwdefaults__ or ())}")
    amounts = {"cores": cores, "memory": memory, "disk": disk, "accelerators": accelerators, "wall_time": wall_time}
    later = tuple((what, value) for what, value in amounts.items() if is_promised(value))
    if later:
        known: Any = {what: None if is_promised(value) else value for what, value in amounts.items()}
        rest: Any = {
            "preemptible": preemptible,
            "isolated": isolated,
            "tries": tries,
            "name": name,
            "checkpoint": checkpoint,
            "local": local,
        }
        return replace(wanted(**known, **rest), promised=later)
    given = (cores, memory, disk, preemptible, wall_time, isolated, tries, name, checkpoint, local)
    devices = None if accelerators is None else parse_accelerators(accelerators)
    try:
        return _wanted(*given, devices, tuple(map(type, given)))
    except TypeError:  # something unhashable, which is no valid value either
        return _wanted.__wrapped__(*given, devices, ())


@lru_cache(maxsize=1024)
def _wanted(
    cores: Any, memory: Any, disk: Any, preemptible: Any, wall_time: Any, isolated: Any, tries: Any, name: Any, checkpoint: Any, local: Any,
    devices: tuple[Accelerator, ...] | None, types: tuple[type, ...],
) -> Wanted:  # fmt: skip
    from toil_core import sizes

    return Wanted(
        _amount("cores", cores, sizes.parse_cores),
        _amount("memory", memory, sizes.parse_size),
        _amount("disk", disk, sizes.parse_size),
        _typed("preemptible", preemptible, bool, optional=True),
        devices,
        _amount("wall_time", wall_time, sizes.parse_time_limit),
        _typed("isolated", isolated, bool),
        _tries(tries),
        _typed("name", name, str, optional=True) or None,
        checkpoint=_typed("checkpoint", checkpoint, bool),
        local=_typed("local", local, bool),
    )


def _amount(what: str, value: Any, parse: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadOption(f"{what}={value!r}: give a number, or text")
    try:
        return parse(value)
    except BadOption as error:
        raise BadOption(f"{what}: {error}") from None


def _typed(what: str, value: Any, kind: type, *, optional: bool = False) -> Any:
    if isinstance(value, kind) or (optional and value is None):
        return value
    raise BadOption(f"{what}={value!r}: give a {kind.__name__}")


def _tries(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise BadOption(f"tries={value!r}: give a whole number from 1 up")


def parse_accelerators(text: Accelerators) -> tuple[Accelerator, ...]:
    """Accelerators as people write them.

    Args:
        text: See `wanted`.

    Raises:
        BadOption: It says nothing that is known.
    """
    if isinstance(text, bool):
        raise BadOption(f"accelerators={text!r}: give a count, or text such as gpu:2")
    if isinstance(text, int):
        text = str(text)
    if isinstance(text, Accelerator):
        return (text,)
    if isinstance(text, str):
        text = [part for part in text.split(",") if part.strip()]
    found = [part if isinstance(part, Accelerator) else _accelerator(part) for part in text]
    return tuple(device for device in found if device.count)


def _accelerator(text: str) -> Accelerator:
    word, colon, amount = text.strip().lower().rpartition(":")
    if not colon:
        word, amount = ("gpu", amount) if amount.isdigit() else (amount, "1")
    if not amount.isdigit() or not word.replace("-", "").replace("_", "").isalnum():
        raise BadOption(f"accelerators: {text!r} is none; write a count, gpu:2, cuda:1 or nvidia-tesla-k80:1")
    count = int(amount)
    if word in _APIS:
        return Accelerator(count, brand=_APIS[word], api=word)
    if word in _BRANDS:
        return Accelerator(count, brand=word, api=_BRANDS[word])
    brand = word.partition("-")[0]
    if brand in _BRANDS:
        return Accelerator(count, model=word, brand=brand, api=_BRANDS[brand])
    if word in ("gpu", "gpus"):
        return Accelerator(count)
    return Accelerator(count, kind=word if "-" not in word else "gpu", model=word if "-" in word else "")
