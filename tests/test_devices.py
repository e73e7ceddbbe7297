from __future__ import annotations

from toil_core.batch_system import Accelerator
from toil_core.devices import Devices

GPU, FPGA = Accelerator(2, "gpu", brand="nvidia", api="cuda"), Accelerator(1, "fpga")


def test_devices_are_lent_once() -> None:
    devices = Devices([GPU, FPGA])
    assert devices.find([Accelerator(1, "fpga"), Accelerator(2, "gpu")]) == (2, 0, 1)
    devices.take([0])
    assert devices.find([Accelerator(2)]) is None
    assert devices.find([Accelerator(2)], ()) == (0, 1)
    assert devices.find([Accelerator(1)]) == (1,)
    assert devices.find([Accelerator(1)], {1}) == (0,)
    devices.give_back([0])
    assert devices.find([Accelerator(2)]) == (0, 1)
