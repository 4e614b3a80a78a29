import subprocess
import sys

import torch
from mmengine.runner import CheckpointLoader

from pss.bank_scheme import SCHEME
from pss.deploy.bank_checkpoint import bank_checkpoint

from .conftest import ROOT


def test_mmengine_loads_banks(bank):
    """Oracle: the bank read as a checkpoint, tensor by tensor."""
    found = CheckpointLoader.load_checkpoint(f'{SCHEME}{bank}')['state_dict']
    wanted = bank_checkpoint(bank)['state_dict']
    assert set(found) == set(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_deploy_is_imported_only_when_a_bank_is_loaded():
    """Oracle: the modules of a new process that imports the scheme."""
    code = ('import sys, pss.bank_scheme; '
            'sys.exit(any(m.startswith("pss.deploy") for m in sys.modules))')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT)
    assert done.returncode == 0
