import numpy as np
import pytest
import torch

from pss.errors import InputError
from pss.models.classifiers import AlphaDivergence, KLDivergence
from pss.registry import MODELS


def outputs(num=6, classes=4, seed=0):
    """Logits of a teacher and of a subnet, in float64."""
    rng = torch.Generator().manual_seed(seed)
    teacher, logits = torch.randn(
        2, num, classes, generator=rng, dtype=torch.float64)
    return 2 * teacher, 2 * logits


def gradient_of(loss, teacher, logits, multi_label=False):
    logits = logits.clone().requires_grad_()
    value = loss(teacher, logits, multi_label)
    value.backward()
    return value.item(), logits.grad.numpy()


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def by_hand(teacher, logits, alpha, clip):
    """Value and gradient of each image, from the formulas in the docstring:
    the derivative of log(q_i) by logit k is (i == k) - q_k."""
    p, q = softmax(teacher.numpy()), softmax(logits.numpy())
    ratio = np.minimum((p / q)**alpha, clip)
    if alpha == 1:
        values = (q * ratio * np.log(p / q)).sum(1)
    else:
        values = (q * (ratio - 1)).sum(1) / (alpha * (alpha - 1))
    gradients = np.zeros_like(q)
    for image in range(len(q)):
        for k in range(q.shape[1]):
            gradients[image, k] = -sum(q[image, i] * ratio[image, i] *
                                       ((i == k) - q[image, k])
                                       for i in range(q.shape[1])) / alpha
    return values, gradients


@pytest.mark.parametrize('clip', [2., 1e9])
@pytest.mark.parametrize('alpha', [-1., 0.5, 1., 2.])
def test_one_alpha(alpha, clip):
    """Oracle: the formulas with loops; without a clip that binds, the gradient
    is that of the value, by differences."""
    teacher, logits = outputs()
    loss = AlphaDivergence([alpha], clip)
    value, gradient = gradient_of(loss, teacher, logits)
    values, gradients = by_hand(teacher, logits, alpha, clip)
    assert value == pytest.approx(values.mean())
    assert gradient == pytest.approx(gradients / len(values))
    if clip > 100:
        step = torch.zeros_like(logits)
        step[2, 1] = 1e-6
        change = loss(teacher, logits + step, False) - \
            loss(teacher, logits - step, False)
        assert gradient[2, 1] == pytest.approx(change.item() / 2e-6, rel=1e-4)


def test_the_larger_of_two():
    """Oracle: for each image the formula that gives more, and its gradient."""
    teacher, logits = (0.2 * x for x in outputs(30))
    value, gradient = gradient_of(AlphaDivergence(), teacher, logits)
    below, above = (by_hand(teacher, logits, alpha, 5.) for alpha in (-1., 1.))
    larger = below[0] > above[0]
    assert 0 < larger.sum() < len(larger)
    assert value == pytest.approx(np.maximum(below[0], above[0]).mean())
    wanted = np.where(larger[:, None], below[1], above[1]) / len(larger)
    assert gradient == pytest.approx(wanted)


@pytest.mark.parametrize('multi_label', [False, True])
def test_alpha_of_one_is_the_papers(multi_label):
    """Oracle: Kullback-Leibler by torch: value and gradient."""
    teacher, logits = outputs()
    wanted = gradient_of(KLDivergence(), teacher, logits, multi_label)
    found = gradient_of(
        AlphaDivergence([1.], 1e9), teacher, logits, multi_label)
    assert found[0] == pytest.approx(wanted[0])
    assert found[1] == pytest.approx(wanted[1])


def test_extreme_outputs():
    """Oracle: finite, where a class has nearly nothing of either."""
    teacher = torch.tensor([[80., -80., 0.]])
    for logits in (-teacher, teacher):
        value, gradient = gradient_of(AlphaDivergence(), teacher, logits)
        assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize('arguments, words', [
    (dict(alphas=[]), r'alphas=\[\]: expected one or two'),
    (dict(alphas=2.), 'alphas=2.0: expected one or two'),
    (dict(alphas=[0.]), r'alphas\[0\]=0: expected another'),
    (dict(alphas=[1., 'x']), r"alphas\[1\]='x'"),
    (dict(clip=0.5), 'clip=0.5'),
    (dict(clip=float('nan')), 'clip=nan'),
])
def test_bad_arguments(arguments, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        MODELS.build(dict(type='pss.AlphaDivergence', **arguments))
