# make demo [VIDEO=file] [OUT=folder]   people in a video as TF frames and joint states in ROS 2
# make test                             the fast tests;  make test-long: the long ones too
# make test-tensorrt                    the tests that build TensorRT-RTX engines (no GPU needed)
# make check                            linters, types, import contracts
# make bench                            speed on this machine
# make clean                            remove the environment and what was built
#
# PYTHON=python3.12 chooses the interpreter (3.10 to 3.13). Inside a sourced ROS 2 that is used;
# otherwise ROS 2 Jazzy is installed from wheels into .venv, and nothing outside it is changed.

VENV ?= .venv
OUT ?= out/demo
VIDEO ?=
PYTHON ?=
PYTEST_ARGS ?=

# Handed over as they are, whatever is in them: spaces, quotes, dollars.
override VIDEO := $(value VIDEO)
override OUT := $(value OUT)
export VIDEO OUT

# The ROS wheels of another environment leave their library path behind; it is wrong for ours.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport LD_LIBRARY_PATH
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport PYTHONHOME

RUN := $(VENV)/bin/python
SETUP := python3 tools/setup_venv.py --venv $(VENV) $(if $(PYTHON),--python $(PYTHON))
SETUP_INPUTS := setup.py package.xml tools/setup_venv.py tools/demo_clip.py \
	$(wildcard requirements/*.txt) \
	$(wildcard tools/message_package/*.* tools/*_msgs/*.* tools/*_msgs/msg/*) \
	$(wildcard training/pyproject.toml) \
	$(firstword $(wildcard training/test/test_*.py))
TRAINING_TESTS := $(if $(wildcard training/test/test_*.py),training/test)

.PHONY: help demo test test-long test-tensorrt check bench clean same-ros
.DELETE_ON_ERROR:

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.made-demo
	@[ -n "$$VIDEO" ] || VIDEO=$$($(RUN) tools/demo_clip.py) || exit 1; \
	exec $(RUN) -m niki_ros.demo.demo --video="$$VIDEO" --out="$$OUT"

test: $(VENV)/.made-test
	@$(RUN) -m pytest -m 'not long and not gpu' $(PYTEST_ARGS) test $(TRAINING_TESTS)

test-tensorrt: $(VENV)/.made-tensorrt
	@$(RUN) -m pytest -m 'not long and not gpu' $(PYTEST_ARGS) \
		$(wildcard test/test_backends.py test/test_engine*.py)

test-long: $(VENV)/.made-long
	@$(RUN) -m pytest -m 'not gpu' $(PYTEST_ARGS) test $(TRAINING_TESTS)

check: $(VENV)/.made-test
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.made-demo
	@$(VENV)/bin/niki bench

# The goal is in the name of the stamp.
$(VENV)/.made-%: $(SETUP_INPUTS) | same-ros
	@$(SETUP) $*
	@touch $@

# Refuses an environment that was made with another ROS 2 sourced than now.
same-ros:
	@mark='$(VENV)/niki-ros-distro'; \
	[ ! -f "$$mark" ] || [ "$$(cat "$$mark")" = "$$ROS_DISTRO" ] || $(SETUP) demo

clean:
	rm -rf $(VENV) build install log dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache tools/*_msgs/build tools/*_msgs/*.egg-info
