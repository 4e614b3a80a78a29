# make demo: trains, selects and tests on Fashion-MNIST (12 to 40 minutes)
# make demo-latency: the same, with pools for FLOPs and this CPU's latency
# make demo-adaptive: holds a latency under competing load (one more minute)
# make demo-web: serves a page that runs the demo's bank in the browser, on this
#   machine only (PORT=8000); needs npm
# make demo-serve: a server under varying traffic (two more minutes)
# make compare: PSS-Net, random sampling, MutualNet and US-Net (hours;
#   SEEDS="0" EPOCHS=4 METHODS="pss random" for a smaller study, JOBS=1 for one
#   run at a time)
# make lint: yapf, ruff, import contracts and mypy; make format applies yapf
# make test: lint, then all tests
# make test-gpu: the tests and benchmarks that need a GPU, in at most 10 minutes;
#   GPU_PYTHON=python for an environment of your own, DEVICE=cpu to try it without
#   a GPU
# make test-detection: the tests that need MMDetection, in .venv-detection
# make test-ray: the tests that need Ray, which it installs
# make test-matrix: the tests with other versions of Python, torch, numpy and the
#   mm packages (many GB, hours; MATRIX='-p 3.12' for those of one Python)
# make dist: the packages, sdists and wheels, in dist/
# make docs: the documentation site, into docs/_build/html
# make test-docs: runs the examples of its pages, and the notebook
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO := work_dirs/demo
CONFIG := configs/pss_mbv2_fashion_mnist.py
LATENCY_DEMO := work_dirs/demo_latency
LATENCY_CONFIG := configs/pss_mbv2_fashion_mnist_latency.py

SEEDS ?= 0 1 2 3 4
EPOCHS ?= 24
METHODS ?=
JOBS ?=

DEVICE ?= cuda
GPU_PYTHON ?= $(BIN)/python

# arguments of nox
MATRIX ?=

PORT ?= 8000
# npm writes it when it has installed what web/package-lock.json lists
WEB := web/node_modules/.package-lock.json

DETECTION := .venv-detection/bin
DOCS := .venv-docs/bin
# outside the checkout, so that wheels are compiled once for all checkouts
WHEELS ?= $(HOME)/.cache/pss-net/wheels

.PHONY: install demo demo-latency demo-adaptive demo-web demo-serve compare test \
	lint format benchmarks clean install-detection test-detection test-ray \
	test-gpu test-matrix dist docs test-docs

install: .venv/.installed

# torch comes first, pinned, so that later packages use that build; torchvision
# comes without dependencies, since its wheels ask for a CUDA build of torch.
.venv/.installed: $(wildcard requirements/*.txt) setup.cfg setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip 'setuptools<81' wheel
	$(BIN)/python -m pip install -r requirements/torch.txt
	$(BIN)/python -m pip install --no-deps -r requirements/torchvision.txt
	$(BIN)/python -m pip install -r requirements/runtime.txt \
		-r requirements/mminstall.txt -r requirements/deploy.txt \
		-r requirements/backbones.txt -r requirements/serve.txt \
		-r requirements/tests.txt
	$(BIN)/python -m pip install --no-build-isolation --no-deps -e .
	touch $@

demo: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(DEMO)

# the demo's bank, in both forms: they are created if they are missing
$(DEMO)/bank/bank.json: | install
	test -f $(DEMO)/epoch_3.pth || $(MAKE) demo
	test -f $@ || $(BIN)/python tools/deployment/build_bank.py $(CONFIG) \
		$(DEMO)/epoch_3.pth --work-dir $(DEMO) --out $(DEMO)/bank

$(DEMO)/device_bank/bank.json: $(DEMO)/bank/bank.json
	$(BIN)/python tools/deployment/export_bank.py $(DEMO)/bank \
		--out $(DEMO)/device_bank

demo-adaptive: install $(DEMO)/bank/bank.json
	$(BIN)/python demo/adaptive_demo.py $(DEMO)/bank --config $(CONFIG) \
		--out $(DEMO)/adaptive.png

demo-web: $(WEB) install $(DEMO)/device_bank/bank.json
	$(BIN)/python demo/web_demo.py $(DEMO)/device_bank --config $(CONFIG) \
		--port $(PORT)

$(WEB): web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo 'npm is missing: it comes with' \
		'Node.js, and installs onnxruntime-web for the page'; exit 1; }
	npm ci --prefix web --ignore-scripts --no-audit --no-fund
	touch $@

# two minutes on the demo's bank: a server under three times its traffic
demo-serve: install $(DEMO)/bank/bank.json
	$(BIN)/python benchmarks/serving.py $(DEMO)/bank --runs 1 --seconds 6 \
		--images 16 --max-batch 16 \
		--fashion-mnist data/fashion_mnist --out $(DEMO)/serving.json \
		--plot $(DEMO)/serving.png

demo-latency: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python tools/build_latency_table.py $(LATENCY_CONFIG) \
		--batch-size 32 --verify 40 --out $(LATENCY_DEMO)/latency_cpu.json
	$(BIN)/python tools/train.py $(LATENCY_CONFIG) --work-dir $(LATENCY_DEMO)

# interrupted runs go on, finished ones are not repeated; the tables go to
# benchmarks/results
compare: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python benchmarks/compare.py --seeds $(SEEDS) --epochs $(EPOCHS) \
		$(if $(METHODS),--methods $(METHODS)) $(if $(JOBS),--jobs $(JOBS))

lint: install
	$(BIN)/yapf --parallel --recursive --quiet . || \
		{ echo 'not formatted: run `make format`'; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# formats all Python files as `make lint` expects
format: install
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/yapf --parallel --recursive --in-place .

# without npm, or a browser on the PATH, the tests of the page are skipped
test: lint
	! command -v npm > /dev/null || $(MAKE) $(WEB) || true
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What fails does not keep the rest from running, as GPUs may be lent for minutes.
# A trial skips the tests, of which `make test` has those that a CPU can do; and it
# sees no GPU, since MMEngine takes one that it sees.
test-gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),install)
	@case '$(DEVICE)' in cpu | cuda) ;; *) echo 'DEVICE=$(DEVICE): expected' \
		'cuda or cpu'; exit 1; esac
	@test '$(DEVICE)' = cpu || $(GPU_PYTHON) -c 'import sys, torch; \
		sys.exit(not torch.cuda.is_available())' || { echo 'torch finds no' \
		'GPU: `make test-gpu DEVICE=cpu` tries it without one'; exit 1; }
	status=0; \
	$(ON_DEVICE) -m pytest -m gpu || status=1; \
	$(ON_DEVICE) benchmarks/switching.py --device $(DEVICE) --rounds 15 \
		--switches 2000 || status=1; \
	$(ON_DEVICE) benchmarks/gpu.py --device $(DEVICE) --minutes 6 \
		--compile graphs default || status=1; \
	exit $$status

# a relative PYTHONPATH would not reach the processes of other folders
test-gpu: ON_DEVICE = $(if $(filter cpu,$(DEVICE)),CUDA_VISIBLE_DEVICES=) \
	PYTHONPATH=$(CURDIR) $(GPU_PYTHON)

# Ray takes 240 MB, and only its tests need it
.venv/.ray: .venv/.installed requirements/ray.txt
	$(BIN)/python -m pip install -r requirements/ray.txt
	touch $@

test-ray: .venv/.ray
	$(BIN)/python -m pytest tests/serving/test_ray.py

# only MMDetection needs full mmcv, hence a separate environment
install-detection: .venv-detection/.installed

.venv-detection/.installed: $(wildcard requirements/*) setup.cfg setup.py pyproject.toml
	test -x $(DETECTION)/python || $(PYTHON) -m venv .venv-detection
	$(DETECTION)/python -m pip install --upgrade pip 'setuptools<81' wheel
	$(DETECTION)/python -m pip install -r requirements/torch.txt
	$(DETECTION)/python -m pip install --no-deps -r requirements/torchvision.txt
	grep -v '^mmcv' requirements/mminstall.txt > .venv-detection/mm.txt
	$(DETECTION)/python -m pip install -r requirements/runtime.txt \
		-r .venv-detection/mm.txt -r requirements/detection.txt \
		-r requirements/deploy.txt -r requirements/tests.txt
	wheel=$$(requirements/build_mmcv.sh $(DETECTION)/python "$(WHEELS)") && \
		$(DETECTION)/python -m pip install --no-deps "$$wheel"
	$(DETECTION)/python -c 'import mmcv.ops'
	$(DETECTION)/python -m pip install --no-build-isolation --no-deps -e .
	touch $@

test-detection: install-detection
	$(DETECTION)/python -m pytest -n 2 --dist worksteal tests/detection

# the report goes to work_dirs; docs/versions.md has the table
test-matrix: .venv-nox/.installed
	mkdir -p work_dirs
	.venv-nox/bin/nox --report work_dirs/matrix.json $(MATRIX)

.venv-nox/.installed: requirements/matrix.txt
	test -x .venv-nox/bin/python || $(PYTHON) -m venv .venv-nox
	.venv-nox/bin/python -m pip install -r requirements/matrix.txt
	touch $@

# a wheel is built from its sdist, so that the sdist is complete
dist: install
	rm -rf build dist
	$(BIN)/python -c 'from setuptools import build_meta as b; \
		b.build_sdist("dist")'
	$(BIN)/python -m pip wheel --no-build-isolation --no-deps -w dist \
		dist/pss_net-*.tar.gz ./runtime

# Sphinx and the notebook's kernel are in an environment of their own, which also
# sees the packages of .venv: what is documented is imported.
.venv-docs/.installed: .venv/.installed requirements/docs.txt
	test -x $(DOCS)/python || $(PYTHON) -m venv .venv-docs
	$(DOCS)/python -m pip install -r requirements/docs.txt
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(DOCS)/python -c 'import sysconfig; \
			print(sysconfig.get_path("purelib"))')/venv.pth"
	touch $@

# warnings are errors, and so are links to pages, headings, files and names that
# are not there
docs: .venv-docs/.installed
	PYTHONPATH=. $(DOCS)/python -m sphinx -b html -n -W --keep-going -q docs \
		docs/_build/html
	@echo 'docs/_build/html/index.html'

# minutes, unlike the tests of `make test`
test-docs: .venv-docs/.installed
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(DOCS)/python -m pytest -m docs tests/docs

# six minutes on two CPU cores; see docs/measured.md
benchmarks: install
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/train_iteration.py
	$(BIN)/python benchmarks/switching.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache docs/_build docs/api
