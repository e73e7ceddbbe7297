"""The names that `toil.lib.conversions` had first."""

from toil.lib.conversions import bytes2human, human2bytes

__all__ = ["bytes2human", "human2bytes"]
