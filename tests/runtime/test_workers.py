"""Workers: in order, with one thread each, and one that is killed is a sentence."""

import operator
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from sface_data.errors import BadInput
from sface_data.runtime.workers import local_workers
from tests.processes import ends, threads_of


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_the_order_of_the_units(count: int) -> None:
    with local_workers(count, partial(int, 100), "sums") as workers:
        assert list(workers.map(operator.add, range(50))) == list(range(100, 150))
        assert set(workers.map(threads_of, range(4))) == {1}


def test_one_that_is_this_process_gives_its_threads_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with local_workers(1, int, "nothing"):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_one_that_is_killed_is_a_sentence() -> None:
    said = "a process that makes sums was killed, .* what was finished is kept: run the same command again"
    with pytest.raises(BadInput, match=said), local_workers(2, int, "sums") as workers:
        list(workers.map(ends, [9, 9]))


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Workers do not import the program that starts them, and so do not start it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import operator\nfrom sface_data.runtime.workers import local_workers\nprint('once')\n"
        "with local_workers(2, int, 'sums') as workers:\n    print(list(workers.map(operator.add, range(3))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "once\n[0, 1, 2]\n"
