# make demo | make test | make app (make -j2 test where time counts): each builds the virtual environment first, when it is not there.
# The constraints are made for Python 3.11; a newer one does where that is missing.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
VENV ?= .venv
# PyTorch's own index has the CPU build, a tenth of the size of PyPI's; where it cannot be reached, PyPI's is taken.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := $(VENV)/bin
# Processes that test side by side.
JOBS ?= 2

.PHONY: demo test unit engines app lint browser clean

$(VENV)/torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --retries 2 --extra-index-url $(TORCH_INDEX) -c constraints.txt torch
	touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

# Holds all that `installed` does, which need not be installed before it.
$(VENV)/installed-test: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet -c constraints.txt -e '.[test,login,record,compare,codes,text,serve,chain,report,scale]'
	touch $(VENV)/installed $@

demo: $(VENV)/installed
	$(BIN)/retail-seg demo --store demo-store --out demo-out

app: $(VENV)/installed
	@test -d demo-store || $(BIN)/retail-seg demo --store demo-store --out demo-out
	$(BIN)/retail-seg app --store demo-store

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

# The end-to-end tests open the app in Chromium; without one they are skipped, and say so.
browser:
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
		&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
		|| echo "No Chromium: the end-to-end tests are skipped; on Debian: sudo apt-get install chromium"

# A module's tests stay in one process, with what it prepares for them.
unit: $(VENV)/installed-test browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test: lint unit

# Photos on Ray, vectors on Milvus, a catalogue on S3: heavy extras, two minutes of tests that `make test` skips, and
# says so. moto is an S3 of this machine, milvus a server of vectors.
engines: $(VENV)/installed-test
	$(BIN)/pip install --quiet -c constraints.txt -e '.[ray,milvus,s3]' 'moto[s3]' flask flask-cors milvus
	$(BIN)/python -m pytest tests/fleet tests/index/test_milvus.py tests/store/test_index_server.py tests/cli/test_on_ray_cli.py \
		tests/chain/test_s3.py

clean:
	rm -rf $(VENV) demo-store demo-out build *.egg-info
