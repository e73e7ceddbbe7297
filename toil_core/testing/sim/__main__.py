"""`python -m toil_core.testing.sim`, the same as `toil-sim`."""

import sys

from toil_core.testing.sim.command import main

if __name__ == "__main__":
    sys.exit(main())
