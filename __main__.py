"""The program `pulumi up` runs: deploy the selected stack and export its outputs."""

import pulumi

from components.deployment import deploy

for name, value in deploy().items():
    pulumi.export(name, value)
