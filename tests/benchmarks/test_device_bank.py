"""Device banks of random weights."""

from pss.runtime.device_bank import read_device_bank


def test_a_bank(run_script, tmp_path):
    """Oracle: the runtime reads it; the ends and a subnet of every twelfth of
    the config's pools."""
    out = tmp_path / 'bank'
    printed = run_script('device_bank', 'configs/pss_mbv2_fashion_mnist.py',
                         '--every', 12, '--out', out)
    bank = read_device_bank(out)
    assert len(bank.kept) == 3
    assert printed.strip().endswith('3 subnets')
