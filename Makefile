# make demo [VIDEO=file] [OUT=folder]   people in a video as TF frames and joint states in ROS 2
# make test                             all tests except the long ones;  make test-long: every test
# make test-fast                        the algorithm in under a minute; needs no ROS and no PyTorch
# make test-tensorrt                    the tests that build TensorRT-RTX engines (no GPU needed)
# make check                            ruff, mypy and import contracts, of both packages
# make bench                            speed on this machine
# make clean                            remove the environment and build products
#
# PYTHON=python3.12 selects the interpreter (3.10 to 3.13). A sourced ROS 2 is used if there is one;
# otherwise ROS 2 Jazzy is installed from wheels into .venv. Nothing outside .venv is changed.
# TEST_WORKERS=4 runs the tests in four processes instead of two; PYTEST_ARGS go to pytest.

VENV ?= .venv
OUT ?= out/demo
VIDEO ?=
PYTHON ?=
PYTEST_ARGS ?=
TEST_WORKERS ?= 2

# Passed on literally, so that names may contain spaces, quotes and dollar signs.
override VIDEO := $(value VIDEO)
override OUT := $(value OUT)
export VIDEO OUT

# The ROS wheels of another environment leave their library path behind, which breaks this one.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport LD_LIBRARY_PATH
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport PYTHONHOME

RUN := $(VENV)/bin/python
# All tests of a file run in one process, so that they share its fixtures. Each process has one
# thread for PyTorch.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(TEST_WORKERS) --dist loadfile
SETUP := python3 tools/setup_venv.py --venv $(VENV) $(if $(PYTHON),--python $(PYTHON))
SETUP_INPUTS := setup.py package.xml tools/setup_venv.py tools/demo_clip.py \
	$(wildcard requirements/*.txt) \
	$(wildcard tools/message_package/*.* tools/*_msgs/*.* tools/*_msgs/msg/*) \
	training/pyproject.toml
# The rooms of the algorithm and of its inputs, and the tests of the repository that start nothing.
FAST_TESTS := $(addprefix test/,body common files images lifters messages observers people scene \
	solvers)
TENSORRT_TESTS := test/backends test/cli/test_engine_cli.py test/benchmarks/test_engine_check.py

.PHONY: help demo test test-fast test-long test-tensorrt check bench clean same-ros
.DELETE_ON_ERROR:

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.made-demo
	@[ -n "$$VIDEO" ] || VIDEO=$$($(RUN) tools/demo_clip.py) || exit 1; \
	exec $(RUN) -m niki_ros.demo.demo --video="$$VIDEO" --out="$$OUT"

test: $(VENV)/.made-test
	@$(PYTEST) $(PYTEST_ARGS) test training/test

test-fast: $(VENV)/.made-fast
	@$(PYTEST) $(PYTEST_ARGS) $(FAST_TESTS)

test-tensorrt: $(VENV)/.made-tensorrt
	@$(PYTEST) $(PYTEST_ARGS) $(TENSORRT_TESTS)

test-long: $(VENV)/.made-long
	@$(PYTEST) -m 'not gpu' $(PYTEST_ARGS) test training/test

check: $(VENV)/.made-test
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.made-demo
	@$(VENV)/bin/niki bench

# The name of the stamp ends in the goal of setup_venv.py.
$(VENV)/.made-%: $(SETUP_INPUTS) | same-ros
	@$(SETUP) $*
	@touch $@

# Refuses an environment that was made while another ROS 2 was sourced.
same-ros:
	@mark='$(VENV)/niki-ros-distro'; \
	[ ! -f "$$mark" ] || [ "$$(cat "$$mark")" = "$$ROS_DISTRO" ] || $(SETUP) demo

clean:
	rm -rf $(VENV) build install log dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache tools/*_msgs/build tools/*_msgs/*.egg-info
