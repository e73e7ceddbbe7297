"""The pages: one file each, with style, script and data inside, and leave to load nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec

from toil_core.monitor.report.model import Report

_SHARED = ("base.js", "unpack.js", "timeline.js", "graph.js", "resources.js", "report.js")


def report_page(report: Report) -> str:
    """The report as HTML that needs no other file and no network."""
    title = f"{report.status.name or 'workflow'}: report"
    return page(title, script("showReport();"), msgspec.json.encode(report), "")


def script(*more: str) -> str:
    """The JavaScript of all parts that pages are made of.

    Args:
        more: What follows it.
    """
    return "\n".join([*(asset(name) for name in _SHARED), *more])


def page(title: str, script: str, data: bytes, connect: str) -> str:
    """A page; a browser is told to run this script alone and to load nothing.

    Args:
        title: Of its window.
        script: Its JavaScript.
        data: JSON for it.
        connect: Where the script may connect to besides, as a source of a content security policy; empty for nowhere.
    """
    style, allowed = asset("style.css"), connect or "'none'"
    policy = [
        "default-src 'none'", f"script-src {_digest(script)}", f"style-src {_digest(style)}", "img-src data:", f"connect-src {allowed}",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    parts = {"policy": "; ".join(policy), "title": html.escape(title), "style": style, "data": _inside(data), "script": script}
    first, *rest = asset("page.html").split("@")
    pieces: Sequence[str] = [parts[piece] if number % 2 == 0 else piece for number, piece in enumerate(rest)]
    return first + "".join(pieces)


@cache
def asset(name: str) -> str:
    """A file that pages are made of."""
    return resources.files("toil_core.monitor.report").joinpath("web", name).read_text("utf-8")


def _inside(data: bytes) -> str:
    """JSON that can stand in a script element: nothing in it ends that, or begins a comment."""
    return data.decode().replace("<", "\\u003c")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
