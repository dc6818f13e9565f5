"""The compiled module beyond its typed face: calls that are wrong in every way, and processes that fork."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from endogs import native

pytestmark = pytest.mark.skipif(not native.available(), reason="endogs was installed without its compiled part")
CASES = 1500
SEED = 15


def test_wrong_calls_of_every_function_are_refused_or_answered(tmp_path):
    """No crash, no hang, no write beside an array, and the kernels still work."""
    note = tmp_path / "call.txt"
    program = str(Path(__file__).with_name("native_calls.py"))
    command = [sys.executable, program, str(SEED), str(CASES), str(note)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, f"{note.read_text()}\n{done.stderr[-3000:]}"
    answers = json.loads(done.stdout)
    assert sum(answers.values()) == CASES
    for name in ("render_forward", "render_backward", "contributing_pairs", "spline_forward", "adam_step"):
        assert answers[f"{name} refused"] > CASES / 100, "most of these calls are wrong"


FORK = """
import multiprocessing, os, sys, threading
import torch
from torch.utils.data import DataLoader
from endogs import native
from endogs.camera import Camera
from endogs.render import rasterize_packed

native.set_threads(2)
torch.set_num_threads(2)
packed = torch.randn(40_000, 14, generator=torch.Generator().manual_seed(0))  # so many that torch's loops take threads
packed[:, 2] += 5
packed[:, 7:10] -= 4
K = torch.tensor([[200.0, 0, 64], [0, 200, 48], [0, 0, 1]])
camera = Camera(K, torch.eye(4), 128, 96)

def drawn(_=None):
    rows = packed.clone().requires_grad_()
    rasterize_packed(rows, camera).color.sum().backward()
    return float(rows.grad.abs().sum())

def in_a_child(work):
    child = os.fork()
    if child == 0:
        work()
    assert os.waitpid(child, 0)[1] == 0

def compare():
    native.set_threads(3)
    os._exit(0 if abs(drawn() / before - 1) < 1e-5 and native.threads() == 3 else 1)

before = drawn()
in_a_child(compare)
in_a_child(lambda: sys.exit(0))  # at its exit nothing may wait for the parent's threads
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert all(abs(value / before - 1) < 1e-5 for value in pool.map(drawn, range(4)))

class Drawings:
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return drawn()

loader = DataLoader(Drawings(), num_workers=2, multiprocessing_context="fork")
assert all(abs(float(value) / before - 1) < 1e-5 for value in loader)

busy = True
def keep_drawing():
    while busy:
        drawn()
thread = threading.Thread(target=keep_drawing)
thread.start()  # forks while another thread is inside the kernels, holding their locks
for _ in range(8):
    in_a_child(compare)
busy = False
thread.join()
assert torch.get_num_threads() == 2, "only children are kept to one"
print("survived")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_children_draw_after_their_parent_has_drawn():
    """As with multiprocessing's default on Linux and with torch's data loaders."""
    program = subprocess.Popen(
        [sys.executable, "-c", FORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, complaints = program.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)  # its children too: one that hangs holds the pipe
        pytest.fail("a child hangs")
    assert said.strip() == "survived", complaints[-3000:]
