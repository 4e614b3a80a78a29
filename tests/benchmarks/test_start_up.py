"""The time and the memory until the first iteration."""

import json
from pathlib import Path

import numpy as np


def test_figures(run_script, tmp_path):
    """Oracle: the figures that are in the file; two workers that hold less than
    their parent; imports take less than all."""
    out = run_script('start_up', '--entries', 5000, '--out',
                     tmp_path / 'a.json')
    found = json.loads((tmp_path / 'a.json').read_text())
    assert json.loads(out[out.index('{'):]) == found
    assert (found['entries'], found['workers']) == (5000, 2)
    assert 0 < found['import_seconds'] < found['seconds']
    assert found['held_mb'] <= found['peak_mb']
    private = found['worker_private_mb']
    assert len(private) == 2 and 0 < max(private) < found['held_mb']


def test_lists(script, tmp_path):
    """Oracle: mmpretrain's ImageNet reads them: so many entries, of classes in
    order, whose files exist."""
    from mmpretrain.datasets import ImageNet
    script('start_up').write_list(tmp_path, 'train', 3000)
    dataset = ImageNet(data_root=str(tmp_path), split='train')
    labels = dataset.get_gt_labels()
    assert (labels == np.repeat(np.arange(1000), 3)).all()
    assert dataset[29]['img_path'].endswith('/train/n00000009/n00000009_00009.'
                                            'JPEG')
    assert all(Path(dataset[i]['img_path']).is_file() for i in range(20))
