# make run: the demo, a home to type to. make test: every check and test. make clean: remove what these two made.
# PYTHON names another interpreter (3.11 or later), ARGS goes to the demo: make run ARGS="--lang zh"
PYTHON ?=
ARGS ?=
export PYTHON

.DEFAULT_GOAL := run
.PHONY: run test check clean

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

clean:
	rm -rf .venv .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
