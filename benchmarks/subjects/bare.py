"""Start as many processes as asked, one at a time, from a Python that holds nothing else: `bare.py COUNT [PROGRAM…]`."""

import os
import sys

count, program = int(sys.argv[1]), sys.argv[2:]
for _ in range(count):
    if program:
        pid = os.posix_spawn(program[0], program, os.environ)
    else:
        pid = os.fork()
        if not pid:
            os._exit(0)
    os.waitpid(pid, 0)
