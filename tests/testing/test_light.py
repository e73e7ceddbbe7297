"""The check that hook modules are light."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from toil_core.testing import light


def test_the_core_is_light() -> None:
    light.check_hooks_are_light("core")


def test_heavy_hooks_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "entry_points", lambda group: [EntryPoint("heavy", "toil_core.wire.commits", group), EntryPoint("large", "asyncio", group)])
    with pytest.raises(AssertionError, match="imports msgspec"):
        light.check_hooks_are_light("heavy")
    with pytest.raises(AssertionError, match="10 are allowed"):
        light.check_hooks_are_light("large", modules=10)
    with pytest.raises(AssertionError, match="is it installed"):
        light.check_hooks_are_light("absent")
