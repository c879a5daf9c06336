# Every word is explained by `make help`; what stands behind them is the Python package tools/.
PYTHON ?= python3
WORDS := help up down recover test lint unit container e2e swarm faults clean

.DEFAULT_GOAL := help
.PHONY: $(WORDS)
# Words of one command line belong one after the other, also with -j: `make down up`.
.NOTPARALLEL:

# STACK=, OFFLINE= and ARGS= reach it as environment variables: make exports what its command line sets.
$(WORDS):
	@$(PYTHON) -m tools $@
