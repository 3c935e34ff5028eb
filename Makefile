# `make demo` and `make test` do all their own set-up. `make help` lists the rest.
PYTHON  ?= python3.11
TORCH   ?= torch==2.13.0
# HOSTS=onedl: the maintained fork of OpenMMLab's packages, in an environment of its own
HOSTS   ?= openmmlab
ifeq ($(HOSTS),onedl)
VENV    ?= .venv-onedl
MMCV    ?= onedl-mmcv==2.3.6
PACKAGES := -r requirements/onedl.txt -e '.[demo,tests,mim]'
CONSTRAINTS := requirements/constraints-onedl.txt
else
VENV    ?= .venv
MMCV    ?= mmcv==2.1.0
PACKAGES := -e '.[mmdet,mmseg,demo,tests,mim]'
CONSTRAINTS := requirements/constraints.txt
endif
OPENMIM := openmim==0.3.9
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
# A folder of wheels (mmcv's may be its source): nothing is looked for elsewhere
WHEELS  ?=
# An existing environment with torch, mmcv, mmengine, mmdet and mmsegmentation: ENV=/path/to/env
ENV     ?=

REQUIREMENTS := $(wildcard requirements/*.txt)
SOURCES := setup.py $(wildcard mmups/csrc/*)
# As a URL, since pip splits its variables at spaces.
SPACE   := $(subst ,, )
url      = file://$(subst $(SPACE),%20,$(1))
ifneq ($(WHEELS),)
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(call url,$(if $(filter /%,$(firstword $(WHEELS))),,$(CURDIR)/)$(WHEELS))
endif
ifeq ($(ENV),)
BIN     := $(VENV)/bin
SETUP   := $(VENV)/.mmups
# pip installs the pinned releases and no others.
export PIP_CONSTRAINT := $(call url,$(CURDIR)/$(CONSTRAINTS))
else
BIN     := $(ENV)/bin
SETUP   := $(ENV)/.mmups-env
endif
PIP     := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -q --no-build-isolation
INSTALL_MMCV := MMCV_WITH_OPS=1 MAX_JOBS=$(JOBS) $(INSTALL) $(MMCV)
NAME    := segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128
CONFIG  := configs/segformer/$(NAME).py
WORK    := work_dirs/$(NAME)
DATA    := data/digit_scenes
NAFNET  := nafnet_w16_lctc-7-3_1xb8-600it_photo-noise-64x64
NOISE   := data/photo_noise

# Threads that wait sleep: on a busy machine, or beside data loaders, spinning costs more than waking.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo demo-restoration test test-quick test-slow test-onedl test-triton test-cuda mutation lint setup setup-light light mmcv-dry-run data lock help clean
.DELETE_ON_ERROR:
.NOTPARALLEL:  # the steps share one environment

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | \
	    awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo 'Variables: PYTHON=$(PYTHON) VENV=$(VENV) HOSTS=$(HOSTS) TORCH="$(TORCH)" MMCV="$(MMCV)" JOBS=$(JOBS)'
	@echo '           TORCH may name another build of that release: TORCH="torch==2.13.0 --extra-index-url URL"'
	@echo '           HOSTS=onedl uses the maintained fork of the OpenMMLab packages'
	@echo '           WHEELS=folder installs from wheels in that folder, without a network'
	@echo '           ENV=/path/to/env uses an existing OpenMMLab environment as it is'

demo: setup-light data  ## Train, evaluate and picture SegFormer with DySample on DigitScenes
	@echo '== Training $(NAME): about 4 minutes on 2 cores; an interrupted run goes on'
	$(BIN)/python tools/train.py $(CONFIG) --resume
	@echo '== Evaluating'
	$(BIN)/python tools/test.py $(CONFIG) $(WORK)/iter_600.pth --work-dir $(WORK)/test
	@echo '== Drawing validation scenes'
	$(BIN)/python tools/visualize.py predictions $(CONFIG) $(WORK)/iter_600.pth --out $(WORK)/sheet.png
	@echo
	@echo 'Checkpoint and logs:  $(WORK)'
	@echo 'Image|truth|prediction: $(WORK)/sheet.png'
	@echo 'Data set:             $(DATA)'
	@echo
	@echo 'Next:'
	@echo '  $(BIN)/python tools/train.py $(CONFIG) --cfg-options model.decode_head.upsampler.style=pl model.decode_head.upsampler.groups=8 --work-dir work_dirs/dysample-s'
	@echo '  make test'
	@echo 'and with mmcv in full, which "make setup" or "make test" builds:'
	@echo '  $(BIN)/python tools/train.py configs/mask_rcnn/mask-rcnn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py'

demo-restoration: setup-light $(NOISE)/manifest.json  ## Train, evaluate and picture NAFNet with LCTC on noisy photographs
	@echo '== Training $(NAFNET): about 3 minutes on 2 cores; an interrupted run goes on'
	$(BIN)/python tools/train.py configs/nafnet/$(NAFNET).py --resume
	@echo '== Evaluating'
	$(BIN)/python tools/test.py configs/nafnet/$(NAFNET).py work_dirs/$(NAFNET)/iter_600.pth --work-dir work_dirs/$(NAFNET)/test
	@echo '== Drawing test images'
	$(BIN)/python tools/visualize.py predictions configs/nafnet/$(NAFNET).py work_dirs/$(NAFNET)/iter_600.pth --out work_dirs/$(NAFNET)/sheet.png
	@echo
	@echo 'Checkpoint and logs:  work_dirs/$(NAFNET)'
	@echo 'Noisy|truth|restored: work_dirs/$(NAFNET)/sheet.png'
	@echo 'Data set:             $(NOISE)'

data: $(DATA)/manifest.json  ## Make the DigitScenes data sets

$(DATA)/manifest.json: | setup-light
	@echo '== Composing DigitScenes: about 20 seconds'
	$(BIN)/python tools/dataset_converters/digit_scenes.py $(DATA)

$(NOISE)/manifest.json: | setup-light
	@echo '== Making PhotoNoise: a few seconds'
	$(BIN)/python tools/dataset_converters/photos.py noise $(NOISE)

test: setup lint  ## Lint and the default tests
	$(BIN)/python -m pytest -n $(JOBS)

test-quick: setup  ## What to run all the time: about a minute; the list is tests/quick.txt
	$(BIN)/python -m pytest -n $(JOBS) @tests/quick.txt

MODULES ?=
mutation: setup  ## How many small faults the tests notice: SAMPLE=200 SEED=0 MODULES=mmups/ops
	$(PIP) install -q -r requirements/mutation.txt
	$(BIN)/python tests/mutation.py $(MODULES) --jobs $(JOBS) $(if $(SAMPLE),--sample $(SAMPLE)) --seed $(or $(SEED),0)

test-slow: setup  ## The tests that take minutes each
	$(BIN)/python -m pytest -m slow

test-onedl:  ## The same, with the onedl-* packages; compared with .venv, where that is set up
	$(MAKE) test HOSTS=onedl $(if $(wildcard .venv/.mmups),OTHER_PYTHON=$(abspath .venv/bin/python))

# torch for CUDA brings a triton of its own
test-triton: setup  ## The Triton kernels without a GPU, by triton's interpreter (installs 1 GB)
	@$(BIN)/python -c 'import triton' 2>/dev/null || $(PIP) install -q -r requirements/triton.txt
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n $(JOBS) -m triton tests/ops

test-cuda: setup  ## What needs a GPU; says of each test that it skips, why
	$(BIN)/python -m pytest -m cuda -rs

lint: setup  ## What pre-commit runs
	$(BIN)/ruff check .

setup: $(SETUP)  ## The environment that test and detection need: mmcv in full, from source
	@:

light: $(VENV)/.light
	@:

ifeq ($(ENV)$(HOSTS),openmmlab)
setup-light:  ## The environment that demo needs: no compiler, or what setup has made
	@$(MAKE) --no-print-directory $$($(PIP) show -qq mmcv >/dev/null 2>&1 && echo setup || echo light)
else
setup-light: setup  # onedl has no mmcv without operators
endif

# Set-up steps; each leaves a stamp: a second run skips what is done and repeats what was cut short.
$(VENV)/.compiler:
	@command -v c++ >/dev/null || { echo 'There is no C++ compiler (c++), and mmcv has to be built from source. Install one, e.g. apt-get install g++' >&2; exit 1; }
	@mkdir -p $(VENV)
	@touch $@

$(VENV)/.python: requirements/build.txt $(CONSTRAINTS)
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) was not found. Install Python 3.11, or name yours: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 10), (3, 11), (3, 12)})' || \
	    { echo "this environment needs Python 3.10 to 3.12 (3.11 is tested), $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo '== Making $(VENV) with $(PYTHON)'
	$(PYTHON) -m venv $(VENV)
# The one call that isolates what it may have to build: pip 26.2 and later want the pins twice there
	PIP_BUILD_CONSTRAINT='$(PIP_CONSTRAINT)' $(PIP) install -q -r requirements/build.txt
	@touch $@

$(VENV)/.torch: $(VENV)/.python
	@echo '== Installing $(TORCH): about 1 minute'
	$(INSTALL) $(TORCH)
	@touch $@

$(VENV)/.light: $(VENV)/.torch $(SOURCES) $(REQUIREMENTS)
	@echo '== Installing mmcv-lite, mmengine, mmsegmentation and mmups: 1 to 2 minutes, with its operators where there is a compiler'
	$(INSTALL) -r requirements/light.txt -e '.[demo]'
	@touch $@

# mmcv and mmcv-lite own the same folder: the one goes before the other comes. A wheel that pip has
# kept may have been built for another torch, or without operators: then it is built anew.
$(VENV)/.mmcv: $(VENV)/.compiler $(VENV)/.torch
	@echo '== Building $(MMCV) from source: 10 to 20 minutes on 2 cores (seconds where pip has kept the wheel)'
	@rm -f $(VENV)/.light
	$(PIP) uninstall -qq -y mmcv-lite
	$(INSTALL_MMCV)
	@$(BIN)/python -c 'import mmcv.ops' || $(INSTALL_MMCV) --no-cache-dir --no-deps --force-reinstall
	@touch $@

# mmcv's build up to its metadata: a minute that shows whether the rest can succeed
mmcv-dry-run: $(VENV)/.torch
	$(INSTALL_MMCV) --dry-run

$(VENV)/.mmups: $(VENV)/.mmcv $(SOURCES) $(REQUIREMENTS)
	@echo '== Installing mmengine, mmdet, mmsegmentation and mmups with its operators: about 2 minutes'
	$(INSTALL) $(PACKAGES)
	$(INSTALL) --no-deps $(OPENMIM)  # one of its dependencies pins an old setuptools
	@touch $@

$(ENV)/.mmups-env: $(SOURCES) $(REQUIREMENTS)
	@$(BIN)/python -c 'import torch, mmcv.ops, mmengine, mmdet, mmseg' || \
	    { echo 'ENV=$(ENV) must hold torch, mmcv (with ops), mmengine, mmdet and mmsegmentation; leave ENV out to have $(VENV) made' >&2; exit 1; }
	@echo '== Installing mmups, its demo and its test needs into $(ENV)'
	$(INSTALL) -e '.[demo,tests]'
	@touch $@

# The pins name a release of torch, not its build, and so nothing that only its CUDA build brings.
LOCK     := work_dirs/lock
MMCVS    := requirements/light.txt requirements/mmdet.txt requirements/mmseg.txt
FORK     := requirements/onedl.txt
SHARED   := $(filter-out requirements/constraints%.txt requirements/triton.txt $(MMCVS) $(FORK),$(REQUIREMENTS))
PIN      := $(LOCK)/bin/uv pip compile -q --universal --python-version 3.10 --no-annotate --no-header \
    --build-constraint requirements/build.txt
lock: PIP_CONSTRAINT :=
lock:  ## Pin all releases anew: requirements/constraints*.txt for Python 3.10 and later
	rm -rf $(LOCK)
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install -q uv
	echo '$(TORCH)' > $(LOCK)/torch.in
	$(PIN) $(LOCK)/torch.in $(SHARED) $(MMCVS) -o $(LOCK)/constraints.txt
	$(PIN) $(LOCK)/torch.in $(SHARED) $(FORK) -o $(LOCK)/constraints-onedl.txt
	for file in constraints.txt constraints-onedl.txt; do \
	    { echo '# Written by make lock'; grep -vE '^(nvidia|cuda|triton)' $(LOCK)/$$file; echo $(OPENMIM); } \
	        > requirements/$$file; done
	rm -rf $(LOCK)

clean:  ## Remove the environment, the data and the results
	rm -rf $(VENV) data/digit_scenes data/digit_scenes_14 $(NOISE) data/photo_blur work_dirs
