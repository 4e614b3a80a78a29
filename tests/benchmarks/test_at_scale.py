"""The estimate of an ImageNet training on several GPUs."""

import re


def test_estimate(run_script):
    """Oracle: SPEC's MFLOPs of MobileNetV2's ends, 250 epochs of the images
    that are not held out, and the rows' own columns."""
    out = run_script('at_scale', 'mbv2', '--gpus', 4, '--bandwidth', 50,
                     '--images-per-second', 1000, '--batch-size', 64,
                     '--measure', 1, '--measured-batch-size', 2,
                     '--measured-images', 1)
    assert 'largest 301' in out and 'smallest 69 MFLOPs' in out
    ratio = float(
        re.search(r'an iteration is (\S+) of the largest', out).group(1))
    assert 1.5 < ratio < 2.3  # 301 + 69 + something between, over 301
    assert re.search(r'measured on this CPU, batch 2: \d', out)
    row = out.splitlines()[-1].replace(',', '').split()
    name, gpus, iterations, compute, exchange, speed, hours = row
    assert (name, gpus) == ('mbv2', '4')
    assert int(iterations) == 1_281_167 * 49 // 50 // 256 * 250
    assert abs(float(compute) - 64 * ratio) <= 1
    seconds = (64 * ratio + float(exchange)) / 1e3
    assert abs(float(speed) - 256 / seconds) / float(speed) < 0.01
    assert abs(float(hours) - int(iterations) * seconds / 3600) < 1
