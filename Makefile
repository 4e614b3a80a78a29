# make demo: trains, selects and evaluates on Fashion-MNIST (12 to 24 minutes)
# make demo-latency: the same under FLOPs and this CPU's latency at once
# make demo-adaptive: holds a latency under competing load (a minute more)
# make compare: PSS-Net against random sampling, MutualNet and US-Net (two hours;
#   SEEDS="0" ITERS=200 for less, JOBS=1 for one run at a time)
# make test: style, import contracts and tests
# make test-detection: the tests that need MMDetection, in .venv-detection
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO := work_dirs/demo
CONFIG := configs/pss_mbv2_fashion_mnist.py
LATENCY_DEMO := work_dirs/demo_latency
LATENCY_CONFIG := configs/pss_mbv2_fashion_mnist_latency.py

SEEDS ?= 0 1 2
ITERS ?= 600
JOBS ?=

DETECTION := .venv-detection/bin
# wheels that take long to compile outlive the checkout here
WHEELS ?= $(HOME)/.cache/pss-net/wheels

.PHONY: install demo demo-latency demo-adaptive compare test lint format benchmarks \
	clean install-detection test-detection

install: .venv/.installed

# torch first and by its pin: what follows then takes that build. torchvision
# without what it depends on, since its wheels ask for a CUDA build of torch.
.venv/.installed: $(wildcard requirements/*.txt) setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip 'setuptools<81' wheel
	$(BIN)/python -m pip install -r requirements/torch.txt
	$(BIN)/python -m pip install --no-deps -r requirements/torchvision.txt
	$(BIN)/python -m pip install -r requirements/runtime.txt \
		-r requirements/mminstall.txt -r requirements/deploy.txt \
		-r requirements/tests.txt
	$(BIN)/python -m pip install --no-build-isolation --no-deps -e .
	touch $@

# On a CPU much time goes into memory that is given back and taken again for
# every activation; glibc keeps it instead (0.34 s an iteration, 0.40 without).
demo demo-latency: export MALLOC_MMAP_THRESHOLD_ = 4294967296
demo demo-latency: export MALLOC_TRIM_THRESHOLD_ = 4294967296
demo demo-latency: export MALLOC_TOP_PAD_ = 268435456
demo: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(DEMO)

# holds a latency while other processes compete, with the demo's bank
demo-adaptive: install
	test -f $(DEMO)/epoch_3.pth || $(MAKE) demo
	test -f $(DEMO)/bank/bank.json || $(BIN)/python \
		tools/deployment/build_bank.py $(CONFIG) $(DEMO)/epoch_3.pth \
		--work-dir $(DEMO) --out $(DEMO)/bank
	$(BIN)/python demo/adaptive_demo.py $(DEMO)/bank --config $(CONFIG) \
		--out $(DEMO)/adaptive.png

demo-latency: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python tools/build_latency_table.py $(LATENCY_CONFIG) \
		--batch-size 32 --verify 40 --out $(LATENCY_DEMO)/latency_cpu.json
	$(BIN)/python tools/train.py $(LATENCY_CONFIG) --work-dir $(LATENCY_DEMO)

# A run that is finished is not repeated; the tables go to benchmarks/results
compare: install
	$(BIN)/python tools/dataset_converters/fashion_mnist.py
	$(BIN)/python benchmarks/compare.py --seeds $(SEEDS) --iters $(ITERS) \
		$(if $(JOBS),--jobs $(JOBS))

lint: install
	$(BIN)/yapf --parallel --recursive --quiet . || \
		{ echo 'not formatted: run `make format`'; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# formats every Python file as `make lint` wants it
format: install
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/yapf --parallel --recursive --in-place .

test: lint
	$(BIN)/python -m pytest -n 2

# MMDetection needs full mmcv, which nothing else here does
install-detection: .venv-detection/.installed

.venv-detection/.installed: $(wildcard requirements/*) setup.cfg pyproject.toml
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
	$(DETECTION)/python -m pytest -n 2 tests/detection

# six minutes on two CPU cores; see README, "Measured"
benchmarks: install
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/train_iteration.py
	$(BIN)/python benchmarks/switching.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
