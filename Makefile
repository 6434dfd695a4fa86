# make run: the demo, a home to type to. make test: every check and test. make fuzz MINUTES=10: foreign bytes at every reader. make clean: remove what these made.
# make test-faults: the long fault suite (a thousand kills; it writes the table in docs/reliability.md). make soak: half an hour under load.
# PYTHON names another interpreter (3.11 or later), ARGS goes to the demo: make run ARGS="--lang zh"
PYTHON ?=
ARGS ?=
MINUTES ?= 10
export PYTHON

.DEFAULT_GOAL := run
.PHONY: run test check test-faults soak fuzz clean

run:
	@scripts/venv demo
	@.venv/bin/voice-rl demo $(ARGS)

test:
	@scripts/need-mosquitto
	@scripts/venv train,demo,test
	@PYTHON= scripts/check; checked=$$?; PYTHON= scripts/test && exit $$checked

check:
	@scripts/venv train,demo,test
	@PYTHON= scripts/check

test-faults:
	@scripts/need-mosquitto
	@scripts/venv train,demo,test
	@FAULTS=all FAULT_TABLE=docs/reliability.md PYTHON= scripts/test tests/faults

soak:
	@scripts/venv demo
	@.venv/bin/voice-rl bench soak --seconds 1800

# Mutates what comes in until nothing new is reached; prints inputs and findings a target.
fuzz:
	@scripts/venv train,demo,test,fuzz
	@nice -n 15 .venv/bin/python -m tests.fuzz.run --minutes $(MINUTES)

clean:
	rm -rf .venv .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
