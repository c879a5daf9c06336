"""Stand-ins for Pulumi's Python language host and its docker and random plugins, for where those cannot be had.

They speak Pulumi's own gRPC protocol and behave as the real ones do, their oddities included: a program that passes
here must pass there. Whoever can reach the real ones is never given these (tools/pulumi_tools.py).
"""
