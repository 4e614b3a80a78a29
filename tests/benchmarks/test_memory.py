"""The memory of a training iteration."""

import json

import pytest
import torch
from torch import nn


def test_peaks(run_script, script, tmp_path, monkeypatch):
    """Oracle: three networks take more than one, in a process of its own or in
    this one; a supernet takes about as much as its largest subnet; each at
    least weights, momentum and gradients; a network is as large as itself."""
    memory = script('memory')
    cases = [memory.Case('mbv2', trained) for trained in memory.CASES]
    monkeypatch.setattr(memory, 'cases_of', lambda networks: cases[2:])
    out = run_script('memory', '--networks', 'mbv2', '--batch-size', 2,
                     '--iterations', 1, '--out', tmp_path / 'a.json')
    row, = json.loads((tmp_path / 'a.json').read_text())['rows']
    assert row['trained'] == 'largest alone' and row['of_the_larger'] == 1
    assert row['images_per_cpu_second'] > 0 and 'largest alone' in out
    ours, three = (memory.measure(case, 2, 0) for case in cases[:2])
    assert three['peak_mib'] > row['peak_mib'] > 3 * 4 * 3.5e6 / 2**20
    assert ours['peak_mib'] == pytest.approx(row['peak_mib'], rel=0.05)
    assert ours['images_per_cpu_second'] is None


def test_what_is_counted(script):
    """Oracle: by hand: a tensor that is there while another is, and the numbers
    of a layer, its momentum included."""
    memory = script('memory')

    def iteration(batch):
        kept = torch.empty(1000, batch)
        torch.empty(500, batch)
        del kept
        torch.empty(1200, batch)

    assert memory.peak_allocated(iteration, 256) == 4 * 1500 * 256
    assert memory.standing_bytes([nn.BatchNorm1d(8)]) == \
        4 * (2 * 2 * 8 + 2 * 8) + 8


def test_cases(script):
    """Oracle: by definition: ResNet-50 with gradient checkpointing too, without
    which all ratios are."""
    memory = script('memory')
    cases = memory.cases_of(['mbv1', 'r50'])
    assert len(cases) == 3 + 4 and cases[-1] == ('r50', 'supernet', True)
    rows = [
        dict(case._asdict(), peak_mib=peak)
        for case, peak in zip(cases, (9., 8., 10., 20., 30., 15., 12.))
    ]
    assert [memory.of_the_larger(row, rows)
            for row in rows] == [0.9, 0.8, 1., 0.667, 1., 0.5, 0.4]
