# Each target sets itself up: Python 3.11 or newer and make are all that has to be there.

VENV := .venv
RUN := $(VENV)/bin/python
CANDIDATES := python3.11 python3 python3.12 python3.13 python
IS_NEW_ENOUGH := 'import sys; print("yes" if sys.version_info >= (3, 11) else "")'
# Asked for only when the environment has to be made.
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(if $(shell $(p) -c $(IS_NEW_ENOUGH) 2>/dev/null),$(p))))

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint format validator addon blender clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       texture the sample room from a sentence, into output/"
	@echo "make test       lint and run all tests"
	@echo "make lint       ruff check, format check and mypy"
	@echo "make format     let ruff fix and format the code"
	@echo "make validator  add Khronos's glTF validator and three.js (needs npm), which the tests then use"
	@echo "make addon      zip the Blender add-on, into dist/"
	@echo "make blender    add Blender as a Python module (needs Python 3.11), which the add-on's tests then use"
	@echo "make clean      remove the environment and all that was made"

demo: $(VENV)/ready
	$(VENV)/bin/scenetex texture scenes/sample_room --output output \
		--prompt "a living room with yellow walls, a walnut plank floor and a green sofa"
	@echo "Now: source $(VENV)/bin/activate, and scenetex --help lists what else there is."

# A process for each core, with one thread each.
test: lint
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(VENV)/ready
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

validator: $(VENV)/ready
	npm install --silent --no-save --prefix $(VENV) gltf-validator@2.0.0-dev.3.10 three@0.187.0

ADDON := dist/scenetex_blender.zip
addon:
	@mkdir -p $(dir $(abspath $(ADDON)))
	@rm -f $(abspath $(ADDON))
	cd integrations/blender && $(firstword $(PYTHON)) -m zipfile -c $(abspath $(ADDON)) *.py blender_manifest.toml

# Its NumPy is older than scenetex's: an environment of its own.
blender:
	python3.11 -m venv $(VENV)-blender
	$(VENV)-blender/bin/python -m pip install --quiet bpy==5.0.1

clean:
	rm -rf $(VENV) $(VENV)-blender output build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an interrupted installation is taken up again.
$(VENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it or run: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Installing into $(VENV) (once; a minute or two, most of it PyTorch)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) lacks its venv module; install it (Debian: python3-venv)" >&2; exit 2; }
	@$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@
