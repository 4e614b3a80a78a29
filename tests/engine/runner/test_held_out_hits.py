import copy
import shutil

import numpy as np
import pytest
import torch

from pss.engine.randomness import mixed
from pss.engine.runner import held_out_hits
from pss.engine.runner.held_out_hits import HeldOutHits, run_hits, top_of
from pss.errors import InputError

from ...distributed import run_ranks
from ...searching import HELD_OUT, searched


@pytest.fixture
def loop(searchable):
    """The loop that searched; its settings are restored after the test."""
    loop = searchable.loop
    settings = copy.copy(vars(loop)), copy.deepcopy(loop.runner.cfg)
    weights = copy.deepcopy(loop.model.state_dict())
    yield loop
    vars(loop).clear()
    vars(loop).update(settings[0])
    loop.runner.cfg = settings[1]
    loop.model.load_state_dict(weights)


@pytest.fixture
def subnets(loop):
    """The ends of the space and three others."""
    space = loop.model.search_space
    rng = np.random.default_rng(1)
    return [space.largest, space.smallest, *space.decode(space.random(rng, 3))]


def hits_of(loop, path, seed=0):
    return HeldOutHits(loop, loop.selection_dataloader, path, seed, 1000)


def hits_by_hand(loop, subnet, batches, order, top=1):
    """Whether a subnet, calibrated alone, gets each image right; one image at
    a time, by the scores that it predicts."""
    model, dataset = loop.model, loop.selection_dataloader.dataset
    model.eval()
    model.switch_to(subnet, loop.calibrate([subnet], batches)[subnet])
    found = []
    for i in order:
        item = dataset[i]
        data = model.data_preprocessor(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
        with torch.no_grad():
            sample = model(**data, mode='predict')[0]
        best = sample.pred_score.argsort(descending=True)[:top]
        found.append(int(item['data_samples'].gt_label) in best.tolist())
    return found


@pytest.mark.parametrize('metric, top', [('top1', 1), ('top3', 3)])
def test_hits_equal_a_loop_over_predictions(loop, subnets, tmp_path, metric,
                                            top):
    """Oracle: :func:`hits_by_hand` on the first images of a permutation that
    the seed gives; one batch calibrates what is not final."""
    loop.metric = metric
    hits = hits_of(loop, tmp_path / 'search.jsonl', seed=5)
    order = np.random.default_rng(mixed(5, 1)).permutation(HELD_OUT)
    for final, batches in ((False, 1), (True, loop.calibration_batches)):
        found = hits(subnets[:3], 50, final)
        assert found.dtype == bool and found.shape == (3, 50)
        for subnet, mine in zip(subnets, found):
            assert mine.tolist() == hits_by_hand(loop, subnet, batches,
                                                 order[:50], top)
        assert 0 < found.mean() < 1
    assert loop.calibration_batches > 1


def test_final_statistics(loop, subnets, tmp_path):
    """Oracle: the loop's own calibration, on all its batches."""
    hits = hits_of(loop, tmp_path / 'search.jsonl')
    hits(subnets[:2], 10, False)
    found = hits.final_statistics(subnets[:2])
    for subnet, wanted in loop.calibrate(subnets[:2]).items():
        for name, pair in wanted.items():
            assert all(map(torch.equal, found[subnet][name], pair))


def count_images(monkeypatch):
    """A list that fills with the numbers of subnets and images that are run."""
    ran = []

    def counting(loop, statistics, loader, order):
        ran.append((len(statistics), len(order)))
        return run_hits(loop, statistics, loader, order)

    monkeypatch.setattr(held_out_hits, 'run_hits', counting)
    return ran


def test_nothing_is_measured_twice(loop, subnets, tmp_path, monkeypatch):
    """Oracle: the images that were asked for the first time, by hand; and a
    single measurement of all of them."""
    ran = count_images(monkeypatch)
    hits = hits_of(loop, tmp_path / 'search.jsonl')
    few = hits(subnets[:2], 20, False)
    more = hits(subnets[:4], 50, False)
    hits(subnets[:4], 30, False)
    hits(subnets[:1], 20, True)
    assert ran == [(2, 20), (2, 30), (2, 50), (1, 20)]
    assert np.array_equal(more[:2, :20], few)
    alone = hits_of(loop, tmp_path / 'other.jsonl')(subnets[:4], 50, False)
    assert np.array_equal(more, alone)


def test_in_chunks(loop, subnets, tmp_path, monkeypatch):
    """Oracle: all in one pass; the journal has a line for each either way."""
    whole = hits_of(loop, tmp_path / 'whole.jsonl')(subnets, 20, False)
    monkeypatch.setattr(held_out_hits, 'CHUNK', 2)
    ran = count_images(monkeypatch)
    parts = hits_of(loop, tmp_path / 'parts.jsonl')(subnets, 20, False)
    assert ran == [(2, 20), (2, 20), (1, 20)]
    assert np.array_equal(whole, parts)
    assert (tmp_path / 'whole.jsonl').read_bytes() == \
        (tmp_path / 'parts.jsonl').read_bytes()


def test_interrupted_after_any_line(loop, subnets, tmp_path, monkeypatch):
    """Oracle: the same hits as without interruption; only what is missing from
    the journal is run again."""
    path, cut = tmp_path / 'search.jsonl', tmp_path / 'cut.jsonl'

    def search(path):
        hits = hits_of(loop, path)
        return [
            hits(subnets, 20, False),
            hits(subnets[:2], 40, False),
            hits(subnets[:1], 40, True)
        ]

    whole = search(path)
    ran = count_images(monkeypatch)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 5 + 2 + 1
    images = [0] + [20] * 5 + [20] * 2 + [40]
    for kept in range(len(lines) + 1):
        for rest in ('', '{"subnet": {"resol'):
            cut.write_text(''.join(lines[:kept]) + rest)
            ran.clear()
            for one, two in zip(search(cut), whole):
                assert np.array_equal(one, two)
            assert sum(a * b for a, b in ran) == sum(images[max(kept, 1):])
            assert sorted(cut.read_text().splitlines(keepends=True)) == \
                sorted(lines)


def change_weights(loop):
    with torch.no_grad():
        next(loop.model.parameters()).mul_(1.01)


def change_preprocessing(loop):
    loop.runner.cfg.data_preprocessor.mean = [1., 1., 1.]


def change_calibration(loop):
    loop.runner.cfg.test_cfg.calibration_batches = 7


def change_search(loop):
    loop.runner.cfg.test_cfg.search.candidates = 100


@pytest.mark.parametrize('change, is_other', [(change_weights, True),
                                              (change_preprocessing, True),
                                              (change_calibration, True),
                                              (change_search, False)])
def test_what_a_journal_is_good_for(loop, subnets, tmp_path, monkeypatch,
                                    change, is_other):
    """Oracle: images run: none, unless something changed that measurements
    depend on."""
    path = tmp_path / 'search.jsonl'
    hits_of(loop, path)(subnets[:2], 10, False)
    change(loop)
    ran = count_images(monkeypatch)
    hits_of(loop, path)(subnets[:2], 10, False)
    assert ran == ([(2, 10)] if is_other else [])
    hits_of(loop, path, seed=1)(subnets[:2], 10, False)
    assert len(ran) == 1 + is_other


def test_a_checkpoint_goes_on_with_the_journal_of_its_training(
        searchable, loop, tmp_path):
    """Oracle: the journal that training left, which a test of the checkpoint
    adds nothing to; and the results of training."""
    shutil.copy(searchable.work / 'search.jsonl', tmp_path)
    before = (tmp_path / 'search.jsonl').read_bytes()
    again = searched(searchable, tmp_path)
    assert (tmp_path / 'search.jsonl').read_bytes() == before
    assert again.results == loop.results


def test_a_metric_that_is_no_share(loop, tmp_path):
    """Oracle: the field, its value and both ways out; no file is written."""
    assert top_of(loop) == 1
    for metric in ('f1-score', 'bbox_mAP', 'top', 'top1x', 'precision'):
        loop.metric = metric
        with pytest.raises(
                InputError,
                match=rf"^test_cfg.metric='{metric}': .*top1 .*search=None"):
            hits_of(loop, tmp_path / 'search.jsonl')
    assert not list(tmp_path.iterdir())


def test_progress(loop, subnets, tmp_path, monkeypatch):
    """Oracle: the share of the planned images, those of an earlier search
    included, and the time of the rest at the pace so far."""
    said, now = [], [0.]
    monkeypatch.setattr(held_out_hits, 'print_log',
                        lambda text, *_: said.append(text))
    monkeypatch.setattr('time.monotonic', lambda: now[0])
    path = tmp_path / 'search.jsonl'
    hits = HeldOutHits(loop, loop.selection_dataloader, path, 0, 200)
    now[0] = 30.
    hits(subnets[:2], 25, False)
    assert said == ['Searching: 2 measurements, 25% done  eta: 0:01:30']
    again = HeldOutHits(loop, loop.selection_dataloader, path, 0, 200)
    assert f'2 measurements of an earlier search are in {path}' in said[1]
    now[0] = 130.
    again(subnets[:2], 25, False)  # in no time
    assert len(said) == 2
    again(subnets[:2], 75, False)
    assert said[2] == 'Searching: 2 measurements, 75% done  eta: 0:00:50'
    again(subnets[:3], 150, False)  # more than planned
    assert said[-1] == 'Searching: 3 measurements, 100% done  eta: 0:00:00'


def _hits_of_rank(rank, loop, subnets, path):
    hits = hits_of(loop, path)
    found = [hits(subnets, 33, False), hits(subnets[:2], 35, True)]
    return [torch.from_numpy(each) for each in found]


def test_processes_share_the_images(loop, subnets, tmp_path):
    """Oracle: each other, bit by bit; and one process, on nearly all images,
    since an average of statistics rounds differently. Two processes cannot
    share either number of images evenly."""
    first, second = run_ranks(2, tmp_path, _hits_of_rank, loop, subnets,
                              tmp_path / 'search.jsonl')
    alone = _hits_of_rank(0, loop, subnets, tmp_path / 'alone.jsonl')
    for one, two, wanted in zip(first, second, alone):
        assert torch.equal(one, two) and one.shape == wanted.shape
        assert (one == wanted).double().mean() > 0.9
    lines = (tmp_path / 'search.jsonl').read_text().splitlines()
    assert len(lines) == 1 + 5 + 2  # not once a process


def _error_of_rank(rank, loop, path):
    with pytest.raises(InputError) as error:
        hits_of(loop, path)
    return str(error.value)


def test_a_damaged_journal_ends_all_processes(loop, subnets, tmp_path):
    """Oracle: the same message in both."""
    path = tmp_path / 'search.jsonl'
    path.write_text('{\n{}\n')
    found = run_ranks(2, tmp_path, _error_of_rank, loop, path)
    assert found[0] == found[1] and f'{path}: damaged in line 1' in found[0]
