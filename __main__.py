"""The program `pulumi up` runs: settings -> Cluster -> outputs."""

import gc

# What is imported lives as long as the program. Looking through it for cycles, meanwhile and at the end, would take a
# tenth of an `up` that changes nothing.
gc.disable()

import pulumi  # noqa: E402

from components.deployment import deploy  # noqa: E402

for _name, _value in deploy().items():
    pulumi.export(_name, _value)

gc.freeze()
gc.enable()
