"""Fake plugins for where Pulumi's own cannot be had: the Python language host, the docker and the random provider.

The provider of dynamic resources is the SDK's own; only what starts it is here (dynamic_provider.py).

They speak Pulumi's gRPC protocol and emulate what this program sends, oddities of the real plugins included; everything
else they refuse. Where the real plugins can be had these are not used (tools/pulumi_tools.py).
"""
