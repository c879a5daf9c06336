"""The images a stack has unless a setting names another: a tag for people, and the digest Docker Engine pulls by.

Renovate updates them (renovate.json). A digest is that of the image index, which is for all processors. The images of
the database, of lego and of rclone have none yet: none could be verified. Renovate adds them.
"""

DATABASE = "ghcr.io/baosystems/postgis:16-3.5"
CACHE = "valkey/valkey:8.1.10@sha256:640c5e62cea04b6d6f2084232651d0cc70362d31f4f805e7be94dbed6855e8f2"
LOAD_BALANCER = "nginx:1.30.4@sha256:09cc2702709e6388d979d8030e3ab4eb1ceb699b2dced26d7543e872a822e823"
ACME = "goacme/lego:v4.35.2"
BACKUP = "restic/restic:0.18.1@sha256:39d9072fb5651c80d75c7a811612eb60b4c06b32ffe87c2e9f3c7222e1797e76"
COPY = "rclone/rclone:1.71.2"
