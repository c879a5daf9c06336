"""The program `pulumi up` runs: settings -> Cluster -> outputs."""

import pulumi

from components.deployment import deploy

for _name, _value in deploy().items():
    pulumi.export(_name, _value)
