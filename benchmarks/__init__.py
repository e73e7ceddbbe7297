"""What the engine costs, measured beside other engines and beside the limits of the machine.

`make bench` measures this engine and the limits, and those peers that are installed;
`make bench-peers` installs them. `python -m benchmarks --help` says what can be chosen.
"""
