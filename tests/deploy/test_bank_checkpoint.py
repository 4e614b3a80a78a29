import torch

from pss.deploy import read_bank
from pss.deploy.bank_checkpoint import bank_checkpoint
from pss.models.backbones.loading import statistics_key


def test_the_tensors_of_a_bank(bank):
    """Oracle: the bank's weights and statistics, tensor by tensor: the running
    statistics are the largest subnet's, and every subnet has entries for its
    backbone's."""
    contents = read_bank(bank)
    found = bank_checkpoint(bank)
    assert found['meta'] == dict(bank=str(bank))
    wanted = dict(contents.weights)
    for name, (mean,
               var) in contents.statistics[contents.kept[-1].subnet].items():
        wanted[f'{name}.running_mean'] = mean
        wanted[f'{name}.running_var'] = var
        wanted[f'{name}.num_batches_tracked'] = torch.tensor(0)
    for subnet, statistics in contents.statistics.items():
        for name, (mean, var) in statistics.items():
            assert name.startswith('backbone.')  # as in all classifiers
            norm = name[len('backbone.'):]
            for buffer, value in (('running_mean', mean), ('running_var', var)):
                key = statistics_key(subnet, norm, buffer)
                wanted[f'backbone.{key}'] = value
    state = found['state_dict']
    assert set(state) == set(wanted)
    assert all(torch.equal(state[key], wanted[key]) for key in wanted)


def test_where_it_goes(bank):
    """Oracle: the requested device."""
    state = bank_checkpoint(bank, 'meta')['state_dict']
    assert all(value.device.type == 'meta' for value in state.values())
