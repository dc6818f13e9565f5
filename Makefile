# Two commands from a fresh clone: `make demo` and `make test`. Both set up what they need in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-portable attack lint clean

setup: $(VENV)/.ready

# The constraints pin every package, torch first. Where pip would take a CUDA build of torch and none is wanted, install
# the CPU build of that version into .venv beforehand. evo, the tests' judge of trajectories, comes without its plotting.
$(VENV)/.ready: pyproject.toml constraints.txt $(wildcard cuda_ext/*.* cuda_ext/*/*.*)
	@cuda=$$(command -v "$${CUDACXX:-nvcc}" >/dev/null && echo ", those for CUDA too, since nvcc is here"); \
	echo "Setting up $(VENV), silently: downloading packages, compiling the kernels$$cuda; 2 to 15 minutes the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps 'evo; python_version >= "3.11"'
	touch $@

# The bundled demo: a synthetic clip with exact truth, made here, then reconstructed, measured and exported. Made again, it
# keeps the clip and replaces the rest file by file, so that nothing else in demo/ is touched.
demo: setup
	test -e demo/clip/calibration.json || $(BIN)/endogs phantom demo/clip --frames 40 --width 320 --height 256 --view stereo
	$(BIN)/endogs reconstruct demo/clip --out demo/scene --preset fast --overwrite
	$(BIN)/endogs export points demo/scene --time 0 --out demo/points/000000.ply
	$(BIN)/endogs export points demo/scene --time 1 --out demo/points/000001.ply
	$(BIN)/endogs export splats demo/scene --out demo/splats.ply
	$(BIN)/endogs export html demo/scene --out demo/player.html
	@echo "Made:" && ls demo/scene/* demo/points/* demo/splats.ply demo/player.html

# Two processes of one thread each: torch's threads wait for each other on tensors as small as the tests'.
test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Strangers' files, kills and bombs in their long forms, then thousands of seeded cases; about 20 minutes on two cores.
attack: setup
	ENDOGS_ATTACK=1 $(BIN)/python -m pytest tests/hardening
	mkdir -p build
	$(BIN)/python tests/hardening/attack.py --seed 7 --cases 8000 --report build/attack.json

# The suite once more, told to be an old machine with one thread, a machine of AVX2, and one whose BLAS sums otherwise.
# MKL_CBWR: MKL's kernels; ONEDNN..., ATEN...: torch's; OPENBLAS..., NPY...: numpy's; OPENCV...: OpenCV's.
PORTABLE := PYTHONPATH=tests $(BIN)/python -m pytest -p another_machine -k "not finite_differences"
test-portable: setup
	MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem \
	NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" OPENCV_CPU_DISABLE=AVX2,AVX512_SKX OMP_NUM_THREADS=1 \
	$(PORTABLE) --instruction-set portable
	MKL_CBWR=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell \
	$(PORTABLE) --instruction-set avx2
	$(PORTABLE) --other-sums 1

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build
