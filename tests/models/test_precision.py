"""The precision of a training: the faster one, and the same in all its processes."""

import pytest
import torch

from models import precision
from models.precision import BF16, FLOAT32, faster
from models.processes import Processes


@pytest.mark.parametrize(("bf16_s", "wanted"), [(0.1, BF16), (0.9, FLOAT32)])
def test_the_faster_one_is_taken(monkeypatch, bf16_s, wanted):
    times = {torch.bfloat16: bf16_s, torch.float32: 0.5}
    monkeypatch.setattr(precision, "_seconds", lambda device, kind: times[kind])
    assert faster("cpu", Processes()) == wanted


def test_another_process_takes_what_the_first_one_found(monkeypatch):
    class Second(Processes):
        def as_first(self, numbers, device):
            return [1.0]

    monkeypatch.setattr(precision, "_seconds", lambda device, kind: 1.0)
    assert faster("cpu", Processes()) == FLOAT32
    assert faster("cpu", Second()) == BF16


def test_a_product_takes_some_time():
    assert 0 < precision._seconds("cpu", torch.float32) < 10
