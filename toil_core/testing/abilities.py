"""Optional abilities of drivers: what a suite's author claims is looked for, so that no case is skipped by mistake."""

from __future__ import annotations

from collections.abc import Collection

from toil_core.driver_fit import methods


def check_abilities(driver: object, claimed: Collection[type]) -> None:
    """Fail if a driver lacks an ability that it is meant to have.

    An ability is a protocol, and a driver has it that has its methods: with one missing or misspelt, the engine goes without
    the ability, and the suites skip its cases.

    Args:
        driver: The driver.
        claimed: The protocols: `HasPaths` for example.

    Raises:
        AssertionError: It lacks one; the message names each, and the methods that are missing.
    """
    lacking = {ability: [name for name in methods(ability) if not hasattr(driver, name)] for ability in claimed}
    told = [f"is no {ability.__name__} without {' and '.join(names)}" for ability, names in lacking.items() if names]
    assert not told, f"{type(driver).__name__} {', and '.join(told)}"
