#!/usr/bin/env bash
# Everything that wants a GPU, from a fresh machine: builds, tests, checks memory accesses and races, and measures.
#
#   benchmarks/gpu.sh [CLIP]
#
# PYTHON (default python3) must bring a torch with CUDA; CLIP is a folder called endonerf_pulling with frame folders, and
# without it the fit is left out. gsplat and compute-sanitizer are used where they are installed. Prints Markdown tables.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
build=${BUILD:-build/gpu}
export PYTHONPATH="$PWD:${PYTHONPATH:-}" OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
failures=0
step() { echo; echo "## $1"; shift; "$@" || { echo "failed: $*"; failures=$((failures + 1)); }; }

build() {
    cmake -S cuda_ext -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DENDOGS_CUDA_ARCHITECTURES=native \
        -DENDOGS_REQUIRE_CUDA=ON -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$PWD/endogs" -DPython_EXECUTABLE="$(command -v "$python")" \
        >/dev/null && cmake --build "$build" >/dev/null && "$python" -m endogs doctor
}
sanitize() {  # small renderings with their gradients, and training steps
    command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 0; }
    local log="$build/sanitize.log"
    for tool in memcheck racecheck; do
        compute-sanitizer --tool $tool --error-exitcode 3 "$python" -m pytest -q -p no:cacheprovider \
            tests/render/test_cuda_render.py tests/fit/test_cuda_fit.py -k "repeat_exactly or (every_kind and ordinary) or (is_the_cpus and logdepth-0.2-True)" \
            >"$log" 2>&1 || { tail -30 "$log"; return 1; }
        echo "$tool: $(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log")"
    done
}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
step "Build" build
step "Tests" "$python" -m pytest -q -m cuda tests/render/test_cuda_render.py tests/fit/test_cuda_fit.py -p no:cacheprovider ${PYTEST_OPTIONS:-}
step "Rasterizer and training step" "$python" benchmarks/rasterize_cuda.py
[ $# -gt 0 ] && step "Reconstruction" "$python" benchmarks/reconstruct_clips.py \
    --clips "$(dirname "$1")" --only "pulling, standard" --device cuda
[ $# -gt 0 ] && step "Fit and rendering" "$python" benchmarks/compare_models.py --clips "pulling=$1" --splits standard \
    --models fast spline best --device cuda --out "$build/comparison"
step "compute-sanitizer" sanitize
exit $failures
