"""Amounts as people write them: bytes, seconds, cores, counts and factors.

Every function takes text or a number and raises `BadOption`, with the bad text and examples, for anything
that it does not understand.
"""

from __future__ import annotations

import re

from toil_core.errors import BadOption

_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SIZE = re.compile(_NUMBER + r"(?:e\+?([0-9]{1,2}))?\s*(?:([kmgtpe])(i?))?(?:b|bytes?)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"\s*" + _NUMBER + r"\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_PREFIXES = "kmgtpe"
_MOST = 2**63
_SECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


def parse_size(text: str | float) -> int:
    """Bytes from `1000000`, `2G`, `1.5 GiB`, `100M` or `1Gi`; a part of a byte counts as one.

    `k M G T P E` are powers of 1000, with an `i` powers of 1024; case and a final `B` do not matter.

    Raises:
        BadOption: The text is no size, or one of 8 EiB and more.
    """
    match = _SIZE.fullmatch(_written(text))
    if not match:
        raise BadOption(f"{_shown(text)} is not a size in bytes; write 1000000, 500M, 2G or 1.5 GiB")
    number, exponent, prefix, binary = match.groups()
    power = _PREFIXES.index(prefix.lower()) + 1 if prefix else 0
    whole, _, part = number.partition(".")
    scaled = int(whole + part) * 10 ** int(exponent or 0) * (1024 if binary else 1000) ** power
    size: int = -(-scaled // 10 ** len(part))
    if size >= _MOST:
        raise BadOption(f"{_shown(text)} is too large a size; the limit is 8 EiB")
    return size


def format_size(size: int) -> str:
    """The shortest text that `parse_size` turns back into exactly this many bytes: `2 GiB`, `100 MB`, `1001 B`."""
    for base, mark in ((1024, "i"), (1000, "")):
        for power in range(len(_PREFIXES), 0, -1):
            if size and size % base**power == 0:
                prefix = _PREFIXES[power - 1]
                return f"{size // base**power} {prefix if base == 1000 and power == 1 else prefix.upper()}{mark}B"
    return f"{size} B"


def parse_duration(text: str | float) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h`, `1h30m` or `1.5 days`.

    Raises:
        BadOption: The text is no duration.
    """
    written, total, place = _written(text), 0.0, 0
    while place < len(written) or not place:
        match = _DURATION.match(written, place)
        unit = match and _SECONDS.get(match[2].lower())
        bare = match and not match[2] and len(match[0]) < len(written)  # `1h30` could be minutes or seconds
        if not match or unit is None or bare:
            raise BadOption(f"{_shown(text)} is not a duration; write 90 (seconds), 10m, 2h or 1h30m")
        total += float(match[1]) * unit
        place = match.end()
    if total >= _MOST:
        raise BadOption(f"{_shown(text)} is too long a duration; leave it out for no limit")
    return total


def rounded_size(amount: float) -> str:
    """Bytes for people, to four digits: `1.5 GiB`, `700 B`."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if amount >= 1 << power:
            return f"{amount / (1 << power):.4g} {unit}"
    return f"{amount:g} B"


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` turns back into this many seconds: `2h`, `90s`, `1.5s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def parse_cores(text: str | float) -> float:
    """Processor cores, a number above 0; fractions are allowed.

    Raises:
        BadOption: The text is no such number.
    """
    return _number(text, "a number of cores", "1, 0.5 or 16", more_than=0)


def parse_factor(text: str | float) -> float:
    """A number from 0 up.

    Raises:
        BadOption: The text is no such number.
    """
    return _number(text, "a number from 0 up", "0, 0.2 or 2")


def parse_count(text: str | float) -> int:
    """A whole number from 0 up.

    Raises:
        BadOption: The text is no such number.
    """
    written = _written(text)
    if not re.fullmatch("[0-9]{1,18}", written):
        raise BadOption(f"{_shown(text)} is not a whole number from 0 up; write 0, 3 or 200")
    return int(written)


def _number(text: str | float, what: str, examples: str, more_than: float | None = None) -> float:
    match = re.fullmatch(_NUMBER + r"(?:[eE][-+]?[0-9]{1,2})?", _written(text))
    value = float(match[0]) if match else -1.0
    if value < 0 or (more_than is not None and value <= more_than):
        raise BadOption(f"{_shown(text)} is not {what}; write {examples}")
    return value


def _written(text: str | float) -> str:
    if isinstance(text, bool):
        return ""
    return text.strip() if isinstance(text, str) else repr(text)


def _shown(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def parse_waiting_time(text: str | float) -> float:
    """Seconds for which something is waited for, more than none, written as for `parse_duration`.

    Raises:
        BadOption: The text is no span of time, or none at all.
    """
    seconds = parse_duration(text)
    if not seconds:
        raise BadOption(f"{_shown(text)} leaves no time; write 90 (seconds), 10m, 2h or 1h30m")
    return seconds


def parse_time_limit(text: str | float) -> float:
    """Seconds after which something is ended, written as for `parse_duration`.

    Raises:
        BadOption: The text is no span of time, or one in which nothing can be done.
    """
    seconds = parse_duration(text)
    if not seconds:
        raise BadOption(f"{_shown(text)} leaves no time to do anything; leave it out for no limit")
    return seconds


def count(number: int, word: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def cores(number: float) -> str:
    """`1 core`, `0.5 cores`, `16 cores`."""
    return f"{number:g} {'core' if number == 1 else 'cores'}"
