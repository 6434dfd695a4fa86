# make run: the demo, a home to type to. make test: every check and test. make test-ha: the tests against a real Home Assistant. make test-faults: broken on purpose. make soak: half an hour under load. make fuzz MINUTES=10: foreign bytes at every reader. make clean: remove what these two made.
# PYTHON names another interpreter (3.11 or later), ARGS goes to the demo: make run ARGS="--lang zh"
PYTHON ?=
ARGS ?=
MINUTES ?= 10
export PYTHON

.DEFAULT_GOAL := run
.PHONY: run test test-ha test-faults check soak fuzz clean

run:
	@scripts/venv demo
	@.venv/bin/voice-rl demo $(ARGS)

test:
	@scripts/need-mosquitto
	@scripts/venv train,demo,test
	@PYTHON= scripts/check; checked=$$?; PYTHON= scripts/test && exit $$checked

# Finds or installs a Home Assistant; where there can be none, says so and ends well.
test-ha:
	@scripts/need-mosquitto
	@scripts/venv train,demo,test
	@PYTHON= scripts/test-ha

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
	rm -rf .venv .venv-ha .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
