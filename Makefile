# Thin names for bootstrap.py, which sets .venv up first when that is needed.
PYTHON ?= python3
PROFILE ?= quick
JOBS ?=
PORT ?= 8000
QUICK ?=

.PHONY: book pdf test bench serve lock clean

book: ## execute the notebooks and build the book (PROFILE=quick|paper, JOBS=cores)
	@$(PYTHON) bootstrap.py book --profile $(PROFILE) $(if $(JOBS),--jobs $(JOBS))

pdf: ## build the book and print it in one PDF, build/book.pdf (PROFILE=quick|paper); needs Chromium
	@$(PYTHON) bootstrap.py pdf --profile $(PROFILE)

test: ## lint, types, tests, reference values of the notebooks, the book in a browser (QUICK=1: what takes a minute)
	@$(PYTHON) bootstrap.py test $(if $(QUICK),--quick)

bench: ## measure the samplers and the probe sweeps against plain code and rewrite the book's page on it
	@$(PYTHON) bootstrap.py bench

serve: ## show the built book on localhost (PORT=8000)
	@$(PYTHON) bootstrap.py serve $(PORT)

lock: ## resolve pyproject.toml into requirements.lock, without the extras vision and hf and their torch
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv
	build/uv/bin/uv pip compile pyproject.toml --extra text --extra tables --extra cluster \
		--extra book --extra pdf --extra dev \
		--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements.lock

clean: ## remove all that was built, the virtual environment too
	rm -rf build .venv
